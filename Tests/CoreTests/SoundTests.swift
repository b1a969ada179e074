import Testing

@testable import TransportStream

enum ADTSFrames {
  /// AAC-LC, mono.
  static func frame(_ payload: [UInt8], samplingIndex: UInt8 = 3) -> [UInt8] {
    let length = payload.count + 7
    return [
      0xFF, 0xF1, 0x40 | samplingIndex << 2, 0x40 | UInt8(length >> 11), UInt8(truncatingIfNeeded: length >> 3),
      UInt8(truncatingIfNeeded: length << 5) | 0x1F, 0xFC,
    ] + payload
  }
}

/// Sound in its framings: several frames a packet, frames over packets, damage between them.
struct SoundTests {
  private static let pid: UInt16 = 0x110

  private func events(_ units: [(data: [UInt8], time: UInt64?)], type: UInt8 = 0x0F, _ descriptors: [UInt8] = [])
    -> [DemuxerEvent]
  {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, 0x100, []), (type, Self.pid, descriptors)])
    for unit in units { stream.unit(unit.data, pid: Self.pid, stream: 0xC0, presentation: unit.time) }
    return demultiplex(stream.bytes)
  }

  @Test func severalFramesOfOnePacketFollowEachOther() {
    let frames = (0..<4).map { ADTSFrames.frame([UInt8($0), 1, 2]) }
    let events = events([(frames.flatMap(\.self), 1000), (frames[0], 9000)])
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [1000, 2920, 4840, 6760, 9000])
    #expect(events.units(Self.pid).map(\.data) == [[0, 1, 2], [1, 1, 2], [2, 1, 2], [3, 1, 2], [0, 1, 2]])
    #expect(events.damage == [])
  }

  /// A stamp is that of the first frame that begins in its packet.
  @Test func framesMayLieOverPacketsAtEverySplitPoint() {
    let bytes = (0..<3).flatMap { ADTSFrames.frame([UInt8](repeating: UInt8($0), count: 20)) }
    let begins = [0, 27, 54]
    for cut in 1..<bytes.count {
      let next = begins.first { $0 >= cut } ?? 81
      let events = events([(Array(bytes[..<cut]), 0), (Array(bytes[cut...]), UInt64(next / 27 * 1920))])
      #expect(events.units(Self.pid).map(\.decoding.ticks) == [0, 1920, 3840], "cut at \(cut)")
      #expect(events.units(Self.pid).map { $0.data.count } == [20, 20, 20], "cut at \(cut)")
      #expect(events.damage == [])
    }
  }

  @Test func rubbishBeforeAFrameIsSteppedOver() {
    let frame = ADTSFrames.frame([7, 7, 7])
    let events = events([([1, 0xFF, 2, 3] + frame + frame, 900)])
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [900, 2820])
    #expect(events.damage == ["sound-malformed"])
  }

  @Test func anotherRateIsAnotherConfiguration() {
    let events = events([
      (ADTSFrames.frame([1]) + ADTSFrames.frame([2], samplingIndex: 8) + ADTSFrames.frame([3], samplingIndex: 8), 0)
    ])
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [0, 1920, 7680])
    #expect(events.configurations.count == 2)
  }

  @Test func findsAACInLATM() throws {
    let events = demultiplex(try Fixture.bytes("aac-latm.ts"))
    #expect(events.damage == [])
    #expect(events.configurations.contains(.aac(AACConfiguration(objectType: 2, samplingIndex: 3, channels: 1))))
    let units = events.units(0x101)
    #expect(units.count >= 46)
    #expect(zip(units, units.dropFirst()).allSatisfy { (1900...1940).contains($1.decoding - $0.decoding) })
  }

  @Test func findsOpus() throws {
    let events = demultiplex(try Fixture.bytes("opus.ts"))
    #expect(events.damage == [])
    #expect(events.configurations.contains(.opus(OpusConfiguration(channels: 1))))
    let units = events.units(0x101)
    #expect(units.count >= 49)
    #expect(units.allSatisfy { $0.sound == AccessUnit.Length(samples: 960, rate_hz: 48_000) })
    #expect(zip(units, units.dropFirst()).allSatisfy { (1790...1810).contains($1.decoding - $0.decoding) })
  }

  @Test(
    arguments: [
      ([0x08], 960), ([0x00], 480), ([0x18], 2880), ([0x80], 120), ([0xF8], 960), ([0xF9], 1920), ([0xFB, 3], 2880),
      ([0x1B, 3], nil), ([0xFB, 0], nil), ([0xFB], nil), ([], nil), ([0x1B, 2], 5760),
    ] as [([UInt8], Int?)])
  func opusPacketsLast(_ packet: [UInt8], _ samples: Int?) { #expect(Opus.samples(packet) == samples) }

  @Test func opusHeadersWithTrimAndExtensionAreRead() {
    let plain: [UInt8] = [0x7F, 0xE0, 3, 0xF8, 1, 2]
    let full: [UInt8] = [0x7F, 0xFC, 3, 0, 10, 0, 20, 2, 9, 9, 0xF8, 3, 4]
    let long: [UInt8] = [0x7F, 0xE0, 0xFF, 2, 0xF8] + [UInt8](repeating: 5, count: 256)
    let events = events(
      [(plain + full + long, 0)], type: 0x06, [0x05, 4] + Array("Opus".utf8) + [0x7F, 2, 0x80, 2])
    #expect(events.units(Self.pid).map { $0.data.count } == [3, 3, 257])
    #expect(events.configurations == [.opus(OpusConfiguration(channels: 2))])
    #expect(events.damage == [])
  }

  @Test func latmWithSeveralFramesAndAnExtensionIsRead() {
    var w = BitWriter()
    w.u(0, 1)  // its own configuration
    w.u(0, 1)
    w.u(1, 1)
    w.u(1, 6)  // two frames
    w.u(0, 7)
    // Explicit spectral band replication: 5, core 24 kHz, stereo, 48 kHz, core LC.
    for (value, bits) in [(5, 5), (6, 4), (2, 4), (3, 4), (2, 5), (0, 3)] { w.u(value, bits) }
    w.u(0, 3)
    w.u(0xFF, 8)
    w.u(0, 2)
    for length in [3, 257] {
      if length >= 255 { w.u(255, 8) }
      w.u(length % 255, 8)
      for index in 0..<length { w.u(index & 0xFF, 8) }
    }
    let element = w.bytes
    let frame = [0x56, 0xE0 | UInt8(element.count >> 8), UInt8(element.count & 0xFF)] + element
    let events = events([(frame, 0)], type: 0x11)
    let expected = AACConfiguration(
      objectType: 2, samplingIndex: 6, channels: 2,
      replication: AACConfiguration.Extension(objectType: 5, samplingIndex: 3))
    #expect(events.configurations == [.aac(expected)])
    #expect(events.units(Self.pid).map { $0.data.count } == [3, 257])
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [0, 3840])
    #expect(expected.audioSpecificConfig == [0x2B, 0x11, 0x88, 0x00])
    var reader = BitReader(expected.audioSpecificConfig)
    #expect(AACConfiguration(&reader) == expected)
  }

  @Test func aFrameOfALostPacketIsNotPutTogetherWithAnother() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, 0x100, []), (0x0F, Self.pid, [])])
    let frame = ADTSFrames.frame([UInt8](repeating: 1, count: 40))
    stream.unit(Array(frame.prefix(20)), pid: Self.pid, stream: 0xC0, presentation: 0)
    stream.lose(pid: Self.pid)
    stream.unit(Array(frame.suffix(10)) + frame, pid: Self.pid, stream: 0xC0, presentation: 1920)
    let events = demultiplex(stream.bytes)
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [1920])
    #expect(events.damage == ["continuity", "sound-malformed"])
  }
}
