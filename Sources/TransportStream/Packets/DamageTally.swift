/// Counts damage by kind and says when a summary is due: at most once a second, and only of what is new.
///
/// Pure: the caller brings the time. As many counters as there are kinds of damage, so its memory is bounded.
package struct DamageTally: Equatable, Sendable {
  /// Milliseconds from one summary to the next at the least.
  package static let interval_ms: Int64 = 1000

  /// Everything since the start, by ``TransportDamage/name``.
  package private(set) var total: [String: Int] = [:]
  private var fresh: [String: Int] = [:]
  private var last_ms: Int64?

  package init() {}

  package mutating func count(_ damage: TransportDamage) {
    total[damage.name, default: 0] += 1
    fresh[damage.name, default: 0] += 1
  }

  /// What was counted since the last summary, if there is any and its time has come.
  ///
  /// - Parameter now_ms: a clock that does not go back; where it does, the summary is due.
  package mutating func summary(now_ms: Int64) -> [String: Int]? {
    guard !fresh.isEmpty else { return nil }
    if let last_ms, now_ms >= last_ms, now_ms - last_ms < Self.interval_ms { return nil }
    last_ms = now_ms
    defer { fresh = [:] }
    return fresh
  }
}
