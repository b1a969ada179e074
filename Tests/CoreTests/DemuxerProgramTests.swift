import Testing

@testable import TransportStream

/// Programs and PIDs that come and go, tables that change, are damaged or stay away.
struct DemuxerProgramTests {
  private static let first: UInt16 = 0x100
  private static let second: UInt16 = 0x200
  private static let twoPrograms: [(number: UInt16, mapPID: UInt16)] = [(1, 0x1000), (2, 0x1001)]

  /// One key picture of a stream, its parameter sets before it.
  private func key(_ stream: inout TransportStreamBuilder, _ pid: UInt16, at time: UInt64, width: Int = 10) {
    stream.unit(
      H264Units.sequence(macroblocks: (width, 8)) + H264Units.picture() + H264Units.slice(key: true), pid: pid,
      presentation: time, randomAccess: true)
  }

  private func maps(_ stream: inout TransportStreamBuilder) {
    stream.association(Self.twoPrograms)
    stream.map([(0x1B, Self.first, [])], program: 1, pid: 0x1000)
    stream.map([(0x1B, Self.second, [])], program: 2, pid: 0x1001)
  }

  @Test func followsTheFirstOfTwoPrograms() throws {
    let events = demultiplex(try Fixture.bytes("two-programs.ts"))
    #expect(events.damage == [])
    #expect(events.programs == [[0x100]])
    #expect(events.units(0x100).count == 25)
    #expect(events.units(0x101).isEmpty)
  }

  @Test func aProgramThatFallsSilentIsLeftAndDoesNotTakeThePictureBack() {
    var stream = TransportStreamBuilder()
    maps(&stream)
    for index in 0..<5 { key(&stream, Self.first, at: UInt64(index) * 3600) }
    for index in 5..<(10 + ProgramChoice.silentUnits) { key(&stream, Self.second, at: UInt64(index) * 3600) }
    for index in 200..<210 {
      key(&stream, Self.first, at: UInt64(index) * 3600)
      key(&stream, Self.second, at: UInt64(index) * 3600)
    }
    let events = demultiplex(stream.bytes)
    #expect(events.programs == [[Self.first], [Self.second]])
    #expect(events.damage.filter { $0 == "stream-silent" }.count == 1)
    #expect(events.units(Self.first).count == 5)
    #expect(events.units(Self.second).count == 15)
  }

  @Test func aProgramThatTheTableNoLongerNamesIsLeftAtOnce() {
    var stream = TransportStreamBuilder()
    maps(&stream)
    key(&stream, Self.first, at: 0)
    stream.association([Self.twoPrograms[1]], version: 1)
    key(&stream, Self.second, at: 3600)
    let events = demultiplex(stream.bytes)
    #expect(events.programs == [[Self.first], [Self.second]])
    #expect(events.units(Self.second).count == 1)
  }

  @Test func streamsThatComeAndGoAreFollowed() {
    var stream = TransportStreamBuilder()
    stream.association([Self.twoPrograms[0]])
    stream.map([(0x1B, 0x100, [])])
    key(&stream, 0x100, at: 0)
    // Sound comes; the picture moves to another PID; the sound goes again.
    stream.map([(0x1B, 0x100, []), (0x0F, 0x110, [])], version: 1)
    key(&stream, 0x100, at: 3600)
    stream.map([(0x1B, 0x120, []), (0x0F, 0x110, [])], version: 2)
    key(&stream, 0x120, at: 7200)
    stream.map([(0x1B, 0x120, [])], version: 3)
    key(&stream, 0x120, at: 10_800)
    let events = demultiplex(stream.bytes)
    #expect(events.programs == [[0x100], [0x100, 0x110], [0x110, 0x120], [0x120]])
    #expect(events.units(0x100).count == 2 && events.units(0x120).count == 2)
    #expect(events.damage == [])
  }

  @Test func theCodingOfAPIDMayChange() throws {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, 0x100, [])])
    key(&stream, 0x100, at: 0)
    // The fixture has the same PIDs, counters that begin at the same number, and its own tables.
    let events = demultiplex(stream.bytes + (try Fixture.bytes("h265.ts")))
    #expect(events.configurations.count == 2)
    #expect(events.units(0x100).count == 26)
  }

  @Test func aMapIsTakenWhileNoAssociationHasCome() throws {
    var bytes = try Fixture.bytes("h264-baseline.ts")
    for start in stride(from: 0, to: bytes.count, by: 188) where bytes[start + 1] & 0x1F == 0 && bytes[start + 2] == 0 {
      bytes[start + 1] |= 0x1F
      bytes[start + 2] = 0xFF
    }
    let events = demultiplex(bytes)
    #expect(events.units(0x100).count == 25)
    #expect(events.damage == [])
    // The association that comes after seconds does not interrupt it.
    let late = demultiplex(bytes + (try Fixture.bytes("h264-baseline.ts")))
    #expect(late.programs == [[0x100]])
  }

  @Test func aDamagedTableChangesNothing() {
    var stream = TransportStreamBuilder()
    maps(&stream)
    key(&stream, Self.first, at: 0)
    var broken = TransportStreamBuilder.mapSection([(0x1B, 0x1F0, [])], program: 1, version: 1)
    broken[broken.count - 1] ^= 1
    stream.table(broken, pid: 0x1000)
    key(&stream, Self.first, at: 3600)
    let events = demultiplex(stream.bytes)
    #expect(events.damage == ["section-checksum"])
    #expect(events.units(Self.first).count == 2)
  }

  @Test func twoMapsMayShareAPacketAndASectionMayEndInTheNext() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000), (2, 0x1000)])
    let filler = [UInt8](repeating: 0xEE, count: 150)
    let sections =
      TransportStreamBuilder.mapSection([(0xC0, 0x300, [0x80, 150] + filler)], program: 1)
      + TransportStreamBuilder.mapSection([(0x1B, Self.second, [])], program: 2)
    stream.table(sections, pid: 0x1000)
    key(&stream, Self.second, at: 0)
    let events = demultiplex(stream.bytes)
    #expect(events.damage == [])
    #expect(events.units(Self.second).count == 1)
  }

  @Test func moreProgramsOrStreamsThanTheBoundAreDamageAndTheFirstAreFollowed() {
    var stream = TransportStreamBuilder()
    stream.association((1...40).map { (UInt16($0), UInt16(0x1000 + $0)) })
    stream.map([(0x1B, Self.first, [])] + (0..<20).map { (0x0F, UInt16(0x300 + $0), []) }, program: 1, pid: 0x1001)
    key(&stream, Self.first, at: 0)
    let events = demultiplex(stream.bytes)
    #expect(events.damage == ["too-many-programs", "too-many-streams"])
    #expect(events.units(Self.first).count == 1)
  }

  @Test func privateDataIsPassedOverWithoutAWord() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x06, 0x300, []), (0x86, 0x301, []), (0xC0, 0x302, []), (0x05, 0x303, []), (0x1B, Self.first, [])])
    for pid: UInt16 in 0x300...0x303 { stream.payload([UInt8](repeating: 0xA5, count: 500), pid: pid) }
    key(&stream, Self.first, at: 0)
    let events = demultiplex(stream.bytes)
    #expect(events.damage == [])
    #expect(events.units(Self.first).count == 1)
  }

  @Test func aCodingThatIsNotReadIsToldOnce() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    for version: UInt8 in 0..<4 {
      stream.map([(0x02, 0x300 + UInt16(version), []), (0x1B, 0x100, [])], version: version)
    }
    #expect(demultiplex(stream.bytes).damage == ["unsupported-stream-type"])
  }

  @Test func everyPIDAtOnceTakesNoMemoryForTheUnknown() {
    var stream = TransportStreamBuilder()
    maps(&stream)
    for pid: UInt16 in 0x20..<0x1FFF where pid != 0x1000 && pid != 0x1001 && pid != Self.first && pid != Self.second {
      stream.payload([0, 2, 0xB0, 40, 0, 0], pid: pid)
    }
    key(&stream, Self.first, at: 0)
    let events = demultiplex(stream.bytes)
    #expect(events.damage == [])
    #expect(events.units(Self.first).count == 1)
  }
}
