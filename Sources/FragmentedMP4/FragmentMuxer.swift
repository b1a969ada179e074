package import TransportStream

/// What a muxer puts out, in order.
package enum MuxerOutput: Equatable, Sendable {
  /// A new start: everything after it needs these bytes first. `mimeType` names container and codecs.
  case initialization(bytes: [UInt8], mimeType: String)
  /// `startsWithPicture`: a player can start here.
  case fragment(bytes: [UInt8], startsWithPicture: Bool)
}

/// From access units to fragments of an MP4 that never ends.
///
/// The file's time line starts at zero and only goes forward: where the camera's clock jumps, the line goes
/// on from its end, so a player does not stop. A file needs a picture to start: until the first picture
/// that can be decoded alone, sound and pictures are not put out.
package struct FragmentMuxer: Sendable {
  package enum Cut: Sendable {
    /// One fragment per picture, at once: its length is taken from the one before. For live views.
    case everyPicture
    /// One fragment per group of pictures, with exact lengths. For files.
    case everyGroup
  }

  /// 25 pictures a second, until two pictures tell.
  private static let assumedDuration_90k: Int64 = 3600
  /// A picture shown longer than this is a pause of the camera, not a picture.
  private static let maximumDuration_90k: Int64 = 10 * MediaTime90k.ticksPerSecond
  /// Samples held for one fragment at the most (a camera that never sends a key frame again).
  private static let maximumHeldSamples = 4096
  /// Two seconds of pictures wait for a stream that the program names and that does not come.
  private static let maximumEarlyUnits = 60
  private static let maximumEarly_bytes = 8 << 20

  private let cut: Cut
  private let keepsSound: Bool
  private var configurations: [UInt16: TrackConfiguration] = [:]
  private var tracks: [UInt16: Track] = [:]
  private var needsStart = true
  private var sequence: UInt32 = 0
  /// Added to the camera's time to get the file's.
  private var shift: Int64 = 0
  private var lastDecoding: Int64?
  private var end: Int64 = 0
  private var duration: Int64 = Self.assumedDuration_90k
  private var pictures: [Sample] = []
  private var sounds: [Sample] = []
  /// Streams of the program whose configuration is waited for, a moment, before the file begins.
  private var expected: Set<UInt16> = []
  /// Units that came before every stream was known.
  private var early: [AccessUnit] = []
  private var early_bytes = 0
  private var videoPID: UInt16?
  private var audioPID: UInt16?

  package init(cut: Cut, keepsSound: Bool) {
    self.cut = cut
    self.keepsSound = keepsSound
  }

  package mutating func push(_ event: DemuxerEvent) -> [MuxerOutput] {
    switch event {
    case .damage:
      return []
    case .program(let pids):
      expected = Set(pids)
      return []
    case .configured(let pid, let configuration):
      guard configuration.isVideo || keepsSound else { return [] }
      if configuration.isVideo, let videoPID, videoPID != pid, tracks[videoPID] != nil { return [] }
      // A file has one start: sound that comes after it stays in the master only.
      if cut == .everyGroup, !configuration.isVideo, !tracks.isEmpty { return [] }
      let flushed = flush()
      configurations[pid] = configuration
      if configuration.isVideo { videoPID = pid } else { audioPID = pid }
      needsStart = true
      return flushed
    case .accessUnit(let unit):
      guard keepsSound, tracks.isEmpty else { return write(unit) }
      // The first start: a file that began without its sound could not take it up later.
      early.append(unit)
      early_bytes += unit.data.count
      guard knowsAllStreams || early.count >= Self.maximumEarlyUnits || early_bytes >= Self.maximumEarly_bytes else {
        return []
      }
      return writeEarly()
    }
  }

  private var knowsAllStreams: Bool { expected.allSatisfy { configurations[$0] != nil } }

  private mutating func writeEarly() -> [MuxerOutput] {
    let units = early
    early = []
    expected = []
    return units.flatMap { write($0) }
  }

  private mutating func write(_ unit: AccessUnit) -> [MuxerOutput] {
    if unit.pid == videoPID { return picture(unit) }
    if unit.pid == audioPID, keepsSound { return sound(unit) }
    return []
  }

  /// Puts out what is held: the stream is over.
  package mutating func finish() -> [MuxerOutput] { writeEarly() + flush() }

  private mutating func picture(_ unit: AccessUnit) -> [MuxerOutput] {
    var output: [MuxerOutput] = []
    if needsStart {
      guard unit.isRandomAccess else { return [] }
      output.append(start())
    }
    place(unit)
    let decoding = unit.decoding.ticks &+ shift
    if let index = pictures.indices.last {
      pictures[index].duration_90k = UInt32(clamping: decoding - pictures[index].decoding.ticks)
    }
    if cut == .everyGroup, unit.isRandomAccess || pictures.count >= Self.maximumHeldSamples {
      output += flush()
    }
    pictures.append(
      Sample(
        decoding: MediaTime90k(decoding),
        compositionOffset_90k: Int32(clamping: unit.presentation - unit.decoding),
        duration_90k: UInt32(clamping: duration), isRandomAccess: unit.isRandomAccess, data: unit.data))
    end = decoding + duration
    if cut == .everyPicture { output += flush() }
    return output
  }

  private mutating func sound(_ unit: AccessUnit) -> [MuxerOutput] {
    guard !needsStart, let pid = audioPID, tracks[pid] != nil, lastDecoding != nil,
      case .aac(let configuration)? = configurations[pid]
    else { return [] }
    let decoding = unit.decoding.ticks &+ shift
    guard decoding >= 0, abs(decoding - end) < Self.maximumDuration_90k else { return [] }
    let length =
      Int64(AACConfiguration.samplesPerFrame) * MediaTime90k.ticksPerSecond
      / Int64(configuration.samplingRate_hz)
    sounds.append(
      Sample(
        decoding: MediaTime90k(decoding), compositionOffset_90k: 0, duration_90k: UInt32(clamping: length),
        isRandomAccess: true, data: unit.data))
    return sounds.count >= Self.maximumHeldSamples ? flush() : []
  }

  /// Moves the shift so that this picture comes after the one before, however the camera's clock went.
  private mutating func place(_ unit: AccessUnit) {
    let decoding = unit.decoding.ticks
    if let last = lastDecoding {
      let step = decoding &- last
      if step > 0, step <= Self.maximumDuration_90k {
        duration = step
      } else {
        shift = end &- decoding
      }
    } else {
      shift = 0 &- decoding
    }
    lastDecoding = decoding
  }

  private mutating func start() -> MuxerOutput {
    tracks = [:]
    var list: [Track] = []
    for pid in [videoPID, audioPID].compactMap(\.self) {
      guard let configuration = configurations[pid] else { continue }
      let track = Track(id: UInt32(list.count + 1), configuration: configuration)
      tracks[pid] = track
      list.append(track)
    }
    needsStart = false
    let codecs = list.map(\.codec).joined(separator: ",")
    return .initialization(
      bytes: InitializationSegment(tracks: list).bytes, mimeType: "video/mp4; codecs=\"\(codecs)\"")
  }

  private mutating func flush() -> [MuxerOutput] {
    var runs: [(track: UInt32, samples: [Sample])] = []
    if let pid = videoPID, let track = tracks[pid], !pictures.isEmpty { runs.append((track.id, pictures)) }
    if let pid = audioPID, let track = tracks[pid], !sounds.isEmpty { runs.append((track.id, sounds)) }
    let starts = pictures.first?.isRandomAccess ?? false
    pictures.removeAll(keepingCapacity: true)
    sounds.removeAll(keepingCapacity: true)
    guard !runs.isEmpty else { return [] }
    sequence &+= 1
    return [.fragment(bytes: MediaFragment(sequence: sequence, runs: runs).bytes, startsWithPicture: starts)]
  }
}
