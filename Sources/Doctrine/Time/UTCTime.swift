/// A wall-clock time: microseconds since 1970-01-01T00:00:00Z. What is stored and shown (MET-4).
package struct UTCTime: Hashable, Comparable, Sendable, Codable {
  package var microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  package init(from decoder: any Decoder) throws {
    microseconds = try decoder.singleValueContainer().decode(Int64.self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(microseconds)
  }

  package var seconds: Int64 { microseconds.flooredDivision(by: 1_000_000) }

  package static func < (lhs: Self, rhs: Self) -> Bool { lhs.microseconds < rhs.microseconds }

  package func adding(seconds: Int64) -> Self { Self(microseconds: microseconds &+ seconds &* 1_000_000) }
}

/// A time on a clock that only goes forward and has no date: microseconds since some start. For delays.
package struct MonotonicTime: Hashable, Comparable, Sendable {
  package var microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  package static func < (lhs: Self, rhs: Self) -> Bool { lhs.microseconds < rhs.microseconds }

  package func adding(seconds: Int64) -> Self { Self(microseconds: microseconds &+ seconds &* 1_000_000) }

  /// Microseconds from `earlier` to this time.
  package func since(_ earlier: Self) -> Int64 { microseconds &- earlier.microseconds }
}

extension Int64 {
  func flooredDivision(by divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}
