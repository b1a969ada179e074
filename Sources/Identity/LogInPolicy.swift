package import Doctrine

/// When a log-in is slowed down or locked, and how long a session lasts. Pure.
package enum LogInPolicy {
  /// Wrong passwords in a row before an account is locked.
  package static let attemptsBeforeLock = 5
  package static let lock_s: Int64 = 300
  /// A command post's shift.
  package static let sessionAbsolute_s: Int64 = 12 * 3600
  package static let sessionIdle_s: Int64 = 3600

  /// State after a wrong password.
  package static func afterFailure(attempts: Int, at now: UTCTime) -> (attempts: Int, lockedUntil: UTCTime?) {
    let next = attempts + 1
    return next >= attemptsBeforeLock ? (0, now.adding(seconds: lock_s)) : (next, nil)
  }

  package static func isLocked(until: UTCTime?, at now: UTCTime) -> Bool { until.map { now < $0 } ?? false }
}

/// Log-in tries per address: a bounded count in windows of a minute.
package struct AddressLimiter: Sendable {
  package static let triesPerMinute = 20
  private static let maximumAddresses = 10_000

  private var counts: [String: Int] = [:]
  private var windowStart: UTCTime?

  package init() {}

  package mutating func allows(_ address: String, at now: UTCTime) -> Bool {
    if windowStart.map({ now >= $0.adding(seconds: 60) || now < $0 }) ?? true || counts.count >= Self.maximumAddresses {
      counts.removeAll(keepingCapacity: true)
      windowStart = now
    }
    counts[address, default: 0] += 1
    return counts[address, default: 0] <= Self.triesPerMinute
  }
}
