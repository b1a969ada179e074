internal import Crypto
internal import Doctrine

/// Random secrets and how they are stored: only as hashes.
package enum Tokens {
  /// 256 random bits in hexadecimal.
  package static func make() -> String {
    SymmetricKey(size: .bits256).withUnsafeBytes { $0.hexadecimal }
  }

  /// 32 characters of which each is one of 32: 160 random bits, for an SRT passphrase (10 to 79 characters).
  package static func passphrase() -> String {
    let alphabet = Array("abcdefghijkmnpqrstuvwxyz23456789")
    return SymmetricKey(size: .bits256).withUnsafeBytes { bytes in
      String(bytes.map { alphabet[Int($0 & 31)] })
    }
  }

  package static func hash(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }

  /// A value tied to a session that a page must send back with every change it asks for.
  package static func csrf(of token: String) -> String {
    SHA256.hash(data: Array("plastron-csrf:".utf8) + Array(token.utf8)).hexadecimal
  }
}
