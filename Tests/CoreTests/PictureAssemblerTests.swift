import Testing

@testable import TransportStream

/// Fields, parts and packets of several pictures; parameter sets that change.
struct PictureAssemblerTests {
  private static let pid: UInt16 = 0x100
  private typealias Unit = (data: [UInt8], time: UInt64?, announced: Bool)

  private func events(_ units: [Unit]) -> [DemuxerEvent] {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, Self.pid, [])])
    for unit in units {
      stream.unit(unit.data, pid: Self.pid, presentation: unit.time, randomAccess: unit.announced)
    }
    return demultiplex(stream.bytes)
  }

  private func slices(_ unit: AccessUnit) -> Int {
    var count = 0
    var rest = unit.data[...]
    while rest.count > 4 {
      let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      let type = rest[rest.startIndex + 4] & 0x1F
      if type == 1 || type == 5 { count += 1 }
      rest = rest.dropFirst(4 + length)
    }
    return count
  }

  private let interlaced = H264Units.sequence(frameOnly: false) + H264Units.picture()

  @Test func twoFieldsMakeOnePicture() {
    func field(_ frame: Int, _ bottom: Bool, key: Bool = false) -> [UInt8] {
      [0, 0, 0, 1, 9, 0xF0] + H264Units.slice(key: key, frame: frame, field: bottom, interlaced: true)
    }
    let events = events([
      (interlaced + field(0, false, key: true), 0, true), (field(0, true), 1800, false),
      (field(1, false), 3600, false), (field(1, true), 5400, false),
      // Two fields in one packet, then a frame, then a field whose other one was lost, then a pair again.
      (field(2, false) + field(2, true), 7200, false),
      (H264Units.slice(key: false, frame: 3, interlaced: true), 10_800, false),
      (field(4, false), 14_400, false), (field(5, false), 18_000, false), (field(5, true), 19_800, false),
    ])
    let units = events.units(Self.pid)
    #expect(units.map(\.decoding.ticks) == [0, 3600, 7200, 10_800, 14_400, 18_000])
    #expect(units.map(slices) == [2, 2, 2, 1, 1, 2])
    #expect(units.map(\.isRandomAccess) == [true, false, false, false, false, false])
    #expect(events.damage == [])
  }

  @Test func interlacedFramesAreOnePictureEach() throws {
    let events = demultiplex(try Fixture.bytes("h264-interlaced.ts"))
    guard case .h264(let found)? = events.configurations.first else {
      Issue.record("no configuration")
      return
    }
    #expect(found.width == 160 && found.height == 120)
    #expect(events.damage == [])
    let steps = zip(events.units(0x100), events.units(0x100).dropFirst()).map { $1.decoding - $0.decoding }
    #expect(steps.count >= 10 && Set(steps).count == 1)
  }

  @Test func aPacketOfSeveralPicturesIsTakenApart() {
    let frame = H264Units.slice(key: false)
    let events = events([
      (H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), 0, true),
      (frame, 3600, false), (frame + frame + frame, 7200, false), (frame, 18_000, false),
    ])
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [0, 3600, 7200, 10_800, 14_400, 18_000])
    #expect(events.damage == [])
  }

  @Test func aPictureInPartsIsPutTogetherFromTheSecondOn() {
    let sets = H264Units.sequence() + H264Units.picture()
    var units: [Unit] = []
    for index in 0..<4 {
      let time = UInt64(index) * 3600
      units.append((sets + H264Units.slice(key: true), time, true))
      units.append((H264Units.slice(key: true, first: 40), index == 2 ? nil : time, false))
    }
    let events = events(units)
    #expect(events.units(Self.pid).map(slices) == [1, 2, 2, 2])
    #expect(events.units(Self.pid).map(\.decoding.ticks) == [0, 3600, 7200, 10_800])
    #expect(events.damage == ["access-unit-truncated"])
  }

  @Test func aNewResolutionIsANewConfiguration() throws {
    let events = events([
      (H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), 0, true),
      (H264Units.slice(key: false), 3600, false),
      (H264Units.sequence(macroblocks: (20, 16)) + H264Units.picture() + H264Units.slice(key: true), 7200, true),
      // The same again is no change.
      (H264Units.sequence(macroblocks: (20, 16)) + H264Units.picture() + H264Units.slice(key: true), 10_800, true),
    ])
    let sizes = events.configurations.map { found -> [Int] in
      if case .h264(let c) = found { [c.width, c.height] } else { [] }
    }
    #expect(sizes == [[160, 128], [320, 256]])
  }

  @Test func theSetThatIsUsedMakesTheConfiguration() {
    let both = H264Units.sequence(id: 0) + H264Units.sequence(id: 3, macroblocks: (20, 16))
    let sets = H264Units.picture(id: 0) + H264Units.picture(id: 1, extra: 2) + H264Units.picture(id: 5, sequence: 3)
    let events = events([
      (both + sets + H264Units.slice(key: true, set: 5), 0, true), (H264Units.slice(key: true, set: 1), 3600, true),
    ])
    let found = events.configurations.map { configuration -> [Int] in
      guard case .h264(let c) = configuration else { return [] }
      return [c.width, c.pictureParameterSets.count]
    }
    #expect(found == [[320, 1], [160, 2]])
  }

  @Test func aSetThatChangesBetweenStartsGoesBeforeItsPicture() {
    let changed = H264Units.picture(id: 1)
    let events = events([
      (H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), 0, true),
      (changed + H264Units.slice(key: false, set: 1), 3600, false),
      (changed + H264Units.slice(key: false, set: 1), 7200, false),
    ])
    let starts = events.units(Self.pid).map { $0.data[4] & 0x1F }
    #expect(starts == [5, 8, 1])
    #expect(events.configurations.count == 1)
  }

  @Test func anAnnouncedStartIsBelievedOnlyOfAPictureCodedAlone() {
    let events = events([
      (H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), 0, true),
      (H264Units.slice(key: false), 3600, true), (H264Units.slice(key: false, type: 7), 7200, true),
      // Recovery point: type 6, one byte.
      ([0, 0, 1, 6, 6, 1, 0xC4, 0x80] + H264Units.slice(key: false), 10_800, false),
    ])
    #expect(events.units(Self.pid).map(\.isRandomAccess) == [true, false, true, true])
  }

  @Test func theCamerasTimeInAPictureIsRead() {
    let time: [UInt8] = [0x00, 0x05, 0xFF, 0x9A, 0x7B, 0xFF, 0x5C, 0x01, 0xFF, 0x02, 0x03]
    let message = [5, 28] + Array("MISPmicrosectime".utf8) + [0x1F] + time
    let events = events([
      (
        H264Units.sequence() + H264Units.picture() + [0, 0, 1, 6] + message + [0x80] + H264Units.slice(key: true), 0,
        true
      )
    ])
    #expect(events.cameraTimes == [CameraTime(pid: Self.pid, source: .picture, microseconds: 0x0005_9A7B_5C01_0203)])
  }

  @Test func aMissingSetIsToldAndThePicturesWait() {
    let events = events([
      (H264Units.slice(key: true), 0, true), (H264Units.slice(key: false), 3600, false),
      (H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), 7200, true),
    ])
    #expect(events.units(Self.pid).count == 1)
    #expect(events.damage == ["parameter-set-missing"])
  }

  @Test func moreUnitsThanThereCanBeAreDropped() {
    let tiny = [UInt8]((0..<5000).flatMap { _ in [0, 0, 1, 0x41, 0x9A] as [UInt8] })
    let start = H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true)
    let events = events([(start, 0, true), (tiny, 3600, false), (start, 7200, true)])
    #expect(events.damage == ["too-many-units"])
    #expect(events.units(Self.pid).count == 2)
  }

  @Test func aUnitWithoutEndIsDroppedAtItsBound() {
    var assembler = ElementaryAssembler(pid: 1)
    let head = TransportStreamBuilder.packetized(H264Units.slice(key: true), presentation: 0)
    _ = assembler.push(head[...], unitStart: true, randomAccess: false, stuffing_bytes: 0) { _ in }
    let block = [UInt8](repeating: 1, count: 1 << 20)
    var found: [TransportDamage.Code] = []
    for _ in 0..<20 {
      _ = assembler.push(block[...], unitStart: false, randomAccess: false, stuffing_bytes: 0) { found.append($0.code) }
    }
    #expect(found == [.accessUnitTooLarge(pid: 1, limit_bytes: 8 << 20)])
    #expect(assembler.drain() == nil)
  }

  @Test func findsH265WithReorderedPictures() throws {
    let events = demultiplex(try Fixture.bytes("h265-bframes.ts"))
    #expect(events.damage == [])
    #expect(events.units(0x100).count == 25)
    #expect(events.units(0x100).contains { $0.presentation > $0.decoding })
  }
}
