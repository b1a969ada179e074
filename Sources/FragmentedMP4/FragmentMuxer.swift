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
/// The file's time line starts at zero and only goes forward (``PictureTimeline``, ``SoundTimeline``): where the
/// camera's clock jumps, the line goes on from its end, so a player does not stop. A file needs a picture to start:
/// until the first picture that can be decoded alone, sound and pictures are not put out.
package struct FragmentMuxer: Sendable {
  package enum Cut: Sendable {
    /// One fragment per picture, at once: its length is taken from the one before. For live views.
    case everyPicture
    /// One fragment per group of pictures, with exact lengths. For files.
    case everyGroup
  }

  /// Samples held for one fragment at the most (a camera that never sends a key frame again).
  private static let maximumHeldSamples = 4096
  /// Their bytes: a group of 20 s at 12 Mbit/s, or a few pictures of the greatest size.
  private static let maximumHeld_bytes = 32 << 20
  /// Two seconds of pictures wait for a stream that the program names and that does not come.
  private static let maximumEarlyUnits = 60
  private static let maximumEarly_bytes = 8 << 20
  /// Sound further than this from the pictures belongs to the other side of a jump, or is no longer sent.
  private static let maximumLiveDistance_90k: Int64 = 2 * MediaTime90k.ticksPerSecond

  private let cut: Cut
  private let keepsSound: Bool
  private var configurations: [UInt16: TrackConfiguration] = [:]
  private var tracks: [UInt16: Track] = [:]
  private var needsStart = true
  private var sequence: UInt32 = 0
  private var timeline: PictureTimeline
  private var soundTimeline = SoundTimeline()
  private var pictures: [Sample] = []
  private var sounds: [Sample] = []
  private var held_bytes = 0
  /// Streams of the program whose configuration is waited for, a moment, before the file begins.
  private var expected: Set<UInt16> = []
  /// Units that came before every stream was known.
  private var early: [AccessUnit] = []
  private var early_bytes = 0
  private var videoPID: UInt16?
  private var audioPID: UInt16?
  /// End of the pictures when sound was last heard: a track that stays silent would stop a player.
  private var heardAt: Int64?

  package init(cut: Cut, keepsSound: Bool) {
    self.cut = cut
    self.keepsSound = keepsSound
    timeline = PictureTimeline(isLive: cut == .everyPicture)
  }

  package mutating func push(_ event: DemuxerEvent) -> [MuxerOutput] {
    switch event {
    case .damage, .metadata, .cameraTime:
      return []
    case .program(let pids):
      return follow(Set(pids))
    case .configured(let pid, let configuration):
      return configure(pid, configuration)
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

  /// Puts out what is held: the stream is over.
  package mutating func finish() -> [MuxerOutput] { writeEarly() + flush() }

  private var knowsAllStreams: Bool { expected.allSatisfy { configurations[$0] != nil } }

  /// Other streams are followed: what is not named any more has ended, and the rest starts anew without it.
  private mutating func follow(_ pids: Set<UInt16>) -> [MuxerOutput] {
    if tracks.isEmpty { expected = pids }
    guard configurations.keys.contains(where: { !pids.contains($0) }) else { return [] }
    let output = writeEarly() + flush()
    configurations = configurations.filter { pids.contains($0.key) }
    if let pid = videoPID, configurations[pid] == nil {
      videoPID = nil
      needsStart = true
    }
    if let pid = audioPID, configurations[pid] == nil { audioPID = nil }
    return output
  }

  private mutating func configure(_ pid: UInt16, _ configuration: TrackConfiguration) -> [MuxerOutput] {
    guard configuration.isVideo || keepsSound else { return [] }
    // A file has one start: sound that comes after it stays in the master only.
    if cut == .everyGroup, !configuration.isVideo, !tracks.isEmpty { return [] }
    let output = configuration.isVideo ? flush() : []
    configurations[pid] = configuration
    if configuration.isVideo {
      videoPID = pid
      needsStart = true
    } else {
      // Pictures go on; the sound joins them at the next start.
      audioPID = pid
      heardAt = timeline.end
    }
    return output
  }

  private mutating func writeEarly() -> [MuxerOutput] {
    let units = early
    early = []
    early_bytes = 0
    expected = []
    return units.flatMap { write($0) }
  }

  private mutating func write(_ unit: AccessUnit) -> [MuxerOutput] {
    if unit.pid == videoPID { return picture(unit) }
    if unit.pid == audioPID, keepsSound { return sound(unit) }
    return []
  }

  private mutating func picture(_ unit: AccessUnit) -> [MuxerOutput] {
    var output: [MuxerOutput] = []
    if unit.isRandomAccess, needsStart || soundChanged {
      output += flush()
      output.append(start())
    }
    guard !needsStart else { return output }
    let place = timeline.place(decoding: unit.decoding.ticks, presentation: unit.presentation.ticks)
    if let index = pictures.indices.last {
      pictures[index].duration_90k = UInt32(clamping: place.decoding - pictures[index].decoding.ticks)
    }
    if cut == .everyGroup, unit.isRandomAccess || isFull(with: unit) { output += flush() }
    pictures.append(
      Sample(
        decoding: MediaTime90k(place.decoding),
        compositionOffset_90k: Int32(clamping: unit.presentation - unit.decoding),
        duration_90k: UInt32(clamping: place.duration), isRandomAccess: unit.isRandomAccess, data: unit.data))
    held_bytes += unit.data.count
    if cut == .everyPicture { output += flush() }
    return output
  }

  private func isFull(with unit: AccessUnit) -> Bool {
    pictures.count >= Self.maximumHeldSamples || held_bytes + unit.data.count > Self.maximumHeld_bytes
  }

  /// Live: whether the sound that is sent now is not what the viewers were told of. A track that stays silent
  /// stops a player, so it is taken out at a start and comes back at one.
  private var soundChanged: Bool {
    guard cut == .everyPicture else { return false }
    let told = tracks.values.first { !$0.configuration.isVideo }?.configuration
    return told != currentSound
  }

  private var currentSound: TrackConfiguration? {
    guard let audioPID, let configuration = configurations[audioPID] else { return nil }
    guard cut == .everyPicture, timeline.hasBegun else { return configuration }
    guard let heardAt, timeline.end - heardAt <= Self.maximumLiveDistance_90k else { return nil }
    return configuration
  }

  private mutating func sound(_ unit: AccessUnit) -> [MuxerOutput] {
    guard let length = unit.sound, timeline.hasBegun else { return [] }
    let time = unit.decoding.ticks &+ timeline.shift
    let limit = cut == .everyPicture ? Self.maximumLiveDistance_90k : PictureTimeline.maximumStep_90k
    guard time >= 0, abs(time &- timeline.end) < limit else { return [] }
    guard !needsStart, let track = tracks[unit.pid], track.configuration == configurations[unit.pid] else {
      heardAt = timeline.end
      return []
    }
    guard var place = soundTimeline.place(time: time, length: length) else { return [] }
    heardAt = timeline.end
    if place.hole > 0 {
      if let index = sounds.indices.last {
        sounds[index].duration_90k = UInt32(clamping: Int64(sounds[index].duration_90k) + place.hole)
      } else if cut == .everyPicture, place.hole <= SoundTimeline.maximumBridge_90k {
        // A hole in what is buffered stops a player: this frame fills it.
        place.decoding -= place.hole
        place.duration += place.hole
      }
    }
    sounds.append(
      Sample(
        decoding: MediaTime90k(place.decoding), compositionOffset_90k: 0,
        duration_90k: UInt32(clamping: place.duration), isRandomAccess: true, data: unit.data))
    held_bytes += unit.data.count
    return sounds.count >= Self.maximumHeldSamples || held_bytes > Self.maximumHeld_bytes ? flush() : []
  }

  private mutating func start() -> MuxerOutput {
    tracks = [:]
    var list: [Track] = []
    if let pid = videoPID, let configuration = configurations[pid] {
      list.append(Track(id: 1, configuration: configuration))
      tracks[pid] = list[0]
    }
    if let pid = audioPID, let configuration = currentSound {
      let track = Track(id: UInt32(list.count + 1), configuration: configuration)
      list.append(track)
      tracks[pid] = track
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
    held_bytes = 0
    guard !runs.isEmpty else { return [] }
    sequence &+= 1
    return [.fragment(bytes: MediaFragment(sequence: sequence, runs: runs).bytes, startsWithPicture: starts)]
  }
}
