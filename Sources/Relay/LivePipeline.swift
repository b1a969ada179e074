package import FragmentedMP4
internal import TransportStream

/// From ordered transport stream bytes to fragments, for one live camera. Pure.
///
/// Pictures refer to those before them: where one is missing, all are left out up to the next that can be decoded alone,
/// and the sound with them; after ``maximumWait_90k`` they are shown as they are, which is better than nothing. The master has
/// everything that came.
///
/// Positions and private data end here: nothing of them reaches relay memory (LIVE-8). Of metadata only the offset
/// of the camera's clock is kept.
package struct LivePipeline: Sendable {
  private static let lagStep_us: Int64 = 100_000
  /// On the camera's time line. Cameras send a picture that can be decoded alone every second or two.
  static let maximumWait_90k: Int64 = 5 * MediaTime90k.ticksPerSecond

  private var demuxer = Demuxer()
  private var muxer: FragmentMuxer
  private var tally = DamageTally()
  private var lag = PictureLag()
  private var picturePID: UInt16?
  private var picture = LiveState.Picture.whole
  /// Decoding time of the first picture that was left out.
  private var leftOutSince: MediaTime90k?
  /// The last reading of the camera's clock; nil while it has not told it.
  // MET-3: the camera's clock comes from KLV or the pictures, and is only reported, never used.
  private var clock: ObservedClock?

  /// - Parameter keepsSound: the regime's switch; otherwise sound is dropped here, before any relay memory (LIVE-8).
  package init(keepsSound: Bool) { muxer = FragmentMuxer(cut: .everyPicture, keepsSound: keepsSound) }

  /// Damage seen, by name.
  package var damage: [String: Int] { tally.total }

  /// How far the camera's clock was ahead when it was last read, its way included; nil while it has not told it.
  package var clockOffset_ms: Int64? { clock.map { $0.offset_us / 1000 } }

  /// What the tile is to say now.
  package var state: LiveState {
    LiveState(picture: picture, lag_ms: lag.lag_us / Self.lagStep_us * Self.lagStep_us / 1000)
  }

  /// - Parameter arrival_us: when these bytes arrived, by the server's clock, in microseconds since 1970 UTC.
  package mutating func push(_ bytes: [UInt8], arrival_us: Int64? = nil) -> [MuxerOutput] {
    var output: [MuxerOutput] = []
    for event in demuxer.push(bytes) {
      switch event {
      case .damage(let found): took(found)
      case .cameraTime(let time):
        if let arrival_us { clock = ObservedClock(time, arrival_us: arrival_us) ?? clock }
      case .metadata: break
      case .configured(let pid, let configuration):
        if configuration.isVideo { picturePID = pid }
        output += muxer.push(event)
      case .program: output += muxer.push(event)
      case .accessUnit(let unit):
        if unit.pid == picturePID {
          if let arrival_us { lag.came(unit.decoding, at: arrival_us) }
          pictureCame(unit)
        }
        if picture != .lost { output += muxer.push(event) }
      }
    }
    return output
  }

  private mutating func took(_ damage: TransportDamage) {
    // A view begins somewhere: nothing is missing in it yet.
    if damage.code == .hole, picturePID == nil { return }
    tally.count(damage)
    switch damage.code {
    case .timestampJump: lag.jumped()
    case .continuity(let pid, _, _), .transportErrorIndicator(let pid), .scrambled(let pid),
      .accessUnitTooLarge(let pid, _), .tooManyUnits(let pid, _), .packetizedStreamMalformed(let pid):
      if pid == picturePID { lost() }
    case .hole: lost()
    default: break
    }
  }

  private mutating func pictureCame(_ unit: AccessUnit) {
    if unit.isRandomAccess {
      picture = .whole
    } else if picture == .lost {
      let since = leftOutSince ?? unit.decoding
      leftOutSince = since
      if (unit.decoding - since).magnitude >= Self.maximumWait_90k { picture = .damaged }
    }
  }

  private mutating func lost() {
    guard picturePID != nil, picture == .whole else { return }
    picture = .lost
    leftOutSince = nil
  }

  /// Damage since the last summary, at most once a second.
  package mutating func damageSummary(now_ms: Int64) -> [String: Int]? { tally.summary(now_ms: now_ms) }
}
