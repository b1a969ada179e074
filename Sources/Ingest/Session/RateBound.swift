import Doctrine

/// How much a camera may send: its bound over time, and a grace of some seconds' worth at once. Pure.
///
/// A camera that was cut off for a while sends what it kept as fast as the link takes it: the grace is for that.
struct RateBound: Sendable {
  /// Seconds of its bound that a camera may send at once.
  static let grace_s = 10

  /// What the transport itself may have kept while this end did not read: that is nobody's fault.
  static let minimumGrace_bytes: Int64 = 8 << 20

  let maximum_kbps: Int
  private let bytesPerSecond: Int64
  private let grace_bytes: Int64
  private var left_bytes: Int64
  private var since: MonotonicTime

  init(maximum_kbps: Int, at now: MonotonicTime) {
    self.maximum_kbps = maximum_kbps
    bytesPerSecond = Int64(max(1, maximum_kbps)) * 125
    grace_bytes = max(bytesPerSecond * Int64(Self.grace_s), Self.minimumGrace_bytes)
    left_bytes = grace_bytes
    since = now
  }

  /// Takes what came; false once it was more than may come.
  mutating func took(_ bytes: Int, at now: MonotonicTime) -> Bool {
    let elapsed_us = now.since(since)
    if elapsed_us >= 10_000 {
      since = now
      // Past the grace nothing is gained by waiting longer.
      let gained = min(elapsed_us, 60_000_000) * bytesPerSecond / 1_000_000
      left_bytes = min(left_bytes + gained, grace_bytes)
    }
    left_bytes -= Int64(bytes)
    return left_bytes >= 0
  }
}
