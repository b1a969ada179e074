internal import TransportStream

/// A picture that can be decoded alone, as an Annex B byte stream with its parameter sets before it.
package struct KeyPicture: Equatable, Sendable {
  package enum Coding: UInt8, Sendable {
    case h264 = 1
    case h265 = 2
  }

  package var coding: Coding
  /// Seconds from the first picture.
  package var offset_s: Double
  package var bytes: [UInt8]
}

/// How far a camera's clock was off by what its stream says.
package struct FoundClock: Equatable, Sendable {
  /// By metadata beside the pictures; else by a time stamp in them.
  package var isMetadata: Bool
  /// The camera's time less the arrival: negative where it is behind, its way included.
  package var offset_ms: Int64
}

/// Finds the key pictures of a transport stream, for the decode check, and what its beginning says of the camera's clock.
package struct KeyPictures: Sendable {
  private var demuxer = Demuxer()
  private var configuration: TrackConfiguration?
  private var pid: UInt16?
  private var first: MediaTime90k?
  private var readings = ClockReadings()

  package init() {}

  /// The camera's clock as the stream's beginning shows it; nil where it says nothing of the time.
  // MET-3.
  package var clock: FoundClock? {
    readings.best.map { FoundClock(isMetadata: $0.source == .metadata, offset_ms: $0.offset_us / 1000) }
  }

  package mutating func push(_ piece: MasterPiece) -> [KeyPicture] {
    guard readings.looks(at: piece.firstArrival_us) else { return find(demuxer.push(piece.bytes)) }
    var found: [KeyPicture] = []
    for slice in piece.slices { found += find(demuxer.push(slice.bytes), arrival_us: slice.arrival_us) }
    return found
  }

  package mutating func finish() -> [KeyPicture] { find(demuxer.finish()) }

  private mutating func find(_ events: [DemuxerEvent], arrival_us: Int64? = nil) -> [KeyPicture] {
    var found: [KeyPicture] = []
    for event in events {
      switch event {
      case .configured(let pid, let configuration) where configuration.isVideo:
        self.configuration = configuration
        self.pid = pid
      case .accessUnit(let unit) where unit.pid == pid && unit.isRandomAccess:
        if first == nil { first = unit.presentation }
        if let picture = picture(unit) { found.append(picture) }
      case .cameraTime(let time):
        if let arrival_us { readings.take(time, arrival_us: arrival_us) }
      default: break
      }
    }
    return found
  }

  private func picture(_ unit: AccessUnit) -> KeyPicture? {
    let sets: [[UInt8]]
    let coding: KeyPicture.Coding
    switch configuration {
    case .h264(let c):
      sets = [c.sequenceParameterSet] + c.pictureParameterSets
      coding = .h264
    case .h265(let c):
      sets = [c.videoParameterSet, c.sequenceParameterSet] + c.pictureParameterSets
      coding = .h265
    default: return nil
    }
    var bytes: [UInt8] = []
    for set in sets { bytes += [0, 0, 0, 1] + set }
    var index = 0
    while index + 4 <= unit.data.count {
      let length = unit.data[index..<(index + 4)].reduce(0) { $0 << 8 | Int($1) }
      guard index + 4 + length <= unit.data.count else { break }
      bytes += [0, 0, 0, 1]
      bytes += unit.data[(index + 4)..<(index + 4 + length)]
      index += 4 + length
    }
    let start = first ?? unit.presentation
    return KeyPicture(
      coding: coding, offset_s: Double(unit.presentation - start) / Double(MediaTime90k.ticksPerSecond), bytes: bytes)
  }
}
