/// Local legal time as a table of the moments at which its distance from UTC changes.
///
/// The table comes in from outside (the system's time-zone data for Europe/Paris); the arithmetic is here.
package struct LegalCalendar: Sendable {
  package struct Transition: Equatable, Sendable {
    /// Seconds since 1970, UTC, from which the offset holds.
    package var from_s: Int64
    /// Seconds east of UTC.
    package var offset_s: Int64

    package init(from_s: Int64, offset_s: Int64) {
      self.from_s = from_s
      self.offset_s = offset_s
    }
  }

  private let transitions: [Transition]
  private let initialOffset_s: Int64

  /// - Parameter transitions: in order of time; before the first, `initialOffset_s` holds.
  package init(initialOffset_s: Int64, transitions: [Transition]) {
    self.initialOffset_s = initialOffset_s
    self.transitions = transitions.sorted { $0.from_s < $1.from_s }
  }

  /// Seconds east of UTC at a time.
  package func offset(at time: UTCTime) -> Int64 {
    var low = 0
    var high = transitions.count
    while low < high {
      let middle = (low + high) / 2
      if transitions[middle].from_s <= time.seconds { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? initialOffset_s : transitions[low - 1].offset_s
  }

  /// The local day a time falls on.
  package func day(of time: UTCTime) -> LocalDate {
    LocalDate(daysSince1970: Int((time.seconds + offset(at: time)).flooredDivision(by: 86_400)))
  }

  /// The first moment of a local day. Legal time never changes at midnight in France, so it exists and is one.
  package func start(of day: LocalDate) -> UTCTime {
    let naive = Int64(day.daysSince1970) * 86_400
    var guess = UTCTime(microseconds: (naive - initialOffset_s) * 1_000_000)
    for _ in 0..<2 { guess = UTCTime(microseconds: (naive - offset(at: guess)) * 1_000_000) }
    return guess
  }
}
