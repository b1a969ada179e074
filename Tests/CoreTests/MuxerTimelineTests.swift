import Testing

@testable import FragmentedMP4
@testable import TransportStream

/// The file's line: it only goes forward, and a browser can follow it without a stop.
struct MuxerTimelineTests {
  private static let picture: UInt16 = 1
  private static let sound: UInt16 = 2
  private static let video = TrackConfiguration.h264(
    H264Configuration(sequenceParameterSet: [0x67, 66, 0, 30], pictureParameterSets: [[0x68]], width: 16, height: 16))
  private static let audio = TrackConfiguration.opus(OpusConfiguration(channels: 1))

  private func picture(_ decoding: Int64, _ presentation: Int64? = nil, key: Bool = false) -> DemuxerEvent {
    .accessUnit(
      AccessUnit(
        pid: Self.picture, presentation: MediaTime90k(presentation ?? decoding), decoding: MediaTime90k(decoding),
        isRandomAccess: key, data: [0, 0, 0, 1, 0x65]))
  }

  /// 20 ms.
  private func frame(_ time: Int64) -> DemuxerEvent {
    .accessUnit(
      AccessUnit(
        pid: Self.sound, presentation: MediaTime90k(time), decoding: MediaTime90k(time), isRandomAccess: true,
        data: [1], sound: AccessUnit.Length(samples: 960, rate_hz: 48_000)))
  }

  private func outputs(_ events: [DemuxerEvent], cut: FragmentMuxer.Cut = .everyPicture, sound: Bool = false)
    -> [MuxerOutput]
  {
    var muxer = FragmentMuxer(cut: cut, keepsSound: sound)
    let pids = sound ? [Self.picture, Self.sound] : [Self.picture]
    var all = muxer.push(.program(pids: pids)) + muxer.push(.configured(pid: Self.picture, Self.video))
    if sound { all += muxer.push(.configured(pid: Self.sound, Self.audio)) }
    for event in events { all += muxer.push(event) }
    return all + muxer.finish()
  }

  private func read(_ outputs: [MuxerOutput]) -> FragmentReader {
    FragmentReader(outputs.compactMap { if case .fragment(let bytes, _) = $0 { bytes } else { nil } })
  }

  private func codecs(_ outputs: [MuxerOutput]) -> [Int] {
    outputs.compactMap { output in
      if case .initialization(_, let type) = output { type.split(separator: ",").count } else { nil }
    }
  }

  /// What Media Source Extensions ask of a track, or they drop it up to the next start.
  private func isFollowed(_ entries: [FragmentReader.Entry]) -> Bool {
    zip(entries, entries.dropFirst()).allSatisfy {
      $0.decoding < $1.decoding && $1.decoding - $0.decoding <= 2 * $0.duration
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var stamps: [Int64]
    var live: [Int64]
    var file: [Int64]
    var testDescription: String { name }
  }

  @Test(arguments: [
    Case(name: "even", stamps: [500, 4100, 7700], live: [0, 3600, 7200], file: [0, 3600, 7200]),
    Case(
      name: "stands still", stamps: [0, 3000, 3000, 3000, 6000], live: [0, 3000, 6000, 9000, 12_000],
      file: [0, 3000, 6000, 9000, 12_000]),
    Case(
      name: "goes back, as an encoder that starts anew", stamps: [900_000, 903_600, 0, 3600, 7200],
      live: [0, 3600, 7200, 10_800, 14_400], file: [0, 3600, 7200, 10_800, 14_400]),
    Case(
      name: "jumps an hour", stamps: [0, 3600, 324_000_000, 324_003_600], live: [0, 3600, 7200, 10_800],
      file: [0, 3600, 7200, 10_800]),
    // A pause of 5 s is true in a file; live it is left out but for what a browser follows.
    Case(
      name: "pauses", stamps: [0, 3600, 453_600, 457_200], live: [0, 3600, 10_800, 14_400],
      file: [0, 3600, 453_600, 457_200]),
    Case(
      name: "drifts", stamps: [0, 3601, 7203, 10_806], live: [0, 3601, 7203, 10_806], file: [0, 3601, 7203, 10_806]),
  ])
  func theLineWhereTheClock(_ item: Case) {
    let events = item.stamps.enumerated().map { picture($1, key: $0 == 0) }
    let live = read(outputs(events)).tracks[1] ?? []
    #expect(live.map(\.decoding) == item.live)
    #expect(isFollowed(live))
    #expect((read(outputs(events, cut: .everyGroup)).tracks[1] ?? []).map(\.decoding) == item.file)
  }

  @Test func aVariableRateIsTrueOnceItsLongestStepIsKnown() {
    var stamps: [Int64] = [0]
    for index in 1...60 { stamps.append(stamps[index - 1] + (index % 5 == 0 ? 36_000 : 3000)) }
    let live = read(outputs(stamps.enumerated().map { picture($1, key: $0 == 0) })).tracks[1] ?? []
    #expect(isFollowed(live))
    let steps = zip(live, live.dropFirst()).map { $1.decoding - $0.decoding }
    #expect(steps.dropFirst(15).allSatisfy { $0 == 3000 || $0 == 36_000 })
  }

  @Test func whateverTheClockDoesABrowserCanFollow() {
    var random = SeededGenerator(state: 11)
    for _ in 0..<200 {
      var now = Int64.random(in: -1_000_000...9_000_000_000, using: &random)
      var events: [DemuxerEvent] = []
      var heard = now
      for index in 0..<120 {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: now += .random(in: -9_000_000_000...9_000_000_000, using: &random)
        case 1: now -= .random(in: 0...200_000, using: &random)
        case 2: now += .random(in: 0...900_000, using: &random)
        case 3: break
        default: now += 3600
        }
        heard = Int.random(in: 0..<10, using: &random) == 0 ? now : heard + 3600
        events.append(picture(now, now + .random(in: -3600...7200, using: &random), key: index % 25 == 0))
        events += [frame(heard), frame(heard + 1800)]
      }
      let outputs = outputs(events, sound: true)
      for (_, entries) in read(outputs).tracks {
        #expect(isFollowed(entries.filter { $0.size == 5 }))
        #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.decoding < $1.decoding })
        #expect(entries.allSatisfy { $0.duration > 0 && $0.duration <= PictureTimeline.maximumLiveStep_90k * 6 })
      }
    }
  }

  @Test func nothingIsShownBeforeZero() {
    let events = [picture(9000, 5400, key: true), picture(12_600, 12_600)]
    #expect((read(outputs(events)).tracks[1] ?? []).map(\.presentation) == [0, 7200])
  }

  @Test func soundFollowsItselfWithoutHolesAndDriftIsCorrected() {
    var timeline = SoundTimeline()
    let length = AccessUnit.Length(samples: 1024, rate_hz: 44_100)
    // The true length is 2089.8 ticks; the sender's clock says 2092.
    let places = (0..<2000).compactMap { timeline.place(time: Int64($0) * 2092, length: length) }
    #expect(places.count == 2000)
    #expect(zip(places, places.dropFirst()).allSatisfy { $1.decoding == $0.decoding + $0.duration + $1.hole })
    #expect(places.enumerated().allSatisfy { abs($1.decoding - Int64($0) * 2092) <= 1046 })
    #expect(places.filter { $0.hole > 0 }.count <= 5)
    // Slower than it plays: a frame is left out now and then.
    var slow = SoundTimeline()
    let kept = (0..<2000).compactMap { slow.place(time: Int64($0) * 2087, length: length) }
    #expect((1990..<2000).contains(kept.count))
  }

  @Test func aHoleInTheSoundIsBridged() {
    var events: [DemuxerEvent] = [picture(0, key: true)]
    for index: Int64 in 1...20 {
      if !(5...7).contains(index) { events += [frame(index * 3600 - 3600), frame(index * 3600 - 1800)] }
      events.append(picture(index * 3600))
    }
    let sound = read(outputs(events, sound: true)).tracks[2] ?? []
    #expect(zip(sound, sound.dropFirst()).allSatisfy { $1.decoding == $0.decoding + $0.duration })
    #expect(sound.map(\.duration).max() == Int64(12_600))
  }

  @Test func soundThatFallsSilentIsTakenOutAtTheNextStartAndComesBack() {
    var events: [DemuxerEvent] = []
    for index: Int64 in 0..<250 {
      events.append(picture(index * 3600, key: index % 25 == 0))
      if index < 40 || index > 160 { events += [frame(index * 3600), frame(index * 3600 + 1800)] }
    }
    let outputs = outputs(events, sound: true)
    #expect(codecs(outputs) == [2, 1, 2])
    #expect(codecs(self.outputs(events, cut: .everyGroup, sound: true)) == [2])
    #expect((read(outputs).tracks[1] ?? []).count == 250)
  }

  @Test func aStreamThatEndsIsNotWaitedForByThePlayer() {
    let first = [picture(0, key: true), frame(0), picture(3600), .program(pids: [Self.picture])]
    let outputs = outputs(first + [picture(7200), picture(10_800, key: true), picture(14_400)], sound: true)
    #expect(codecs(outputs) == [2, 1])
    #expect((read(outputs).tracks[1] ?? []).count == 5)
  }

  @Test func anotherPictureStreamStartsAnew() {
    let other: UInt16 = 7
    let key = DemuxerEvent.accessUnit(
      AccessUnit(
        pid: other, presentation: MediaTime90k(50), decoding: MediaTime90k(50), isRandomAccess: true, data: [1]))
    let outputs = outputs([
      picture(90_000, key: true), picture(93_600), .program(pids: [other]), .configured(pid: other, Self.video), key,
    ])
    #expect(codecs(outputs) == [1, 1])
    #expect((read(outputs).tracks[1] ?? []).map(\.decoding) == [0, 3600, 7200])
  }

  @Test func aGroupWithoutEndIsPutOutAtItsBound() {
    var muxer = FragmentMuxer(cut: .everyGroup, keepsSound: false)
    _ = muxer.push(.configured(pid: 1, Self.video))
    var largest = 0
    for index in 0..<50 {
      let unit = AccessUnit(
        pid: 1, presentation: MediaTime90k(Int64(index) * 3600), decoding: MediaTime90k(Int64(index) * 3600),
        isRandomAccess: index == 0, data: [UInt8](repeating: 0, count: 4 << 20))
      for case .fragment(let bytes, _) in muxer.push(.accessUnit(unit)) { largest = max(largest, bytes.count) }
    }
    #expect(largest > 16 << 20 && largest < 33 << 20)
  }

  @Test func opusHasItsBox() {
    let bytes = InitializationSegment(tracks: [Track(id: 1, configuration: Self.audio)]).bytes
    let entry = FragmentReader.boxes(bytes[...], ["moov", "trak", "mdia", "minf", "stbl", "stsd"]).first ?? []
    let opus = FragmentReader.boxes(entry.dropFirst(8), ["Opus"]).first ?? []
    let box = FragmentReader.boxes(opus.dropFirst(28), ["dOps"]).first ?? []
    #expect(Array(box) == [0, 1, 0, 0, 0, 0, 0xBB, 0x80, 0, 0, 0])
    #expect(Track(id: 1, configuration: Self.audio).codec == "opus")
  }
}
