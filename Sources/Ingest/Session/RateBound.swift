import Doctrine

/// How much a camera may send: its bound over time, and a grace of some seconds' worth at once. Pure.
///
/// A camera that was cut off for a while sends what it kept as fast as the link takes it: the grace is for that.
struct RateBound: Sendable {
  /// Seconds of its bound that a camera may send at once.
  static let grace_s = 10

  private let bytesPerSecond: Int64
  private var left_bytes: Int64
  private var since: MonotonicTime

  init(maximum_kbps: Int, at now: MonotonicTime) {
    bytesPerSecond = Int64(max(1, maximum_kbps)) * 125
    left_bytes = bytesPerSecond * Int64(Self.grace_s)
    since = now
  }

  /// Takes what came; false once it was more than may come.
  mutating func took(_ bytes: Int, at now: MonotonicTime) -> Bool {
    let elapsed_us = now.since(since)
    if elapsed_us >= 10_000 {
      since = now
      // Past the grace nothing is gained by waiting longer.
      let gained = min(elapsed_us, Int64(Self.grace_s) * 1_000_000) * bytesPerSecond / 1_000_000
      left_bytes = min(left_bytes + gained, bytesPerSecond * Int64(Self.grace_s))
    }
    left_bytes -= Int64(bytes)
    return left_bytes >= 0
  }
}
