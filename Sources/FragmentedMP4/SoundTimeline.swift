internal import TransportStream

/// Where each frame of sound stands on the file's line: one after the other, close to its own time.
///
/// A frame that is off by less than half of itself follows the one before without a hole: stamps are rounded, and
/// drift is corrected a frame at a time. One that would lie over what was put out already is left out.
struct SoundTimeline: Sendable {
  /// A hole up to this is bridged by the frame beside it; a longer one is silence.
  static let maximumBridge_90k: Int64 = MediaTime90k.ticksPerSecond

  /// End of the last frame.
  private(set) var end: Int64?
  /// What rounding to 1/90,000 s has left over, in 1/rate.
  private var remainder: Int64 = 0

  struct Place: Equatable, Sendable {
    var decoding: Int64
    var duration: Int64
    /// Time between the end of the frame before and this one.
    var hole: Int64
  }

  /// The place of a frame that should begin at `time`; nil where it is left out.
  mutating func place(time: Int64, length: AccessUnit.Length) -> Place? {
    let rate = Int64(max(1, length.rate_hz))
    let scaled = Int64(length.samples) * MediaTime90k.ticksPerSecond + remainder
    let duration = scaled / rate
    var start = max(0, time)
    var hole: Int64 = 0
    if let end {
      let off = start - end
      guard off >= -duration / 2 else { return nil }
      if off <= duration / 2 { start = end } else { hole = off }
    } else if time < 0 {
      return nil
    }
    remainder = scaled % rate
    end = start + duration
    return Place(decoding: start, duration: duration, hole: hole)
  }
}
