/// A point or a distance on a stream's media clock, in ticks of 1/90,000 s. Never a wall-clock time.
package struct MediaTime90k: Hashable, Comparable, Sendable {
  package static let ticksPerSecond: Int64 = 90_000
  package var ticks: Int64

  package init(_ ticks: Int64) { self.ticks = ticks }

  package static func < (lhs: Self, rhs: Self) -> Bool { lhs.ticks < rhs.ticks }
  package static func - (lhs: Self, rhs: Self) -> Int64 { lhs.ticks &- rhs.ticks }
}

/// Turns 33-bit time stamps, which wrap every 26.5 hours, into a 64-bit line.
///
/// Each value is taken as the one nearest to the value before it, so a wrap in either direction and a
/// B-frame's step back both come out right. Specification: ISO/IEC 13818-1, 2.4.3.7.
package struct TimestampUnroller: Sendable {
  private var last: Int64?

  package init() {}

  package mutating func unroll(_ value: UInt64) -> MediaTime90k {
    let modulus: Int64 = 1 << 33
    let wrapped = Int64(value & 0x1_FFFF_FFFF)
    guard let last else {
      self.last = wrapped
      return MediaTime90k(wrapped)
    }
    var delta = (wrapped &- last) % modulus
    if delta > modulus / 2 { delta -= modulus }
    if delta < -modulus / 2 { delta += modulus }
    self.last = last &+ delta
    return MediaTime90k(last &+ delta)
  }
}
