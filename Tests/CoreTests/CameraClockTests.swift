import Doctrine
import Testing

@testable import TransportStream

/// What is known of a camera's clock: readings from its stream, and what of them stands beside a recording.
// MET-3.
struct CameraClockTests {
  private static let begin: Int64 = 1_800_000_000_000_000

  /// A reading of a clock that is ahead by `off_ms`, `delay_ms` under way, `at_ms` from the begin.
  private static func take(
    _ readings: inout ClockReadings, _ at_ms: Int64, off_ms: Int64, delay_ms: Int64,
    _ source: CameraTime.Source = .metadata
  ) {
    let arrival_us = begin + at_ms * 1000
    readings.take(
      CameraTime(pid: 1, source: source, microseconds: arrival_us + (off_ms - delay_ms) * 1000),
      arrival_us: arrival_us)
  }

  @Test func aheadIsPositive() throws {
    let time = CameraTime(pid: 1, source: .picture, microseconds: 5000)
    #expect(ObservedClock(time, arrival_us: 3000)?.offset_us == 2000)
    #expect(ObservedClock(time, arrival_us: 9000)?.offset_us == -4000)
    #expect(ObservedClock(CameraTime(pid: 1, source: .picture, microseconds: .max), arrival_us: -1) == nil)
  }

  @Test(arguments: [0, 1, 2])
  func oneLateReadingDoesNotFlag(_ late: Int) throws {
    var readings = ClockReadings()
    for n in 0..<3 { Self.take(&readings, Int64(n) * 1000, off_ms: 100, delay_ms: n == late ? 8000 : 60) }
    let best = try #require(readings.best)
    #expect(best.offset_us == 40_000)
    #expect(!ClockReading(source: .klv, offset_ms: best.offset_us / 1000).isOff)
  }

  @Test func whatWasHeldBackBeforeTheStartDoesNotFlag() throws {
    var readings = ClockReadings()
    // Thirty seconds of pre-event, sent in three.
    for n in 0...30 { Self.take(&readings, Int64(n) * 100, off_ms: 0, delay_ms: 30_000 - Int64(n) * 900) }
    for n in 0..<20 { Self.take(&readings, 4000 + Int64(n) * 1000, off_ms: 0, delay_ms: 80) }
    #expect(readings.best?.offset_us == -80_000)
  }

  @Test func aClockThatIsOffIsSeenWhateverItsDelays() throws {
    for off_ms: Int64 in [-3_600_000, 10_000] {
      var readings = ClockReadings()
      for n in 0..<10 { Self.take(&readings, Int64(n) * 1000, off_ms: off_ms, delay_ms: Int64(n) * 50 + 40) }
      #expect(readings.best?.offset_us == (off_ms - 40) * 1000)
    }
  }

  @Test func onlyTheBeginningCounts() {
    var readings = ClockReadings()
    let looksAtFirst = readings.looks(at: Self.begin)
    Self.take(&readings, ClockReadings.window_us / 1000 + 1, off_ms: 0, delay_ms: 0)
    let looksAtLate = readings.looks(at: Self.begin + ClockReadings.window_us + 1)
    #expect(looksAtFirst && !looksAtLate && readings.best == nil)
    Self.take(&readings, ClockReadings.window_us / 1000, off_ms: 0, delay_ms: 50)
    #expect(readings.best?.offset_us == -50_000)
  }

  @Test func metadataGoesBeforePictures() {
    var readings = ClockReadings()
    Self.take(&readings, 0, off_ms: 500, delay_ms: 0, .picture)
    #expect(readings.best?.source == .picture)
    Self.take(&readings, 1, off_ms: 0, delay_ms: 100, .metadata)
    #expect(readings.best?.source == .metadata && readings.best?.offset_us == -100_000)
  }

  @Test func noTimeTraps() {
    var readings = ClockReadings()
    for time: Int64 in [.min, .max, 0] {
      for arrival: Int64 in [.min, 0, .max] {
        readings.take(CameraTime(pid: 1, source: .metadata, microseconds: time), arrival_us: arrival)
      }
    }
    #expect(readings.best != nil)
  }

  @Test func theFirstReadingStaysAndTheMarkStays() {
    let first = RecordingClock(ClockReading(source: .device, offset_ms: 40))
    #expect(!first.isOff)
    let later = first.adding(ClockReading(source: .klv, offset_ms: -2001))
    #expect(later == RecordingClock(offset_ms: 40, source: .device, isOff: true))
    #expect(later.adding(ClockReading(source: .device, offset_ms: 0)).isOff)
    #expect(!ClockReading(source: .klv, offset_ms: -2000).isOff && ClockReading(source: .klv, offset_ms: .min).isOff)
    #expect(!ClockReading(source: .klv, offset_ms: .min).isPossible)
  }
}
