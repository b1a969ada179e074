/// What the program clock of a stream says against the server's: lag, drift, restarts. Pure.
///
/// Only differences count: the clock's zero is the encoder's own affair. The best transit seen so far is the base line; how
/// far an arrival is behind it is the lag.
///
/// Specification: ISO/IEC 13818-1, 2.4.2 (system clock, within 30 millionths), 2.4.3.5 (program clock reference).
struct ProgramClock: Equatable, Sendable {
  /// A clock this far ahead of the best transit did not travel faster: it was set.
  static let jump_us: Int64 = 1_000_000
  /// A clock that goes back by more than this was set: packets come in order here.
  static let back_us: Int64 = 100_000
  /// How fast the base line forgets, in millionths: several times what a clock may drift.
  static let forgetting_ppm: Int64 = 200
  /// Drift is told once it was looked at for this long.
  static let driftAfter_us: Int64 = 60_000_000
  static let window_us: Int64 = 10_000_000
  /// Another clock is followed once the first has been silent for this long.
  static let silence_us: Int64 = 5_000_000

  private struct Window: Equatable, Sendable {
    var start_us: Int64
    var best_us: Int64
  }

  private var pid: UInt16?
  private var last_90k: UInt64 = 0
  private var lastArrival_us: Int64 = 0
  /// Time on the stream's clock since it was first seen, in 90 kHz.
  private var position_90k: Int64 = 0
  private var baseline_us: Int64 = 0
  private var first: Window?
  private var current: Window?
  /// How far the last arrival was behind the base line, in microseconds; nil before any clock.
  private(set) var lag_us: Int64?
  private(set) var drift_ppm: Double?
  private(set) var restarts: Int64 = 0

  /// A clock reference of 33 bits at 90 kHz arrived.
  mutating func ticked(pid: UInt16, clock_90k: UInt64, at arrival_us: Int64) {
    if self.pid != pid {
      guard self.pid == nil || arrival_us - lastArrival_us >= Self.silence_us else { return }
      begin(pid, clock_90k, arrival_us)
      return
    }
    var step = Int64((clock_90k &- last_90k) & 0x1_FFFF_FFFF)
    if step > 1 << 32 { step -= 1 << 33 }
    let elapsed_us = max(0, arrival_us - lastArrival_us)
    let transit_us = arrival_us - (position_90k + step) * 100 / 9
    let floor_us = baseline_us + elapsed_us * Self.forgetting_ppm / 1_000_000
    if step < -Self.back_us * 9 / 100 || transit_us < floor_us - Self.jump_us {
      restarts += 1
      begin(pid, clock_90k, arrival_us)
      return
    }
    position_90k += step
    last_90k = clock_90k
    lastArrival_us = arrival_us
    baseline_us = min(floor_us, transit_us)
    lag_us = transit_us - baseline_us
    follow(transit_us, arrival_us)
  }

  private mutating func begin(_ pid: UInt16, _ clock_90k: UInt64, _ arrival_us: Int64) {
    self.pid = pid
    last_90k = clock_90k
    lastArrival_us = arrival_us
    position_90k = 0
    baseline_us = arrival_us
    lag_us = 0
    first = nil
    current = nil
    drift_ppm = nil
  }

  /// Drift from the best transits of the first window and of the last whole one.
  private mutating func follow(_ transit_us: Int64, _ arrival_us: Int64) {
    guard var window = current else {
      current = Window(start_us: arrival_us, best_us: transit_us)
      return
    }
    if arrival_us - window.start_us < Self.window_us {
      window.best_us = min(window.best_us, transit_us)
      current = window
      return
    }
    if let first {
      let span_us = window.start_us - first.start_us
      if span_us >= Self.driftAfter_us {
        drift_ppm = -Double(window.best_us - first.best_us) / Double(span_us) * 1e6
      }
    } else {
      first = window
    }
    current = Window(start_us: arrival_us, best_us: transit_us)
  }
}
