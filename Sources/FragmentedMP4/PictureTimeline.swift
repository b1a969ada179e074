internal import TransportStream

/// Where each picture stands on the file's own line, which starts at zero and only goes forward.
///
/// The rule, with its reasons, is in `docs/design/demuxing.md`. In short: a step of the camera's clock is kept
/// where it can be a picture's; where the clock went back, stood still or jumped, the line goes on from its end.
/// Live, a step is also no longer than a browser follows without waiting for the next start.
struct PictureTimeline: Sendable {
  /// 25 pictures a second, until two pictures tell.
  static let assumedStep_90k: Int64 = 3600
  /// A file: a picture shown longer than this is a pause of the camera, not a picture.
  static let maximumStep_90k: Int64 = 10 * MediaTime90k.ticksPerSecond
  /// Live: what a viewer waits for at the most where a camera paused; more of a pause is left out.
  static let maximumLiveStep_90k: Int64 = MediaTime90k.ticksPerSecond
  /// The longest step is forgotten by a 128th with each picture: within some ten seconds.
  private static let fading: Int64 = 128

  let isLive: Bool
  /// Added to the camera's time to get the file's.
  private(set) var shift: Int64 = 0
  /// End of the last picture as far as it is known.
  private(set) var end: Int64 = 0
  private var lastDecoding: Int64?
  private var position: Int64 = 0
  private var step: Int64 = assumedStep_90k
  private var longest: Int64 = 0
  private var declared: Int64 = assumedStep_90k

  init(isLive: Bool) { self.isLive = isLive }

  var hasBegun: Bool { lastDecoding != nil }

  struct Place: Equatable, Sendable {
    var decoding: Int64
    /// How long the picture is said to last, until the next one tells.
    var duration: Int64
  }

  /// The place of the next picture, in decoding order.
  mutating func place(decoding: Int64, presentation: Int64) -> Place {
    if let last = lastDecoding {
      let real = decoding &- last
      // A media source drops all up to the next start where a decoding time steps further than twice the
      // duration of the picture before (Media Source Extensions, coded frame processing, 6).
      let allowed = isLive ? min(2 * declared, Self.maximumLiveStep_90k) : Self.maximumStep_90k
      if real > 0, real <= allowed {
        step = real
        position &+= real
      } else {
        if isLive, real > 0, real <= Self.maximumStep_90k { step = allowed }
        position &+= step
        shift = position &- decoding
      }
      longest = max(real > 0 ? min(real, Self.maximumLiveStep_90k) : 0, longest - longest / Self.fading)
    } else {
      // Nothing is shown before zero, where a sender shows a picture before it is decoded.
      shift = 0 &- min(decoding, presentation)
      position = decoding &+ shift
    }
    lastDecoding = decoding
    // Half of the longest step would do for that step not to be left out when it comes again; three quarters
    // leave it some fifty pictures to come.
    declared = isLive ? max(step, longest * 3 / 4) : step
    end = position &+ step
    return Place(decoding: position, duration: declared)
  }
}
