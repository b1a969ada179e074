import Doctrine

/// Counts calls per name in windows of ten seconds; bounded, and pure.
struct RateLimiter: Sendable {
  static let window_s: Int64 = 10
  /// Names remembered at once; past it the window starts anew, so memory stays bounded under a flood.
  static let maximumNames = 16_384

  private var counts: [String: Int] = [:]
  private var windowStart = MonotonicTime(microseconds: 0)

  /// Whether one more call of this name is within `limit` in this window.
  mutating func allows(_ name: String, limit: Int, at now: MonotonicTime) -> Bool {
    if now.since(windowStart) >= Self.window_s * 1_000_000 || counts.count >= Self.maximumNames {
      counts.removeAll(keepingCapacity: true)
      windowStart = now
    }
    let count = counts[name, default: 0] + 1
    counts[name] = count
    return count <= limit
  }
}
