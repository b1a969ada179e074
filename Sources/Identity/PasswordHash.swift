internal import Crypto
internal import CryptoExtras
internal import Foundation

/// Passwords as they are stored: scrypt with a random salt.
///
/// Specification: RFC 7914. Text form: `scrypt$<log2 N>$<r>$<p>$<salt>$<hash>`, base64.
// ACC-8.
package enum PasswordHash {
  /// 32 MiB and some 100 ms a try.
  static let logN = 15
  static let blockSize = 8
  static let parallelism = 1
  /// Shorter passwords are refused when an account is made.
  package static let minimumLength = 12
  package static let maximumLength = 256

  package static func make(_ password: String) throws -> String {
    let salt = SymmetricKey(size: .bits128).withUnsafeBytes { Array($0) }
    let hash = try derive(password, salt: salt, logN: logN, r: blockSize, p: parallelism)
    return
      "scrypt$\(logN)$\(blockSize)$\(parallelism)$\(Data(salt).base64EncodedString())$\(hash.base64EncodedString())"
  }

  /// Compares in constant time; false for anything that is not a hash of this form.
  package static func matches(_ password: String, _ stored: String) -> Bool {
    let fields = stored.split(separator: "$")
    guard fields.count == 6, fields[0] == "scrypt", let logN = Int(fields[1]), (10...18).contains(logN),
      let r = Int(fields[2]), (1...16).contains(r), let p = Int(fields[3]), (1...4).contains(p),
      let salt = Data(base64Encoded: String(fields[4])), !salt.isEmpty,
      let wanted = Data(base64Encoded: String(fields[5])), !password.isEmpty,
      password.utf8.count <= maximumLength,
      let found = try? derive(password, salt: Array(salt), logN: logN, r: r, p: p)
    else { return false }
    return SymmetricKey(data: found) == SymmetricKey(data: wanted)
  }

  /// A hash that no password matches, so that an unknown name takes as long as a known one.
  package static let decoy =
    "scrypt$\(logN)$\(blockSize)$\(parallelism)$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

  private static func derive(_ password: String, salt: [UInt8], logN: Int, r: Int, p: Int) throws -> Data {
    let key = try KDF.Scrypt.deriveKey(
      from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: 1 << logN, blockSize: r,
      parallelism: p)
    return key.withUnsafeBytes { Data($0) }
  }
}
