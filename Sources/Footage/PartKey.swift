package import Crypto

/// Sealing and opening of the small things: part keys under day keys, day keys under the master key, facts.
///
/// Specification: docs/footage-format.md; AES-256-GCM as swift-crypto gives it. A sealed box is
/// nonce (12) ‖ ciphertext ‖ tag (16), the nonce random.
package enum Sealing {
  package static func seal(
    _ plaintext: [UInt8], under key: SymmetricKey, purpose: String, subject: [UInt8]
  ) throws -> [UInt8] {
    let box = try AES.GCM.seal(plaintext, using: key, authenticating: associated(purpose, subject))
    return Array(box.nonce) + Array(box.ciphertext) + Array(box.tag)
  }

  /// - Throws: ``FootageError/Code/keyRefused`` where key, purpose, subject or bytes are not the ones sealed.
  package static func open(
    _ sealed: [UInt8], under key: SymmetricKey, purpose: String, subject: [UInt8]
  ) throws(FootageError) -> [UInt8] {
    do {
      let box = try AES.GCM.SealedBox(combined: sealed)
      return Array(try AES.GCM.open(box, using: key, authenticating: associated(purpose, subject)))
    } catch {
      throw FootageError(.keyRefused, offset: 0, "\(purpose): the key does not open it")
    }
  }

  /// Seals a key under another.
  package static func sealKey(
    _ key: SymmetricKey, under other: SymmetricKey, purpose: String, subject: [UInt8]
  ) throws -> [UInt8] {
    let box = try key.withUnsafeBytes {
      try AES.GCM.seal($0, using: other, authenticating: associated(purpose, subject))
    }
    return Array(box.nonce) + Array(box.ciphertext) + Array(box.tag)
  }

  /// Opens a sealed key into memory that is wiped with it.
  ///
  /// - Throws: ``FootageError/Code/keyRefused`` as ``open(_:under:purpose:subject:)``.
  package static func openKey(
    _ sealed: [UInt8], under key: SymmetricKey, purpose: String, subject: [UInt8]
  ) throws(FootageError) -> SymmetricKey {
    var plaintext = try open(sealed, under: key, purpose: purpose, subject: subject)
    defer { for index in plaintext.indices { plaintext[index] = 0 } }
    return SymmetricKey(data: plaintext)
  }

  private static func associated(_ purpose: String, _ subject: [UInt8]) -> [UInt8] {
    Array(purpose.utf8) + [0] + subject
  }

  package static let partKeyPurpose = "plastron/footage/v1/key"
  package static let factsPurpose = "plastron/footage/v1/facts"
}

extension SymmetricKey {
  /// The raw bytes, for sealing under another key or for handing over a seam.
  package var rawBytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
