package import Crypto

/// A public key with the name it signs under.
///
/// Specification: C2SP signed-note, verifier keys: `<name>+<key id, 8 hexadecimal digits>+<base64(01 ‖ public key)>`.
package struct VerifierKey: Equatable, Sendable {
  package var name: String
  /// 32 bytes, Ed25519.
  package var publicKey: [UInt8]

  package init(name: String, publicKey: [UInt8]) {
    self.name = name
    self.publicKey = publicKey
  }

  /// Reads the text form; nil where it is not one, or its key id is not that of its key.
  package init?(_ text: String) {
    let fields = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
    guard fields.count == 3, let key = Base64.decode(String(fields[2])), key.count == 33, key[0] == 0x01 else {
      return nil
    }
    self.init(name: String(fields[0]), publicKey: Array(key[1...]))
    guard id.hexadecimalText == fields[1] else { return nil }
  }

  package var text: String { "\(name)+\(id.hexadecimalText)+\(Base64.encode([0x01] + publicKey))" }

  /// First four bytes of SHA-256(name ‖ 0A ‖ 01 ‖ public key).
  package var id: [UInt8] { Array(SHA256.hash(data: Array(name.utf8) + [0x0A, 0x01] + publicKey).prefix(4)) }

  func isValid(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
    (try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey))?.isValidSignature(signature, for: bytes) ?? false
  }
}

/// A signed statement: "my tree has this size and this root".
///
/// Specification: C2SP tlog-checkpoint and signed-note, with Ed25519 (signature type 0x01).
///
///     <origin>\n<size>\n<base64 root>\n\n— <name> <base64(key id (4) ‖ signature (64))>\n
package struct Checkpoint: Equatable, Sendable {
  package var origin: String
  package var size: UInt64
  package var root: [UInt8]

  package init(origin: String, size: UInt64, root: [UInt8]) {
    self.origin = origin
    self.size = size
    self.root = root
  }

  package var body: String { "\(origin)\n\(size)\n\(Base64.encode(root))\n" }

  package func signed(by key: Curve25519.Signing.PrivateKey) throws -> String {
    let signature = try key.signature(for: Array(body.utf8))
    let verifier = VerifierKey(name: origin, publicKey: Array(key.publicKey.rawRepresentation))
    return "\(body)\n\u{2014} \(origin) \(Base64.encode(verifier.id + Array(signature)))\n"
  }

  /// Reads a signed note and checks its signature; nil where it is not this key's or not well formed.
  package init?(note: String, key: VerifierKey) {
    guard let parsed = SignedNote(note), let checkpoint = parsed.checkpoint, parsed.isSigned(by: key) else {
      return nil
    }
    self = checkpoint
  }
}

/// A note with its signatures, before anything of it is believed.
package struct SignedNote: Equatable, Sendable {
  package struct Signature: Equatable, Sendable {
    package var name: String
    package var keyID: [UInt8]
    package var bytes: [UInt8]
  }

  /// The signed text, with its last line feed.
  package var body: String
  package var signatures: [Signature]

  package init?(_ note: String) {
    let lines = note.split(separator: "\n", omittingEmptySubsequences: false)
    guard
      let blank = lines.lastIndex(where: \.isEmpty).flatMap({ last in
        lines[..<last].lastIndex(where: \.isEmpty)
      }), blank > 0
    else { return nil }
    body = lines[..<blank].joined(separator: "\n") + "\n"
    signatures = lines[(blank + 1)...].compactMap { line in
      let fields = line.split(separator: " ", omittingEmptySubsequences: false)
      guard fields.count == 3, fields[0] == "\u{2014}", let blob = Base64.decode(String(fields[2])), blob.count > 4
      else { return nil }
      return Signature(name: String(fields[1]), keyID: Array(blob[0..<4]), bytes: Array(blob[4...]))
    }
    guard !signatures.isEmpty else { return nil }
  }

  package func isSigned(by key: VerifierKey) -> Bool {
    signatures.contains { $0.name == key.name && $0.keyID == key.id && key.isValid($0.bytes, of: Array(body.utf8)) }
  }

  /// The body read as a checkpoint; nothing is said of who signed it.
  package var checkpoint: Checkpoint? {
    let lines = body.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 4, !lines[0].isEmpty, let size = UInt64(lines[1]), String(size) == lines[1],
      let root = Base64.decode(String(lines[2])), root.count == 32
    else { return nil }
    return Checkpoint(origin: String(lines[0]), size: size, root: root)
  }
}

extension Sequence<UInt8> {
  /// Two lower-case digits a byte.
  var hexadecimalText: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}
