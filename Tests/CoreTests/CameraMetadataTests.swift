import Testing

@testable import TransportStream

/// KLV of MISB ST 0601, synchronous and asynchronous.
struct CameraMetadataTests {
  private static let pid: UInt16 = 0x1F0
  private static let asynchronous: [UInt8] = [0x05, 4] + Array("KLVA".utf8)

  private static func item(_ tag: UInt8, _ value: [UInt8]) -> [UInt8] { [tag, UInt8(value.count)] + value }

  private static func big(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  /// A set with its checksum; `long`: a BER length of two bytes.
  static func set(_ items: [UInt8], long: Bool = false) -> [UInt8] {
    let count = items.count + 4
    let length: [UInt8] = long || count > 127 ? [0x82, UInt8(count >> 8), UInt8(count & 0xFF)] : [UInt8(count)]
    let all = UASDatalinkSet.key + length + items + [1, 2]
    let sum = UASDatalinkSet.checksum(all[...])
    return all + [UInt8(sum >> 8), UInt8(sum & 0xFF)]
  }

  static let time: [UInt8] = item(2, big(1_224_807_209_913_000, 8))
  /// The examples of items 13, 14 and 15 in ST 0601: 60.1768..., 128.4267..., 14,190.7...
  static let place =
    item(13, [0x55, 0x95, 0xB6, 0x6D]) + item(14, [0x5B, 0x53, 0x60, 0xC4]) + item(15, [0xC2, 0x21])

  private func events(
    _ units: [(data: [UInt8], time: UInt64?)], type: UInt8 = 0x06, _ descriptors: [UInt8] = asynchronous
  )
    -> [DemuxerEvent]
  {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, 0x100, []), (type, Self.pid, descriptors)])
    for unit in units {
      stream.unit(unit.data, pid: Self.pid, stream: type == 0x15 ? 0xFC : 0xBD, presentation: unit.time)
    }
    return demultiplex(stream.bytes)
  }

  private func cell(_ data: [UInt8], fragment: UInt8 = 3) -> [UInt8] {
    [0, 0, fragment << 6 | 0x1F, UInt8(data.count >> 8), UInt8(data.count & 0xFF)] + data
  }

  @Test(arguments: [false, true])
  func readsTimeAndPlaceAsTheyCome(long: Bool) throws {
    let other = [UInt8](UASDatalinkSet.key.prefix(15)) + [9, 2, 1, 1]
    let bytes = other + Self.set(Self.time + Self.place, long: long) + Self.set(Self.time)
    let events = events([(bytes, nil)])
    #expect(events.damage == [])
    #expect(events.metadata.count == 2)
    let found = try #require(events.metadata.first?.set)
    #expect(found.time_us == 1_224_807_209_913_000)
    #expect(abs(try #require(found.latitude_deg) - 60.176822966978335) < 1e-7)
    #expect(abs(try #require(found.longitude_deg) - 128.42675904204452) < 1e-7)
    #expect(abs(try #require(found.altitude_m) - 14_190.7195) < 0.2)
    #expect(events.metadata.last?.set.latitude_deg == nil)
    #expect(events.metadata.allSatisfy { $0.presentation == nil })
    #expect(
      events.cameraTimes.first == CameraTime(pid: Self.pid, source: .metadata, microseconds: 1_224_807_209_913_000))
  }

  @Test func synchronousSetsHaveTheirTime() {
    let set = Self.set(Self.time + Self.place)
    let events = events(
      [
        (cell(set) + cell(set), 9000),
        // One set in three cells.
        (cell(Array(set[..<10]), fragment: 2) + cell(Array(set[10..<20]), fragment: 0), 18_000),
        (cell(Array(set[20...]), fragment: 1), 18_000),
      ], type: 0x15, [])
    #expect(events.damage == [])
    #expect(events.metadata.map { $0.presentation?.ticks } == [9000, 9000, 18_000])
  }

  struct Bad: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var expected: [String]
    var testDescription: String { name }
  }

  private static func broken(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = set(time + place)
    change(&bytes)
    return bytes
  }

  @Test(arguments: [
    Bad(name: "checksum", bytes: broken { $0[30] ^= 1 }, expected: ["metadata-checksum"]),
    Bad(name: "no key", bytes: broken { $0[0] = 7 }, expected: ["metadata-malformed"]),
    Bad(name: "cut off", bytes: broken { $0.removeLast(5) }, expected: ["metadata-malformed"]),
    Bad(name: "length of length", bytes: broken { $0[16] = 0x89 }, expected: ["metadata-malformed"]),
    Bad(name: "item beyond the end", bytes: broken { $0[18] = 0x7F }, expected: ["metadata-malformed"]),
    Bad(name: "no time", bytes: set(place), expected: ["metadata-malformed"]),
    Bad(name: "tag without end", bytes: set(time + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), expected: ["metadata-malformed"]),
  ])
  func refuses(_ bad: Bad) {
    let events = events([(bad.bytes, nil)])
    #expect(events.damage == bad.expected)
    #expect(events.metadata.isEmpty)
  }

  @Test func aPlaceOutOfRangeIsNone() {
    let items = Self.time + Self.item(13, [0x80, 0, 0, 0]) + Self.item(14, [0x80, 0, 0, 1])
    let found = events([(Self.set(items), nil)]).metadata.first?.set
    #expect(found?.latitude_deg == nil)
    #expect(found?.longitude_deg == -180)
  }

  @Test func cellsWithoutEndAreDroppedAtTheirBound() {
    let part = cell([UInt8](repeating: 1, count: 40_000), fragment: 0)
    let events = events([(part, 0), (part, 0), (part, 0)], type: 0x15, [])
    #expect(events.damage == ["access-unit-too-large"])
  }

  @Test func nothingTrapsOnMutatedSets() {
    var random = SeededGenerator(state: 7)
    let seed = Self.set(Self.time + Self.place)
    for _ in 0..<3000 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      var events: [DemuxerEvent] = []
      var unroller = TimestampUnroller()
      var assembler = MetadataAssembler(pid: 1, isSynchronous: Bool.random(using: &random))
      let unit = ElementaryUnit(presentation: 1, decoding: nil, randomAccess: false, data: bytes)
      assembler.push(unit, unroller: &unroller, into: &events)
      for found in events.metadata {
        #expect(found.set.latitude_deg.map { (-90.1...90.1).contains($0) } ?? true)
      }
    }
  }
}

struct DamageTallyTests {
  @Test func tellsWhatIsNewAtMostOnceASecond() {
    var tally = DamageTally()
    let lost = TransportDamage(.syncLost, offset: 0)
    #expect(tally.summary(now_ms: 0) == nil)
    tally.count(lost)
    #expect(tally.summary(now_ms: 5) == ["sync-lost": 1])
    for _ in 0..<100 {
      tally.count(lost)
      #expect(tally.summary(now_ms: 900) == nil)
    }
    tally.count(TransportDamage(.truncated, offset: 0))
    #expect(tally.summary(now_ms: 1004) == nil)
    #expect(tally.summary(now_ms: 1005) == ["sync-lost": 100, "truncated": 1])
    #expect(tally.summary(now_ms: 9000) == nil)
    #expect(tally.total == ["sync-lost": 101, "truncated": 1])
  }
}
