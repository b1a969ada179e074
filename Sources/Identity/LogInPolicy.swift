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

/// What an account may be called; the register's own rule.
package enum AccountName {
  package static func isValid(_ name: String) -> Bool {
    let units = Array(name.utf8)
    func isPlain(_ unit: UInt8) -> Bool { (97...122).contains(unit) || (48...57).contains(unit) }
    guard (2...64).contains(units.count), isPlain(units[0]) else { return false }
    return units.allSatisfy { isPlain($0) || [0x2E, 0x5F, 0x2D].contains($0) }
  }
}

/// Failed log-ins per address: a bounded count in windows of a minute. A whole post may share one address, so
/// log-ins that succeed do not count.
package struct AddressLimiter: Sendable {
  package static let triesPerMinute = 20
  private static let maximumAddresses = 10_000

  private var counts: [String: Int] = [:]
  private var windowStart: UTCTime?

  package init() {}

  /// Whether this address may try once more.
  package mutating func allows(_ address: String, at now: UTCTime) -> Bool {
    turn(at: now)
    return counts[address, default: 0] < Self.triesPerMinute
  }

  /// A try of this address failed.
  package mutating func failed(_ address: String, at now: UTCTime) {
    turn(at: now)
    counts[address, default: 0] += 1
  }

  private mutating func turn(at now: UTCTime) {
    if windowStart.map({ now >= $0.adding(seconds: 60) || now < $0 }) ?? true || counts.count >= Self.maximumAddresses {
      counts.removeAll(keepingCapacity: true)
      windowStart = now
    }
  }
}
