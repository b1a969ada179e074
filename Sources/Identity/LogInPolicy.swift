package import Doctrine

/// When a log-in is slowed down or locked, and how long a session lasts. Pure.
package enum LogInPolicy {
  /// Wrong passwords in a row before an account is locked.
  package static let attemptsBeforeLock = 5
  package static let lock_s: Int64 = 300
  /// A command post's shift.
  package static let sessionAbsolute_s: Int64 = 12 * 3600
  package static let sessionIdle_s: Int64 = 3600

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
  package static let triesPerMinute = 40
  private static let maximumAddresses = 10_000

  private var counts: [String: Int] = [:]
  private var windowStart: UTCTime?

  package init() {}

  /// Whether this address may try once more; a try counts from its beginning, so that many at once are many.
  package mutating func begins(_ address: String, at now: UTCTime) -> Bool {
    turn(at: now)
    guard counts[address, default: 0] < Self.triesPerMinute else { return false }
    counts[address, default: 0] += 1
    return true
  }

  /// A try that was begun succeeded, and does not count.
  package mutating func succeeded(_ address: String) {
    if let count = counts[address], count > 0 { counts[address] = count - 1 }
  }

  private mutating func turn(at now: UTCTime) {
    if windowStart.map({ now >= $0.adding(seconds: 60) || now < $0 }) ?? true || counts.count >= Self.maximumAddresses {
      counts.removeAll(keepingCapacity: true)
      windowStart = now
    }
  }
}
