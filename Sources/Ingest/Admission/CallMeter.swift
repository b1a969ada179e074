import Doctrine

/// How many calls may come: so many a second over time, so many at once.
struct CallBound: Equatable, Sendable {
  var perSecond: Int64
  var atOnce: Int64
}

/// Calls counted against a bound that lets the next one in as time passes, not by windows: whoever uses it up leaves a place
/// free every so often, to whoever calls then. Pure.
struct CallMeter: Sendable {
  /// Millionths of calls that count now.
  private var level: Int64 = 0
  private var since = MonotonicTime(microseconds: 0)

  /// Whether one more is within the bound; counts nothing.
  mutating func hasRoom(in bound: CallBound, at now: MonotonicTime) -> Bool {
    // Past a minute nothing is gained by waiting longer.
    let elapsed_us = min(max(0, now.since(since)), 60_000_000)
    since = now
    level = max(0, level - elapsed_us * bound.perSecond)
    return level <= (bound.atOnce - 1) * 1_000_000
  }

  mutating func count() { level += 1_000_000 }

  /// One that was counted and turned out to cost nobody anything.
  mutating func giveBack() { level = max(0, level - 1_000_000) }
}
