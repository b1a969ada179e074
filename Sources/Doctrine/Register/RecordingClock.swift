/// Where what is known of a camera's clock came from.
// MET-3.
package enum ClockSource: String, CaseIterable, Sendable, Codable {
  /// The camera told by the device API.
  case device
  /// Metadata beside the pictures (MISB ST 0601).
  case klv
  /// A time stamp in the pictures (MISB ST 0604).
  case picture
}

/// What one source said of a camera's clock.
package struct ClockReading: Equatable, Sendable, Codable {
  /// Offsets that are no nonsense: some 9,500 years. The register takes no others.
  package static let possible_ms: ClosedRange<Int64> = -300_000_000_000_000...300_000_000_000_000

  package var source: ClockSource
  /// How far the camera's clock was ahead of the server's; negative where it is behind. The way that the reading took is
  /// inside the figure: it can only make a clock seem further behind.
  package var offset_ms: Int64

  package init(source: ClockSource, offset_ms: Int64) {
    self.source = source
    self.offset_ms = offset_ms
  }

  package var isOff: Bool { offset_ms.magnitude > UInt64(CameraClock.bound_ms) }
  package var isPossible: Bool { Self.possible_ms.contains(offset_ms) }
}

/// What stands beside a recording of its camera's clock.
package struct RecordingClock: Equatable, Sendable, Codable {
  /// The first reading's, as ``ClockReading/offset_ms``.
  package var offset_ms: Int64
  package var source: ClockSource
  /// A reading of this recording was beyond the bound.
  package var isOff: Bool

  package init(offset_ms: Int64, source: ClockSource, isOff: Bool) {
    self.offset_ms = offset_ms
    self.source = source
    self.isOff = isOff
  }

  package init(_ reading: ClockReading) {
    self.init(offset_ms: reading.offset_ms, source: reading.source, isOff: reading.isOff)
  }

  /// With one more reading: the offset stays the first that was known, the mark stays once it is set.
  package func adding(_ reading: ClockReading) -> RecordingClock {
    RecordingClock(offset_ms: offset_ms, source: source, isOff: isOff || reading.isOff)
  }
}
