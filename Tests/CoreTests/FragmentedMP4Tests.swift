import Testing

@testable import FragmentedMP4
@testable import TransportStream

struct FragmentMuxerTests {
  private func outputs(_ name: String, cut: FragmentMuxer.Cut, sound: Bool) throws -> [MuxerOutput] {
    var demuxer = Demuxer()
    var muxer = FragmentMuxer(cut: cut, keepsSound: sound)
    var outputs: [MuxerOutput] = []
    for event in demuxer.push(try Fixture.bytes(name)) + demuxer.finish() { outputs += muxer.push(event) }
    return outputs + muxer.finish()
  }

  private func fragments(_ outputs: [MuxerOutput]) -> [[UInt8]] {
    outputs.compactMap { if case .fragment(let bytes, _) = $0 { bytes } else { nil } }
  }

  private func mimeTypes(_ outputs: [MuxerOutput]) -> [String] {
    outputs.compactMap { if case .initialization(_, let type) = $0 { type } else { nil } }
  }

  /// The tree of boxes as text; fails where a box's size does not fit.
  private func boxes(_ bytes: ArraySlice<UInt8>, deep: Set<String>) -> [String] {
    var names: [String] = []
    var rest = bytes
    while rest.count >= 8 {
      let size = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      let name = String(decoding: rest.dropFirst(4).prefix(4), as: UTF8.self)
      guard size >= 8, size <= rest.count else { return names + ["BROKEN"] }
      names.append(name)
      if deep.contains(name) { names += boxes(rest.dropFirst(8).prefix(size - 8), deep: deep) }
      rest = rest.dropFirst(size)
    }
    return names + (rest.isEmpty ? [] : ["REST"])
  }

  @Test func writesTheBoxesOfAnInitializationSegment() throws {
    let outputs = try outputs("h264-bframes-aac.ts", cut: .everyPicture, sound: true)
    guard case .initialization(let bytes, let type) = outputs.first else {
      Issue.record("no initialization")
      return
    }
    let tree = boxes(bytes[...], deep: ["moov", "trak", "mdia", "minf", "stbl", "mvex"])
    #expect(tree.prefix(3) == ["ftyp", "moov", "mvhd"])
    #expect(tree.filter { $0 == "trak" }.count >= 1)
    #expect(!tree.contains("BROKEN") && !tree.contains("REST"))
    #expect(type.hasPrefix("video/mp4; codecs=\"avc1."))
  }

  @Test func putsOutOneFragmentAPicture() throws {
    let outputs = try outputs("h264-bframes-aac.ts", cut: .everyPicture, sound: false)
    #expect(mimeTypes(outputs).count == 1)
    #expect(fragments(outputs).count == 50)
    #expect(fragments(outputs).allSatisfy { boxes($0[...], deep: ["moof", "traf"]).last == "mdat" })
    #expect(mimeTypes(outputs).allSatisfy { !$0.contains("mp4a") })
  }

  // LIVE-8: sound that the regime does not allow never reaches a fragment.
  @Test func dropsSoundWhereItIsNotKept() throws {
    let silent = try outputs("h264-bframes-aac.ts", cut: .everyPicture, sound: false).flatMap { fragments([$0]) }
    let sounding = try outputs("h264-bframes-aac.ts", cut: .everyPicture, sound: true)
    #expect(mimeTypes(sounding).contains { $0.contains("mp4a.40.2") })
    #expect(silent.reduce(0) { $0 + $1.count } < fragments(sounding).reduce(0) { $0 + $1.count })
  }

  @Test func namesH265() throws {
    let outputs = try outputs("h265.ts", cut: .everyGroup, sound: false)
    #expect(mimeTypes(outputs).first?.hasPrefix("video/mp4; codecs=\"hvc1.1.6.L") ?? false)
  }

  @Test func goesOnWhereTheCamerasClockJumps() {
    var muxer = FragmentMuxer(cut: .everyPicture, keepsSound: false)
    let configuration = TrackConfiguration.h264(
      H264Configuration(sequenceParameterSet: [0x67, 66, 0, 30], pictureParameterSets: [[0x68]], width: 16, height: 16))
    _ = muxer.push(.configured(pid: 1, configuration))
    var times: [Int64] = []
    for stamp: Int64 in [0, 3600, 7200, 9_000_000_000, 9_000_003_600, 100, 3700] {
      let unit = AccessUnit(
        pid: 1, presentation: MediaTime90k(stamp), decoding: MediaTime90k(stamp), isRandomAccess: stamp == 0,
        data: [0, 0, 0, 1, 0x65])
      for case .fragment(let bytes, _) in muxer.push(.accessUnit(unit)) { times.append(decodeTime(bytes)) }
    }
    #expect(times == [0, 3600, 7200, 10_800, 14_400, 18_000, 21_600])
  }

  /// baseMediaDecodeTime of the first tfdt.
  private func decodeTime(_ bytes: [UInt8]) -> Int64 {
    let name = Array("tfdt".utf8)
    for index in 0..<(bytes.count - 16) where Array(bytes[index..<(index + 4)]) == name {
      return bytes[(index + 8)..<(index + 16)].reduce(0) { $0 << 8 | Int64($1) }
    }
    return -1
  }
}
