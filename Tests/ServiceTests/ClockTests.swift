import Doctrine
import Foundation
import Journal
import Postgres
import Registry
import Seams
import TestSupport
import Testing
import Vault

@testable import Extraction
@testable import Keeper

/// Cameras' clocks in the keeper and its register, and that neither they nor a database that is away hold up a crisis.
// MET-3, P5.
@Suite(.serialized)
struct ClockTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private static let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  /// A recording of the camera "C", with a file of its own.
  fileprivate struct Told {
    let world: KeeperWorld
    let service: ServiceID
    let agent: AgentID
    let part: RecordedPart

    static func make() async throws -> Told {
      let world = try await KeeperWorld.make(at: ClockTests.start, calendar: ClockTests.calendar)
      let (service, agent) = try await world.furnish()
      let part = try await RecordedPart.write(
        world, service: service, camera: CameraID("C"), agent: agent, at: ClockTests.start.adding(seconds: 60))
      return Told(world: world, service: service, agent: agent, part: part)
    }

    var recording: RecordingID { part.recording }

    /// The first event opens the incident, all close it again.
    func tell(_ events: Range<Int>? = nil, to keeper: Keeper? = nil) async throws {
      let numbered = part.events.enumerated().map { NumberedEvent(number: UInt64($0.offset + 1), event: $0.element) }
      let some = numbered[events ?? 0..<numbered.count]
      _ = try await (keeper ?? world.keeper).answer(
        .events(boot: "b", oldest: 1, Array(some)))
    }

    func pass(_ seconds: Int64) { world.pass(to: ClockTests.start.adding(seconds: seconds)) }

    func tellClock(_ off_ms: Int64, to keeper: Keeper? = nil) async throws {
      let keeper = keeper ?? world.keeper
      let camera = try #require(await keeper.cameras[CameraID("C")])
      _ = try await keeper.deviceClock(camera, UTCTime(microseconds: world.wall.now + off_ms * 1000))
    }

    /// What the register has beside the recording: offset, mark, source.
    func stored() async throws -> String? {
      try await world.pool.run { connection in
        try connection.query(
          "SELECT concat_ws(' ', clock_offset_ms, clock_off, clock_source) AS line FROM recording WHERE id = $1",
          [.text(recording.rawValue)]
        ).first?.optionalText("line")
      }
    }

    func shown(_ name: String = "clock") async throws -> String? {
      let page = try #require(
        try await world.register.page(
          .recordings, RegisterFilter([.recording: recording.rawValue], limit: 1), services: [service]))
      let column = try #require(page.columns.firstIndex { $0.name == name })
      return page.rows.first?[column]
    }

    func cameraInRegister() async throws -> CameraClock? {
      try await world.register.cameras().first { $0.id == CameraID("C") }?.clock
    }

    func entries(_ act: String) throws -> [JournalEntry] {
      try (0...(world.journal.mark.size / 256)).flatMap { try world.journal.folder.bundle($0) }
        .compactMap { JournalEntry(canonical: $0) }.filter { $0.act == act }
    }

    func check(_ clock: ClockReading?, to keeper: Keeper? = nil) async throws {
      _ = try await (keeper ?? world.keeper).answer(
        .decodeChecked(recording, verdict: "decodes", detail: "", clock: clock))
    }
  }

  private func code(_ body: () async throws -> Void) async -> String? {
    do { try await body() } catch { return (error as? Problem)?.code ?? "\(error)" }
    return nil
  }

  // MARK: Told by the device API

  @Test(arguments: [(Int64(0), "known"), (10, "off"), (-3600, "off")])
  func aClockToldBeforeTheStartStandsBesideTheRecording(_ off_s: Int64, _ said: String) async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.tellClock(off_s * 1000)
    told.pass(60)
    try await told.tell(0..<1)
    #expect(try await told.stored() == "\(off_s * 1000) \(off_s != 0 ? "t" : "f") device")
    #expect(try await told.shown() == said)
    #expect(try await told.shown("clock_source") == "device")
    let opened = try #require(try told.entries("incident.opened").first)
    #expect(opened.facts["clock_offset_ms"] == .integer(off_s * 1000))
    #expect(opened.facts["clock_off"] == .bool(off_s != 0))
    #expect(opened.facts["clock_source"] == .string("device"))
    // Nothing is re-timed.
    #expect(opened.facts["opened_us"] == .integer(Self.start.adding(seconds: 60).microseconds))
  }

  @Test func aClockToldInTheRecordingIsJournalledOnceAndFlaggedWhenItIsOff() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.tell(0..<1)
    #expect(try await told.shown() == "unknown")
    for (n, off_s) in [Int64(1), 0, 3600, 1].enumerated() {
      told.pass(60 + Int64(n) * 60)
      try await told.tellClock(off_s * 1000)
    }
    await told.world.keeper.keepClocks()
    #expect(try await told.stored() == "1000 t device")
    let entries = try told.entries("recording.clock")
    #expect(entries.map { $0.facts["clock_offset_ms"] } == [.integer(1000), .integer(3_600_000)])
    #expect(entries.map { $0.facts["clock_off"] } == [.bool(false), .bool(true)])
  }

  @Test func aTellingOfYesterdayIsUnknown() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    told.world.pass(to: Self.start.adding(seconds: 60 - CameraClock.standing_s))
    try await told.tellClock(10_000)
    told.pass(60)
    try await told.tell(0..<1)
    #expect(try await told.shown() == "unknown")
  }

  @Test func aCameraTellsOnceInAWhile() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    told.pass(100)
    try await told.tellClock(0)
    await #expect {
      try await told.tellClock(9000)
    } throws: { ($0 as? Problem)?.status == 429 }
    #expect(await told.world.keeper.cameras[CameraID("C")]?.clock?.offset_ms == 0)
    told.pass(100 + Keeper.tellingPause_s)
    try await told.tellClock(9000)
    #expect(await told.world.keeper.cameras[CameraID("C")]?.clock?.offset_ms == 9000)
  }

  @Test func theRegisterFollowsACameraThatTellsOftenAndDriftsSlowly() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    for n in 0..<20 {
      told.pass(Int64(n) * 30)
      try await told.tellClock(Int64(n) * 30)
      await told.world.keeper.keepClocks()
      let written = try #require(try await told.cameraInRegister())
      #expect(Int64(n) * 30 - written.offset_ms <= 50)
      #expect(Self.start.adding(seconds: Int64(n) * 30 - 60) < written.toldAt)
    }
    // One that does not change is not written each time.
    for n in 0..<2 {
      told.pass(1000 + Int64(n) * 30)
      try await told.tellClock(570)
      await told.world.keeper.keepClocks()
    }
    #expect(try await told.cameraInRegister()?.toldAt == Self.start.adding(seconds: 1000))
  }

  // MARK: The database away

  @Test func tellingsWhileTheDatabaseIsAwayAreOneACamera() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    let keeper = told.world.keeper
    try await told.tell(0..<1)
    await keeper.setAway(true)
    for n in 1..<100 {
      told.pass(100 + Int64(n) * 10)
      try await told.tellClock(Int64(n) * 1000)
      await keeper.keepClocks()
    }
    #expect(await keeper.waiting() == Waiting(changes: 0, cameras: 1, recordings: 1, isLeft: false))
    #expect(try await told.cameraInRegister() == nil)
    await keeper.setAway(false)
    await keeper.keepClocks()
    #expect(try await told.cameraInRegister()?.offset_ms == 99_000)
    #expect(try await told.stored() == "1000 t device")
    #expect(await keeper.waiting() == Waiting(changes: 0, cameras: 0, recordings: 0, isLeft: false))
  }

  @Test func aThreatIsInForceThoughNothingMoreCanWaitForTheDatabase() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    let (world, keeper, service) = (told.world, told.world.keeper, told.service.rawValue)
    for name in ["chef", "op", "un", "deux"] { _ = try await world.person(name, in: service) }
    try await world.seatHead("chef", in: service, by: ("un", "deux"))
    try await world.desk(
      "chef",
      .accredit(
        account: "op", service: told.service, role: .operator, act: "note", from: nil,
        until: Self.start.adding(seconds: 86_400)))
    let token = try await world.logIn("op")
    _ = try await keeper.answer(.session(token: token))
    let stream = await keeper.ingestNotices()
    await keeper.setAway(true)
    await keeper.fill()
    told.pass(60)
    // The incident itself is told while nothing of it can be written.
    try await told.tell(0..<1)
    let camera = try #require(await keeper.cameras[CameraID("C")])
    _ = try await keeper.deviceDeclare(camera, .agents)
    #expect(try await keeper.deviceState(camera).threatOpen)
    let recording = told.recording
    var directives = stream.makeAsyncIterator()
    while let directive = await directives.next(), directive != .live(recording, open: true) {}
    // Each act of people is in force as well, and none is answered with a refusal.
    let incident = told.part.incident
    _ = try await keeper.answer(.endThreat(token: token, incident))
    #expect(try await !keeper.deviceState(camera).threatOpen)
    _ = try await keeper.deviceDeclare(camera, .property)
    #expect(try await keeper.deviceState(camera).threatOpen)
    _ = try await keeper.answer(.closeIncident(token: token, incident))
    #expect(await keeper.closing(of: incident) == .closedByCommandRoom)
    #expect(
      await keeper.waiting() == Waiting(changes: Keeper.maximumPending, cameras: 0, recordings: 0, isLeft: true))
    #expect(try told.entries("threat.declared.failed").isEmpty)
    // It is back: what found no room comes from the journal, in order, and once.
    await keeper.setAway(false)
    await keeper.followJournal()
    #expect(await keeper.waiting().isLeft)
    try await told.tell(0..<2)
    for _ in 0..<2 {
      await keeper.drainPending()
      await keeper.followJournal()
    }
    #expect(await keeper.waiting() == Waiting(changes: 0, cameras: 0, recordings: 0, isLeft: false))
    #expect(try await told.threats() == ["agents true", "property false"])
    #expect(try await world.register.activeIncidents().first?.closing == .closedByCommandRoom)
    // Applied again, it changes nothing.
    await keeper.leaveToJournal(0)
    await keeper.followJournal()
    #expect(try await told.threats() == ["agents true", "property false"])
  }

  // MARK: A restart

  @Test func aRestartRemembersARecordingsClock() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.tellClock(10_000)
    told.pass(60)
    try await told.tell(0..<1)
    let again = try await told.world.restarted()
    #expect(
      await again.clock(in: told.part.incident) == RecordingClock(offset_ms: 10_000, source: .device, isOff: true))
    told.pass(120)
    try await told.tellClock(0, to: again)
    await again.keepClocks()
    // Neither a second first one, nor one that says it is not off.
    #expect(try told.entries("recording.clock").isEmpty)
    #expect(try await told.stored() == "10000 t device")
  }

  @Test func anIncidentBegunWhileTheKeeperWasAwayHasItsClock() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.tellClock(10_000)
    await told.world.keeper.keepClocks()
    told.pass(300)
    let again = try await told.world.restarted()
    let header = try PartReader.header(of: told.world.folder + "/footage/" + told.part.path)
    let found = FoundPart(header, path: told.part.path, isClosed: false)
    _ = try await again.answer(
      .found([found], taken: nil))
    #expect(await again.clock(in: told.part.incident)?.offset_ms == 10_000)
    #expect(try await told.stored() == "10000 t device")
    let opened = try #require(try told.entries("incident.opened").first)
    #expect(opened.facts["recovered"] == .bool(true) && opened.facts["clock_offset_ms"] == .integer(10_000))
  }

  @Test func aMemoryOfAnEarlierVersionIsRead() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.tellClock(10_000)
    told.pass(60)
    try await told.tell(0..<1)
    let incident = try #require(await told.world.keeper.rememberedIncident(told.part.incident))
    let memory = KeeperMemory(
      services: try await told.world.register.services(), cameras: try await told.world.register.cameras(),
      incidents: [incident], sessions: [])
    let text = try JSONEncoder().encode(memory)
    #expect(try JSONDecoder().decode(KeeperMemory.self, from: text) == memory)
    #expect(memory.incidents[0].clock?.isOff == true)
    var plain = try #require(try JSONSerialization.jsonObject(with: text) as? [String: [[String: Any]]])
    for (list, names) in [
      ("services", ["relayBudget_ms"]), ("cameras", ["delivery", "maximumRate_kbps", "clock"]),
      ("incidents", ["clock"]),
    ] {
      for name in names { plain[list]?[0][name] = nil }
    }
    let old = try JSONDecoder().decode(KeeperMemory.self, from: try JSONSerialization.data(withJSONObject: plain))
    var expected = memory
    expected.cameras[0].clock = nil
    expected.incidents[0].clock = nil
    #expect(old == expected)
  }

  // MARK: Observed in the stream

  @Test func whatTheStreamSaysStandsWhereNobodyTold() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    told.pass(120)
    try await told.tell()
    #expect(try await told.shown() == "unknown")
    let reading = ClockReading(source: .klv, offset_ms: -90_000)
    // Nobody asked for it yet.
    #expect(await code { try await told.check(reading) } == "not-given")
    #expect(try await told.shown() == "unknown")
    guard case .read(let grant?) = try await told.world.keeper.answer(.nextDecodeCheck) else { throw Problem.fault }
    #expect(grant.recording == told.recording)
    try await told.check(reading)
    #expect(try await told.stored() == "-90000 t klv")
    #expect(try await told.shown() == "off")
    #expect(try await told.shown("clock_source") == "klv")
    #expect(try await told.shown("decodes") == "decodes")
    let entry = try #require(try told.entries("recording.clock").first)
    #expect(entry.author == "console" && entry.facts["clock_source"] == .string("klv"))
    #expect(entry.facts["clock_offset_ms"] == .integer(-90_000) && entry.facts["clock_off"] == .bool(true))
    // Once.
    #expect(await code { try await told.check(reading) } == "not-given")
    // Erased with the rest.
    try await told.world.register.eraseFacts(
      of: told.part.grant.part, recording: told.recording, certificate: 7, at: Self.start.adding(seconds: 200))
    #expect(try await told.stored() == "f")
  }

  @Test(arguments: [(Int64(-500), "30 f device"), (-9000, "30 t device")])
  func whatTheStreamSaysReplacesNoTelling(_ off_ms: Int64, _ stored: String) async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.tellClock(30)
    told.pass(120)
    try await told.tell()
    _ = try await told.world.keeper.answer(.nextDecodeCheck)
    try await told.check(ClockReading(source: .picture, offset_ms: off_ms))
    #expect(try await told.stored() == stored)
    // A telling that comes into the register late is the camera's own all the same.
    #expect(try told.entries("recording.clock").map { $0.facts["clock_source"] } == [.string("picture")])
  }

  @Test func aTellingThatIsWrittenLateReplacesWhatTheStreamSaid() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    told.pass(120)
    try await told.tell()
    let (register, recording) = (told.world.register, told.recording)
    try await register.setClocks([recording: RecordingClock(offset_ms: 5, source: .klv, isOff: false)])
    try await register.setClocks([recording: RecordingClock(offset_ms: 7, source: .picture, isOff: false)])
    #expect(try await told.stored() == "5 f klv")
    try await register.setClocks([recording: RecordingClock(offset_ms: 9000, source: .device, isOff: true)])
    try await register.setClocks([recording: RecordingClock(offset_ms: 0, source: .device, isOff: false)])
    #expect(try await told.stored() == "9000 t device")
  }

  @Test func aTimeThatIsNoneIsUnknown() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    told.pass(120)
    try await told.tell()
    _ = try await told.world.keeper.answer(.nextDecodeCheck)
    try await told.check(ClockReading(source: .klv, offset_ms: .max))
    #expect(try await told.shown() == "unknown")
    #expect(try await told.shown("decodes") == "decodes")
    #expect(try told.entries("recording.clock").isEmpty)
  }

  @Test func theStreamsBeginningTellsItsClock() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let clip = [UInt8](try Data(contentsOf: folder.appendingPathComponent("Fixtures/klv.ts")))
    // The set lies at the beginning of a chunk that came within 500 ms, a minute after the camera's clock showed it.
    let shown_us: Int64 = 1_224_807_209_913_000
    var pictures = KeyPictures()
    #expect(pictures.clock == nil)
    let first = shown_us + 60_000_000
    let found = pictures.push(MasterPiece(bytes: clip, firstArrival_us: first, lastArrival_us: first + 500_000))
    let whole = found + pictures.finish()
    #expect(!whole.isEmpty)
    let clock = try #require(pictures.clock)
    #expect(clock.isMetadata && (-60_100 ... -60_000).contains(clock.offset_ms))
    // Sent again later than the beginning, it is not looked at: what is there is the same key pictures.
    var late = KeyPictures()
    _ = late.push(MasterPiece(bytes: [], firstArrival_us: first - 40_000_000, lastArrival_us: first - 40_000_000))
    let again = late.push(MasterPiece(bytes: clip, firstArrival_us: first, lastArrival_us: first + 500_000))
    let keyPictures = again + late.finish()
    #expect(late.clock == nil && keyPictures == whole)
  }

  @Test func aChunkIsSlicedBetweenPackets() {
    for packets in [0, 1, 2, 15, 16, 17, 100] {
      let bytes = (0..<(packets * 188)).map { UInt8(truncatingIfNeeded: $0) }
      let slices = MasterPiece(bytes: bytes, firstArrival_us: 1000, lastArrival_us: 501_000).slices
      #expect(slices.flatMap(\.bytes) == bytes && slices.allSatisfy { $0.bytes.count % 188 == 0 })
      #expect(slices.map(\.arrival_us) == slices.map(\.arrival_us).sorted())
      #expect(slices.last?.arrival_us == 501_000)
    }
    for (first, last): (Int64, Int64) in [(.min, .max), (.max, .min), (5, 4)] {
      #expect(
        MasterPiece(bytes: [UInt8](repeating: 0x47, count: 376), firstArrival_us: first, lastArrival_us: last).slices
          .count == 1)
    }
  }
}

extension ClockTests.Told {
  /// Grounds of the threats in the register, and whether each was closed.
  fileprivate func threats() async throws -> [String] {
    try await world.pool.run { connection in
      try connection.query(
        "SELECT ground || ' ' || (closed_at IS NOT NULL) AS line FROM threat_declaration WHERE incident_id = $1 ORDER BY opened_at, ground",
        [.text(part.incident.rawValue)]
      ).map { try $0.text("line") }
    }
  }
}

/// What waits for the register.
private struct Waiting: Equatable {
  var changes: Int
  var cameras: Int
  var recordings: Int
  /// Something is left to the journal.
  var isLeft: Bool
}

extension Keeper {
  fileprivate func waiting() -> Waiting {
    Waiting(
      changes: pendingWrites.count, cameras: clocks.dirty.count, recordings: clocks.recordings.count,
      isLeft: unfollowed != nil)
  }

  fileprivate func clock(in incident: IncidentID) -> RecordingClock? { active[incident]?.clock }

  fileprivate func closing(of incident: IncidentID) -> ClosingCause? { active[incident]?.closing?.cause }

  fileprivate func setAway(_ isAway: Bool) { setDatabaseAway(isAway) }

  /// As many changes wait as may.
  fileprivate func fill() {
    while pendingWrites.count < Self.maximumPending { pendingWrites.append(PendingWrite(what: "test") {}) }
  }

  fileprivate func rememberedIncident(_ id: IncidentID) -> KeeperMemory.Incident? {
    active[id].map {
      KeeperMemory.Incident(
        entry: $0.entry, agent: $0.agent, threat: $0.threat, closing: nil, closedBy: nil, attached: $0.attached,
        confirmedUntil: nil, lastPart: $0.lastPart, clock: $0.clock)
    }
  }
}
