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

  @Test func fiveWrongPasswordsLock() {
    let now = UTCTime(microseconds: 0)
    var attempts = 0
    var locked: UTCTime?
    for _ in 0..<LogInPolicy.attemptsBeforeLock {
      (attempts, locked) = LogInPolicy.afterFailure(attempts: attempts, at: now)
    }
    #expect(LogInPolicy.isLocked(until: locked, at: now.adding(seconds: 299)))
    #expect(!LogInPolicy.isLocked(until: locked, at: now.adding(seconds: 300)))
  }

  @Test func anAddressHasItsMinute() {
    var limiter = AddressLimiter()
    let now = UTCTime(microseconds: 0)
    for _ in 0..<AddressLimiter.triesPerMinute {
      let allowed = limiter.allows("a", at: now)
      #expect(allowed)
      limiter.failed("a", at: now)
    }
    let blocked = limiter.allows("a", at: now)
    let other = limiter.allows("b", at: now)
    let later = limiter.allows("a", at: now.adding(seconds: 61))
    #expect(!blocked && other && later)
  }

  @Test(arguments: ["a", "A1", "a b", "a\u{0}x", "", "-ab", "é1"])
  func someNamesAreNone(_ name: String) { #expect(!AccountName.isValid(name)) }

  @Test func passphrasesFitSRT() {
    let passphrase = Tokens.passphrase()
    #expect(passphrase.count == 32 && passphrase != Tokens.passphrase())
  }
}
