import Testing

@testable import TransportStream

struct TransportPacketTests {
  private func packet(_ head: [UInt8]) -> [UInt8] { head + [UInt8](repeating: 0xFF, count: 188 - head.count) }

  @Test func parsesHeaderClockAndFlags() throws {
    // PID 0x100, unit start, adaptation field of 7 bytes with random access and PCR base 0x1_0000_0001, counter 5.
    let bytes = packet([0x47, 0x41, 0x00, 0x35, 7, 0x50, 0x80, 0, 0, 0, 0x80 | 0x7E, 0])
    let parsed = try TransportPacket(bytes, at: 0)
    #expect(parsed.pid == 0x100)
    #expect(parsed.payloadUnitStart && parsed.randomAccessIndicator && parsed.hasPayload)
    #expect(parsed.continuityCounter == 5)
    #expect(parsed.programClockReference == 0x1_0000_0001)
    #expect(parsed.payloadStart == 12)
    #expect(parsed.stuffing_bytes == 0)
  }

  struct Bad: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var expected: TransportDamage.Code
    var testDescription: String { name }
  }

  @Test(arguments: [
    Bad(name: "no sync byte", bytes: [0x46, 0, 0, 0x10], expected: .syncLost),
    Bad(
      name: "adaptation field overruns", bytes: [0x47, 0, 0, 0x30, 183],
      expected: .adaptationFieldTooLong(length: 183, limit: 182)),
    Bad(
      name: "adaptation field overruns without payload", bytes: [0x47, 0, 0, 0x20, 184],
      expected: .adaptationFieldTooLong(length: 184, limit: 183)),
  ])
  func refusesBadPackets(_ bad: Bad) {
    #expect(throws: TransportDamage.self) { try TransportPacket(self.packet(bad.bytes), at: 0) }
    do throws(TransportDamage) { _ = try TransportPacket(packet(bad.bytes), at: 0) } catch {
      #expect(error.code == bad.expected)
    }
  }

  @Test func refusesATruncatedPacket() {
    #expect(throws: TransportDamage.self) { try TransportPacket([0x47, 0, 0], at: 0) }
  }
}

struct TimestampUnrollerTests {
  @Test func goesOnOverTheWrapAndBack() {
    var unroller = TimestampUnroller()
    let top: UInt64 = 0x1_FFFF_FFFF
    let ticks = [top - 10, 5, top, 90_000].map { unroller.unroll($0).ticks - Int64(top) }
    #expect(ticks == [-10, 6, 0, 90_001])
  }
}

struct CRCTests {
  @Test func matchesThePublishedCheckValue() {
    // CRC-32/MPEG-2 of "123456789".
    #expect(CRC32.mpeg(Array("123456789".utf8)) == 0x0376_E6E7)
  }
}

struct DemuxerTests {
  private func events(_ bytes: [UInt8], cut: Int? = nil) -> [DemuxerEvent] {
    var demuxer = Demuxer()
    var events: [DemuxerEvent] = []
    let step = cut ?? bytes.count
    for start in stride(from: 0, to: bytes.count, by: step) {
      events += demuxer.push(bytes[start..<min(start + step, bytes.count)])
    }
    return events + demuxer.finish()
  }

  private func units(_ events: [DemuxerEvent], _ pid: UInt16) -> [AccessUnit] {
    events.compactMap { if case .accessUnit(let unit) = $0, unit.pid == pid { unit } else { nil } }
  }

  private func configurations(_ events: [DemuxerEvent]) -> [TrackConfiguration] {
    events.compactMap { if case .configured(_, let configuration) = $0 { configuration } else { nil } }
  }

  private func damage(_ events: [DemuxerEvent]) -> [String] {
    events.compactMap { if case .damage(let damage) = $0 { damage.name } else { nil } }
  }

  @Test func findsPicturesAndSound() throws {
    let events = events(try Fixture.bytes("h264-bframes-aac.ts"))
    #expect(damage(events) == [])
    let pictures = units(events, 0x100)
    #expect(pictures.count == 50)
    #expect(pictures.filter(\.isRandomAccess).count == 2)
    // With B-frames the order of decoding is not the order of showing.
    #expect(pictures.contains { $0.presentation > $0.decoding })
    #expect(zip(pictures, pictures.dropFirst()).allSatisfy { $1.decoding - $0.decoding == 3600 })
    #expect(units(events, 0x101).count >= 93)
    let found = configurations(events)
    #expect(found.count == 2)
    guard case .h264(let video) = found.first(where: \.isVideo) else {
      Issue.record("no H.264 configuration")
      return
    }
    #expect(video.width == 160 && video.height == 120)
    #expect(
      found.contains(.aac(AACConfiguration(objectType: 2, samplingIndex: 3, channels: 1))))
  }

  @Test func findsH265() throws {
    let events = events(try Fixture.bytes("h265.ts"))
    #expect(damage(events) == [])
    #expect(units(events, 0x100).count == 25)
    guard case .h265(let video) = configurations(events).first else {
      Issue.record("no H.265 configuration")
      return
    }
    #expect(video.width == 160 && video.height == 120 && video.chromaFormat == 1 && video.bitDepthLuma == 8)
  }

  @Test func everyCutGivesTheSame() throws {
    let bytes = Array(try Fixture.bytes("h264-baseline.ts").prefix(188 * 60))
    let whole = events(bytes)
    for cut in Array(1...400) { #expect(events(bytes, cut: cut) == whole, "cut every \(cut) bytes") }
  }

  @Test func aMissingPacketIsCountedAndCostsOneUnit() throws {
    var bytes = try Fixture.bytes("h264-bframes-aac.ts")
    let before = units(events(bytes), 0x100).count
    let lost = (20..<bytes.count / 188).first { index in
      (try? TransportPacket(bytes, at: index * 188))?.pid == 0x100
    }
    bytes.removeSubrange(try #require(lost) * 188..<(try #require(lost) + 1) * 188)
    let after = events(bytes)
    #expect(damage(after).contains("continuity"))
    #expect(units(after, 0x100).count >= before - 2)
  }

  @Test func rubbishBetweenPacketsIsSteppedOver() throws {
    let bytes = try Fixture.bytes("h264-baseline.ts")
    let broken = Array(bytes[0..<188 * 10]) + [1, 2, 3, 4, 5] + Array(bytes[(188 * 10)...])
    let events = events(broken)
    #expect(damage(events).contains("sync-lost"))
    #expect(units(events, 0x100).count >= 23)
  }

  @Test func anAbsurdSectionLengthIsRefused() throws {
    let events = events(try Fixture.bytes("corpus/transport-stream/absurd-section.ts"))
    #expect(damage(events).contains("section-too-long"))
    #expect(units(events, 0x100).isEmpty)
  }

  @Test func aJumpOfTheClockIsTold() throws {
    let one = try Fixture.bytes("h264-baseline.ts")
    var demuxer = Demuxer()
    _ = demuxer.push(one)
    // The same clip again, its stamps an hour later.
    var late = one
    for start in stride(from: 0, to: late.count, by: 188) {
      guard let packet = try? TransportPacket(late, at: start), packet.payloadUnitStart, packet.pid == 0x100 else {
        continue
      }
      late[start + packet.payloadStart + 9] |= 0x08
    }
    #expect(damage(demuxer.push(late)).contains("timestamp-jump"))
  }

  @Test func nothingTrapsOnMutatedInput() throws {
    var random = SeededGenerator(state: 42)
    let seeds = try ["h264-bframes-aac.ts", "h265.ts", "corpus/transport-stream/absurd-adaptation.ts"].map(
      Fixture.bytes)
    for _ in 0..<150 {
      var bytes = seeds.randomElement(using: &random) ?? []
      for _ in 0..<20 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random) }
      _ = events(bytes, cut: Int.random(in: 100...3000, using: &random))
    }
  }
}
