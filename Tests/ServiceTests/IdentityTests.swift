import Doctrine
import Testing

@testable import Identity

struct PasswordHashTests {
  @Test func matchesOnlyItsPassword() throws {
    let hash = try PasswordHash.make("une phrase assez longue")
    #expect(PasswordHash.matches("une phrase assez longue", hash))
    #expect(!PasswordHash.matches("une phrase assez longuE", hash))
    #expect(!PasswordHash.matches("", hash))
    #expect(!PasswordHash.matches("x", PasswordHash.decoy))
    #expect(try PasswordHash.make("une phrase assez longue") != hash)
    for broken in ["", "scrypt$", "scrypt$99$8$1$AA==$AA==", "scrypt$15$8$1$$", "md5$1$1$1$AA==$AA=="] {
      #expect(!PasswordHash.matches("x", broken))
    }
  }

  @Test func aLockHasItsEnd() {
    let now = UTCTime(microseconds: 0)
    let locked = now.adding(seconds: LogInPolicy.lock_s)
    #expect(LogInPolicy.isLocked(until: locked, at: now.adding(seconds: 299)))
    #expect(!LogInPolicy.isLocked(until: locked, at: now.adding(seconds: 300)))
    #expect(!LogInPolicy.isLocked(until: nil, at: now))
  }

  // RFC 6238, appendix B: the SHA-1 column, of which six digits are asked for here.
  @Test(arguments: [
    (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
    (2_000_000_000, "279037"), (20_000_000_000, "353130"),
  ])
  func codesAreThoseOfTheSpecification(_ seconds: Int64, _ code: String) {
    let secret = Array("12345678901234567890".utf8)
    #expect(TimeCode.code(secret, step: seconds / 30) == code)
    #expect(TimeCode.matchingStep(code, secret, seconds: seconds + 30) == seconds / 30)
    #expect(TimeCode.matchingStep(code, secret, seconds: seconds + 90) == nil)
    #expect(TimeCode.matchingStep("", secret, seconds: seconds) == nil)
  }

  // RFC 4648, section 10.
  @Test(arguments: [("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")])
  func base32IsThatOfTheSpecification(_ text: String, _ wanted: String) {
    #expect(TimeCode.base32(Array(text.utf8)) == wanted)
  }

  @Test func anAddressHasItsMinute() {
    var limiter = AddressLimiter()
    let now = UTCTime(microseconds: 0)
    for _ in 0..<AddressLimiter.triesPerMinute {
      let allowed = limiter.begins("a", at: now)
      #expect(allowed)
    }
    let blocked = limiter.begins("a", at: now)
    limiter.succeeded("a")
    let again = limiter.begins("a", at: now)
    let other = limiter.begins("b", at: now)
    let later = limiter.begins("a", at: now.adding(seconds: 61))
    #expect(!blocked && again && other && later)
  }

  @Test(arguments: ["a", "A1", "a b", "a\u{0}x", "", "-ab", "é1"])
  func someNamesAreNone(_ name: String) { #expect(!AccountName.isValid(name)) }

  @Test func passphrasesFitSRT() {
    let passphrase = Tokens.passphrase()
    #expect(passphrase.count == 32 && passphrase != Tokens.passphrase())
  }
}
