/// One frame found in the bytes of a sound stream.
struct SoundFrame: Equatable, Sendable {
  var configuration: TrackConfiguration
  /// Samples it lasts, at ``rate_hz``.
  var samples: Int
  var rate_hz: Int
  var data: [UInt8]
}

/// What a look at the next bytes of a sound stream found. `next` is the offset to go on from.
enum SoundScan: Equatable, Sendable {
  /// `frames` may be several (LATM), or none where only a configuration was read.
  case found(frames: [SoundFrame], next: Int)
  /// The frame's end is not there yet.
  case partial
  /// No frame here; `next` is where another may start.
  case damaged(next: Int)
}
