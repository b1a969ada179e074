internal import Crypto

/// Codes of the second factor.
///
/// Specification: RFC 6238 (TOTP) over RFC 4226 (HOTP): HMAC-SHA-1, 30 s steps, six digits, which is what code
/// generators understand.
// ACC-8.
package enum TimeCode {
  package static let step_s: Int64 = 30
  package static let digits = 6
  /// Steps before and after the server's own that are good: a phone's clock may be off by this much.
  static let tolerance: Int64 = 1

  /// 160 random bits, as RFC 4226 asks of an HMAC-SHA-1 key.
  package static func newSecret() -> [UInt8] {
    SymmetricKey(size: .init(bitCount: 160)).withUnsafeBytes { Array($0) }
  }

  package static func code(_ secret: [UInt8], step: Int64) -> String {
    let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> Int64(56 - 8 * $0)) }
    let mac = Array(HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret)))
    let offset = Int(mac[mac.count - 1] & 0x0F)
    let number =
      UInt32(mac[offset] & 0x7F) << 24 | UInt32(mac[offset + 1]) << 16 | UInt32(mac[offset + 2]) << 8
      | UInt32(mac[offset + 3])
    let text = String(number % 1_000_000)
    return String(repeating: "0", count: digits - text.count) + text
  }

  /// The time step that a code is good for now; nil where it is good for none.
  package static func matchingStep(_ code: String, _ secret: [UInt8], seconds: Int64) -> Int64? {
    guard code.utf8.count == digits else { return nil }
    let now = seconds / step_s
    return (now - tolerance...now + tolerance).first { Self.code(secret, step: $0) == code }
  }

  /// What a code generator reads, often as a QR code. A secret: shown once, over TLS, and never logged.
  package static func uri(_ secret: [UInt8], account: String) -> String {
    "otpauth://totp/Plastron:\(account)?secret=\(base32(secret))&issuer=Plastron&algorithm=SHA1&digits=6&period=30"
  }

  /// Base32 without padding. Specification: RFC 4648, 6.
  package static func base32(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    var out = ""
    var group: UInt32 = 0
    var held = 0
    for byte in bytes {
      group = group << 8 | UInt32(byte)
      held += 8
      while held >= 5 {
        held -= 5
        out.append(alphabet[Int(group >> UInt32(held) & 31)])
      }
    }
    if held > 0 { out.append(alphabet[Int(group << UInt32(5 - held) & 31)]) }
    return out
  }

  package static let recoveryCodes = 10

  /// Codes for the day the generator is lost: 80 random bits each.
  package static func newRecoveryCodes() -> [String] {
    (0..<recoveryCodes).map { _ in
      let text = base32(SymmetricKey(size: .init(bitCount: 80)).withUnsafeBytes { Array($0) }).lowercased()
      return stride(from: 0, to: 16, by: 4).map { String(text.dropFirst($0).prefix(4)) }.joined(separator: "-")
    }
  }
}
