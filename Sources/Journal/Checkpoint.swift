package import Crypto

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
    let blob = Self.keyID(name: origin, key: key.publicKey) + Array(signature)
    return "\(body)\n\u{2014} \(origin) \(Base64.encode(blob))\n"
  }

  /// Reads a signed note and checks its signature; nil where it is not this key's or not well formed.
  package init?(note: String, key: Curve25519.Signing.PublicKey) {
    guard let split = note.range(of: "\n\n") else { return nil }
    let body = String(note[..<split.lowerBound]) + "\n"
    let lines = body.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 4, let size = UInt64(lines[1]), let root = Base64.decode(String(lines[2])),
      root.count == 32
    else { return nil }
    let origin = String(lines[0])
    let wanted = Self.keyID(name: origin, key: key)
    for line in note[split.upperBound...].split(separator: "\n") {
      let parts = line.split(separator: " ")
      guard parts.count == 3, parts[0] == "\u{2014}", parts[1] == origin,
        let blob = Base64.decode(String(parts[2])), blob.count == 68, Array(blob[0..<4]) == wanted
      else { continue }
      if key.isValidSignature(Array(blob[4...]), for: Array(body.utf8)) {
        self.init(origin: origin, size: size, root: root)
        return
      }
    }
    return nil
  }

  /// First four bytes of SHA-256(name ‖ 0A ‖ 01 ‖ public key).
  private static func keyID(name: String, key: Curve25519.Signing.PublicKey) -> [UInt8] {
    Array(SHA256.hash(data: Array(name.utf8) + [0x0A, 0x01] + Array(key.rawRepresentation)).prefix(4))
  }
}

extension String {
  /// The first place of `other`, without Foundation.
  fileprivate func range(of other: String) -> Range<String.Index>? {
    var index = startIndex
    while index < endIndex {
      if self[index...].unicodeScalars.starts(with: other.unicodeScalars) {
        return index..<unicodeScalars.index(index, offsetBy: other.unicodeScalars.count)
      }
      index = unicodeScalars.index(after: index)
    }
    return nil
  }
}

/// Base64 with padding. Specification: RFC 4648, 4.
package enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: some Collection<UInt8>) -> String {
    var out: [UInt8] = []
    var group: UInt32 = 0
    var held = 0
    for byte in bytes {
      group = group << 8 | UInt32(byte)
      held += 1
      if held == 3 {
        for shift: UInt32 in [18, 12, 6, 0] { out.append(alphabet[Int(group >> shift & 63)]) }
        group = 0
        held = 0
      }
    }
    if held > 0 {
      group <<= UInt32(8 * (3 - held))
      for index in 0...held { out.append(alphabet[Int(group >> UInt32(18 - 6 * index) & 63)]) }
      out.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - held))
    }
    return String(decoding: out, as: UTF8.self)
  }

  package static func decode(_ text: String) -> [UInt8]? {
    let units = Array(text.utf8)
    guard units.count % 4 == 0 else { return nil }
    var out: [UInt8] = []
    var group: UInt32 = 0
    var held = 0
    for (index, unit) in units.enumerated() {
      if unit == UInt8(ascii: "=") {
        guard index >= units.count - 2 else { return nil }
        continue
      }
      guard let value = alphabet.firstIndex(of: unit) else { return nil }
      group = group << 6 | UInt32(value)
      held += 1
      if held == 4 {
        for shift: UInt32 in [16, 8, 0] { out.append(UInt8(truncatingIfNeeded: group >> shift)) }
        group = 0
        held = 0
      }
    }
    switch held {
    case 0: break
    case 2: out.append(UInt8(truncatingIfNeeded: group >> 4))
    case 3:
      out.append(UInt8(truncatingIfNeeded: group >> 10))
      out.append(UInt8(truncatingIfNeeded: group >> 2))
    default: return nil
    }
    return out
  }
}
