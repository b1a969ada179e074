import Testing

@testable import TransportStream

/// Clocks that wrap, jump, stand still, or are half told.
struct DemuxerTimeTests {
  private static let pid: UInt16 = 0x100

  private func stream(_ stamps: [(presentation: UInt64?, decoding: UInt64?)]) -> [UInt8] {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, Self.pid, [])])
    for (index, stamp) in stamps.enumerated() {
      let head = index == 0 ? H264Units.sequence() + H264Units.picture() : []
      stream.unit(
        head + H264Units.slice(key: index == 0), pid: Self.pid, presentation: stamp.presentation,
        decoding: stamp.decoding, randomAccess: index == 0)
    }
    return stream.bytes
  }

  private func times(_ events: [DemuxerEvent]) -> [[Int64]] {
    events.units(Self.pid).map { [$0.presentation.ticks, $0.decoding.ticks] }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var stamps: [(UInt64?, UInt64?)]
    /// Presentation and decoding.
    var expected: [[Int64]]
    var damage: [String] = []
    var testDescription: String { name }
  }

  private static let top: UInt64 = (1 << 33) - 3600

  @Test(arguments: [
    Case(
      name: "wraps between presentation and decoding", stamps: [(0, top), (3600, 0), (7200, 3600)],
      expected: [[1 << 33, Int64(top)], [3600 + 1 << 33, 1 << 33], [7200 + 1 << 33, 3600 + 1 << 33]]),
    Case(
      name: "stands still", stamps: [(900, nil), (900, nil), (900, nil)],
      expected: [[900, 900], [900, 900], [900, 900]],
      damage: ["timestamp-still", "timestamp-still"]),
    Case(
      name: "goes back", stamps: [(900_000, nil), (903_600, nil), (100, nil), (3700, nil)],
      expected: [[900_000, 900_000], [903_600, 903_600], [100, 100], [3700, 3700]], damage: ["timestamp-jump"]),
    Case(
      name: "goes on without a stamp", stamps: [(0, nil), (3003, nil), (nil, nil), (9009, nil)],
      expected: [[0, 0], [3003, 3003], [6006, 6006], [9009, 9009]]),
    Case(
      name: "is shown before it is decoded", stamps: [(0, nil), (3600, 7200), (10_800, nil)],
      expected: [[0, 0], [3600, 7200], [10_800, 10_800]], damage: ["timestamp-order"]),
    Case(
      name: "is shown an hour after it is decoded", stamps: [(0, nil), (324_000_000, 3600)],
      expected: [[0, 0], [3600, 3600]], damage: ["timestamp-order"]),
    Case(
      name: "reorders without decoding times",
      stamps: [0, 10_800, 3600, 7200, 21_600, 14_400, 18_000, 32_400].map { ($0, nil) },
      expected: [
        [0, 0], [10_800, 10_800], [3600, 10_801], [7200, 10_802], [21_600, 10_803], [14_400, 14_400], [18_000, 18_000],
        [32_400, 21_600],
      ], damage: []),
  ])
  func theTimesOf(_ item: Case) {
    let events = demultiplex(stream(item.stamps.map { (presentation: $0.0, decoding: $0.1) }))
    #expect(times(events) == item.expected)
    #expect(events.damage == item.damage)
  }

  @Test func soundAndPicturesStayOnOneLineOverTheWrap() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, Self.pid, []), (0x0F, 0x101, [])])
    stream.unit(
      H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), pid: Self.pid, presentation: Self.top)
    // The sound starts after the wrap; without a common clock it would lie 26 hours before the picture.
    stream.unit(ADTSFrames.frame([1, 2, 3]), pid: 0x101, stream: 0xC0, presentation: 0)
    stream.unit(H264Units.slice(key: false), pid: Self.pid, presentation: 0)
    let events = demultiplex(stream.bytes)
    #expect(events.units(0x101).map(\.presentation.ticks) == [1 << 33])
    #expect(times(events) == [[Int64(Self.top), Int64(Self.top)], [1 << 33, 1 << 33]])
    #expect(events.damage == [])
  }

  @Test func findsTheDecodingTimesThatASenderLeavesOut() throws {
    var bytes = try Fixture.bytes("h264-2997.ts")
    let whole = demultiplex(bytes).units(0x100)
    for start in stride(from: 0, to: bytes.count, by: 188) {
      guard let packet = try? TransportPacket(bytes, at: start), packet.pid == 0x100, packet.payloadUnitStart else {
        continue
      }
      // PTS_DTS_flags 11 becomes 10; the bytes of the decoding time stay as header stuffing.
      bytes[start + packet.payloadStart + 7] &= 0xBF
    }
    let events = demultiplex(bytes)
    let found = events.units(0x100)
    #expect(found.map(\.presentation) == whole.map(\.presentation))
    #expect(zip(found, found.dropFirst()).allSatisfy { $0.decoding < $1.decoding })
    // The first pictures out of order teach the depth; none is late after that.
    #expect(found.count { $0.decoding > $0.presentation } <= 4)
    #expect(events.damage == [])
  }

  @Test func keeps2997PicturesASecond() throws {
    let units = demultiplex(try Fixture.bytes("h264-2997.ts")).units(0x100)
    #expect(units.count == 30)
    #expect(zip(units, units.dropFirst()).allSatisfy { $1.decoding - $0.decoding == 3003 })
  }

  @Test func keepsAVariableRate() throws {
    let units = demultiplex(try Fixture.bytes("h264-vfr.ts")).units(0x100)
    let steps = zip(units, units.dropFirst()).map { $1.decoding - $0.decoding }
    #expect(Set(steps) == [3000, 48_000])
  }
}
