/// How far a camera's clock was from the one that its packets' arrival was noted by.
///
/// The way through encoder and link is inside the figure: a reading that was long under way makes the clock seem late.
// MET-3.
package struct ObservedClock: Equatable, Sendable {
  package var source: CameraTime.Source
  /// The camera's time less the arrival: positive where its clock is ahead, negative where it is behind.
  package var offset_us: Int64

  /// - Parameter arrival_us: in microseconds since 1970 UTC.
  package init?(_ time: CameraTime, arrival_us: Int64) {
    let (offset_us, overflow) = time.microseconds.subtractingReportingOverflow(arrival_us)
    guard !overflow else { return nil }
    source = time.source
    self.offset_us = offset_us
  }
}

/// The clock that the beginning of a recording shows: of each source the reading that was the least delayed.
///
/// A late reading says how long it was under way, not how wrong the clock is: a stalled link, a camera that first sends what it
/// held back. So the furthest ahead counts, of the first ``window_us`` from the first arrival. A clock that is set
/// within that time is known as it was at its furthest ahead. Metadata has a checksum, so it goes before the pictures' time stamp.
package struct ClockReadings: Equatable, Sendable {
  /// A pre-event part is 30 s at the most, and is sent faster than it was recorded.
  package static let window_us: Int64 = 30_000_000

  private var begin_us: Int64?
  private var metadata: ObservedClock?
  private var picture: ObservedClock?

  package init() {}

  /// What is known by now; nil where no reading came.
  package var best: ObservedClock? { metadata ?? picture }

  /// Whether what arrives then is still looked at; the first to be asked about begins the window.
  package mutating func looks(at arrival_us: Int64) -> Bool {
    let begin_us = self.begin_us ?? arrival_us
    self.begin_us = begin_us
    return arrival_us.subtractingReportingOverflow(begin_us).partialValue <= Self.window_us
  }

  package mutating func take(_ time: CameraTime, arrival_us: Int64) {
    guard looks(at: arrival_us), let reading = ObservedClock(time, arrival_us: arrival_us) else { return }
    switch reading.source {
    case .metadata: metadata = Self.ahead(metadata, reading)
    case .picture: picture = Self.ahead(picture, reading)
    }
  }

  private static func ahead(_ known: ObservedClock?, _ reading: ObservedClock) -> ObservedClock {
    guard let known, known.offset_us >= reading.offset_us else { return reading }
    return known
  }
}
