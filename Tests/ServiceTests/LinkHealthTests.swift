import Doctrine
import Foundation
import Journal
import Postgres
import Registry
import Seams
import TestSupport
import Testing
import Vault

@testable import Keeper

/// Links of cameras in the keeper and its register: minutes, alarms, erasure, reception.
@Suite(.serialized)
struct LinkHealthTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private static let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  /// A recording of the camera "C", begun at the start.
  private struct Told {
    let world: KeeperWorld
    let service: ServiceID
    let agent: AgentID
    let incident = IncidentID(UUID().uuidString.lowercased())
    let recording = RecordingID(UUID().uuidString.lowercased())
    let counter = Counter()

    static func make() async throws -> Told {
      let world = try await KeeperWorld.make(at: LinkHealthTests.start, calendar: LinkHealthTests.calendar)
      let (service, agent) = try await world.furnish()
      return Told(world: world, service: service, agent: agent)
    }

    func tell(_ events: IngestEvent..., to keeper: Keeper? = nil, boot: String = "b") async throws {
      let numbered = events.map { NumberedEvent(number: counter.next(), event: $0) }
      _ = try await (keeper ?? world.keeper).answer(.events(boot: boot, oldest: 1, numbered))
    }

    func open() async throws {
      try await tell(
        .opened(incident, recording, service, by: agent, at: UTCTime(microseconds: world.wall.now)))
      try await join()
    }

    func join(_ epoch: Int64 = 1) async throws {
      try await tell(
        .streamJoined(
          incident, recording, epoch: epoch, at: UTCTime(microseconds: world.wall.now), peer: "test",
          said: StreamClaims()))
    }

    func leave(_ epoch: Int64 = 1) async throws {
      try await tell(.streamLeft(incident, recording, epoch: epoch, at: UTCTime(microseconds: world.wall.now)))
    }

    /// A report of a link that is too small.
    func storm(_ n: Int64) -> LinkHealth {
      report(n) {
        $0.retransmitted = 600
        $0.lag_ms = 100 + n * 700
      }
    }

    /// Ten seconds that end now, from the n-th on.
    func report(_ n: Int64, _ change: (inout LinkHealth) -> Void = { _ in }) -> LinkHealth {
      var health = LinkHealth(
        camera: CameraID("C"), recording: recording, from: start.adding(seconds: n * 10),
        to: start.adding(seconds: n * 10 + 10), delivery: .complete)
      health.packets = 1000
      health.bytes = 1_316_000
      health.roundTrip_ms = 30
      health.senderLatency_ms = 120
      health.lag_ms = 50
      change(&health)
      return health
    }

    func rows() async throws -> [LinkMinute] {
      let day = calendar.day(of: start)
      return try await world.register.linkMinutes(
        of: CameraID("C"), days: day...day.adding(days: 60), from: start.adding(seconds: -3600),
        to: start.adding(seconds: 90 * 86_400), limit: 1000)
    }
  }

  private final class Counter: Sendable {
    private let value = SettableClock(0)
    func next() -> UInt64 {
      value.add(1)
      return UInt64(value.now)
    }
  }

  private func pass(_ told: Told, _ seconds: Int64) { told.world.pass(to: Self.start.adding(seconds: seconds)) }

  private func alarms(_ told: Told) async -> [String] { await told.world.keeper.wall().alarms.map(\.code) }

  @Test func aMinuteIsOneRowWhateverIsToldInIt() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    for n in 0..<7 {
      pass(told, Int64(n) * 10 + 10)
      try await told.tell(.linkHealth([told.report(Int64(n)) { $0.lost = 2 }]))
    }
    await told.world.keeper.keepLinkMinutes()
    #expect(try await told.rows().isEmpty)
    pass(told, 85)
    await told.world.keeper.keepLinkMinutes()
    let row = try #require(try await told.rows().first)
    #expect(try await told.rows().count == 1)
    // 1 800 000 000 s is the begin of a minute.
    #expect(row.start == Self.start && row.health.packets == 6000 && row.health.lost == 12)
    #expect(row.health.measured_ms == 60_000 && row.health.roundTrip_ms == 30 && row.health.lag_ms == 50)
    // The rest of the next one, told late: added, and once only.
    let late = LinkMinute(day: row.day, start: row.start, health: told.report(6) { $0.from = Self.start })
    for _ in 0..<2 { try await told.world.register.insert([late]) }
    #expect(try await told.rows().first?.health.packets == 7000)
  }

  @Test func itWaitsForTheDatabaseAndIsBounded() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    await told.world.keeper.setAway(true)
    pass(told, 10)
    try await told.tell(.linkHealth([told.report(0)]))
    pass(told, 300)
    await told.world.keeper.keepLinkMinutes()
    #expect(try await told.rows().isEmpty)
    #expect(await told.world.keeper.linkMinutes.count == 1)
    await told.world.keeper.setAway(false)
    // What the ingest told meanwhile comes into the register first.
    try await told.tell(.linkHealth([told.report(1)]))
    await told.world.keeper.fill(to: Keeper.maximumMinutes, of: told.recording)
    try await told.tell(.linkHealth([told.report(20)]))
    #expect(await told.world.keeper.linkMinutes.count == Keeper.maximumMinutes)
    #expect(await told.world.keeper.currentLinkFigures().minutesDropped == 1)
  }

  @Test func whatNamesNothingIsNotKept() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    pass(told, 10)
    let reports = [
      told.report(0) { $0.camera = CameraID("unknown") }, told.report(0) { $0.recording = RecordingID("'; --") },
      told.report(0) { $0.from = UTCTime(microseconds: .min) }, told.report(100_000),
    ]
    try await told.tell(.linkHealth(reports))
    #expect(await told.world.keeper.linkMinutes.isEmpty)
    #expect(await told.world.keeper.links.values.allSatisfy { $0.reports.isEmpty })
    // Of a recording that the register does not know, nothing is written.
    try await told.tell(.linkHealth([told.report(0) { $0.recording = RecordingID(UUID().uuidString.lowercased()) }]))
    pass(told, 300)
    await told.world.keeper.keepLinkMinutes()
    #expect(try await told.rows().isEmpty)
  }

  @Test func aStormIsOnTheWallForAsLongAsItIsOne() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    func storm(_ n: Int64) -> LinkHealth {
      told.report(n) {
        $0.retransmitted = 400
        $0.lag_ms = 100 + n * 700
      }
    }
    pass(told, 10)
    try await told.tell(.linkHealth([told.report(0)]))
    #expect(await alarms(told) == [])
    for n in 1...2 {
      pass(told, Int64(n) * 10 + 10)
      try await told.tell(.linkHealth([storm(Int64(n))]))
      #expect(await alarms(told) == ["retransmission-storm"])
    }
    var figures = await told.world.keeper.currentLinkFigures()
    #expect(figures.storms == 1 && figures.diagnosed[.storm] == 1 && figures.connected == 1)
    #expect(figures.total.retransmitted == 800 && figures.lag_ms.counts.reduce(0, +) == 3)
    pass(told, 40)
    try await told.tell(.linkHealth([told.report(3)]))
    #expect(await alarms(told) == [])
    pass(told, 90)
    figures = await told.world.keeper.currentLinkFigures()
    #expect(figures.connected == 0 && figures.diagnosed.isEmpty && figures.storms == 1)
    #expect(await told.world.keeper.cameraFigures().map(\.total.packets) == [4000])
  }

  @Test func whatIsWrongWithALinkGoesWithItsConnection() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    func connected() async -> Bool { await told.world.keeper.currentLinkFigures().connected == 1 }
    func figures() async -> CameraFigures? { await told.world.keeper.cameraFigures().first }
    // From the join on, before anything was measured.
    #expect(await connected())
    var seen = await figures()
    #expect(seen?.isConnected == true && seen?.newest == nil)
    pass(told, 10)
    try await told.tell(.linkHealth([told.storm(0)]))
    #expect(await alarms(told) == ["retransmission-storm"])
    #expect(await figures()?.isStorming == true)
    try await told.leave()
    #expect(await alarms(told) == [])
    #expect(await !connected())
    seen = await figures()
    #expect(seen?.isConnected == false && seen?.isStorming == false && seen?.newest == nil)
    #expect(await told.world.keeper.currentLinkFigures().diagnosed.isEmpty)
    // It calls again: connected at once, in no storm before one is seen.
    pass(told, 12)
    try await told.join(2)
    #expect(await connected())
    #expect(await alarms(told) == [])
    pass(told, 22)
    try await told.tell(
      .linkHealth([
        told.report(1) {
          $0.connections = 1
          $0.retransmitted = 600
        }
      ]))
    #expect(await alarms(told) == ["retransmission-storm"])
    // When the ingest comes back it says who is connected.
    try await told.tell(.streaming([told.recording]))
    #expect(await alarms(told) == ["retransmission-storm"])
    try await told.tell(.streaming([]))
    #expect(await alarms(told) == [])
    #expect(await !connected())
    try await told.tell(.streaming([told.recording]), .linkHealth([told.report(2) { $0.retransmitted = 600 }]))
    #expect(await alarms(told) == ["retransmission-storm"])
    try await told.tell(
      .incidentClosed(
        IncidentClosed(
          incident: told.incident, recording: told.recording, camera: CameraID("C"), at: Self.start.adding(seconds: 30),
          cause: .endedByWearer, by: nil, damage: 0)))
    #expect(await alarms(told) == [])
    #expect(await !connected())
  }

  // A fleet on a bad network pushes no refusal off the wall, its own service's or another's.
  @Test func alarmsOfLinksTakeNoPlaceOfRefusals() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    let other = ServiceID(
      try await told.world.admin(
        .createService(
          name: "autre", regime: "pn-gn", act: "essai", date: LocalDate(year: 2027, month: 1, day: 1),
          authorisedCameras: nil)))
    try await told.world.admin(.enrolCamera(service: other.rawValue, CameraID("D"), model: ""))
    var number: UInt64 = 0
    func refuse(_ camera: String, _ service: ServiceID, _ code: String) async throws {
      number += 1
      _ = try await told.world.keeper.answer(
        .refusals(
          boot: "b", number: number,
          [
            RefusalEntry(
              at: Self.start, camera: camera, service: service, peer: "test", code: code, sentence: code, proven: false)
          ]))
    }
    try await refuse("D", other, "two-devices")
    try await refuse("C", told.service, "two-devices")
    await told.world.keeper.storm(2 * Keeper.maximumAlarms, in: told.service, told.report(0) { $0.retransmitted = 600 })
    var codes = await alarms(told)
    #expect(codes.filter { $0 == "two-devices" }.count == 2)
    #expect(codes.filter { $0 == "retransmission-storm" }.count == Keeper.maximumAlarms)
    // Nor do the refusals of one service push off another's: each has its own bound.
    for n in 0..<2 * Keeper.maximumAlarms { try await refuse("C", told.service, "code-\(n)") }
    codes = await alarms(told)
    #expect(codes.filter { $0 == "two-devices" }.count == 1)
    #expect(codes.filter { $0.hasPrefix("code-") }.count == Keeper.maximumAlarms)
    #expect(codes.filter { $0 == "retransmission-storm" }.count == Keeper.maximumAlarms)
  }

  @Test func aSilenceIsAsLongAsItLasts() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    for n in Int64(0)...12 {
      pass(told, n * 10 + 10)
      try await told.tell(.linkHealth([told.report(n) { if n > 0 { $0.packets = 0 } }]))
    }
    let silent = try #require(await told.world.keeper.links[CameraID("C")]?.diagnoses.first)
    #expect(silent.code == .silent && silent.french.hasSuffix("depuis 120 s"))
    pass(told, 140)
    try await told.tell(.linkHealth([told.report(13)]))
    #expect(await told.world.keeper.links[CameraID("C")]?.diagnoses.isEmpty == true)
  }

  // MET-3: what a camera said of its clock stands for a shift, and beside each minute of it.
  @Test func aClockIsJudgedAndKeptForAsLongAsItStands() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    pass(told, 10)
    try await told.tell(.linkHealth([told.report(0) { $0.clockOffset_ms = 77 }]))
    let camera = try #require(await told.world.keeper.cameras[CameraID("C")])
    _ = try await told.world.keeper.deviceClock(camera, UTCTime(microseconds: told.world.wall.now + 10_000_000))
    pass(told, 70)
    try await told.tell(.linkHealth([told.report(6)]))
    func codes() async -> [LinkDiagnosis.Code] {
      await told.world.keeper.links[CameraID("C")]?.diagnoses.map(\.code) ?? []
    }
    #expect(await codes() == [.clockOff])
    #expect(await told.world.keeper.cameraFigures().first?.clock?.offset_ms == 10_000)
    let later = CameraClock.standing_s / 10 + 10
    pass(told, later * 10 + 10)
    try await told.tell(.linkHealth([told.report(later)]))
    #expect(await codes() == [])
    #expect(await told.world.keeper.cameraFigures().first?.clock == nil)
    pass(told, later * 10 + 200)
    await told.world.keeper.keepLinkMinutes()
    // The ingest knows nothing of it: what it might say is not taken.
    #expect(try await told.rows().map(\.health.clockOffset_ms) == [nil, 10_000, nil])
  }

  @Test func aRoundTripThatNobodyKnowsIsNone() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    pass(told, 10)
    try await told.tell(.linkHealth([told.report(0) { $0.roundTrip_ms = nil }]))
    pass(told, 100)
    await told.world.keeper.keepLinkMinutes()
    #expect(try await told.rows().map(\.health.roundTrip_ms) == [nil])
    #expect(await told.world.keeper.currentLinkFigures().roundTrip_ms.counts.allSatisfy { $0 == 0 })
    // Known later, and not forgotten by what does not know it.
    let day = Self.calendar.day(of: Self.start)
    for (n, trip) in [(Int64(1), 40.0), (2, nil)] {
      try await told.world.register.insert([
        LinkMinute(day: day, start: Self.start, health: told.report(n) { $0.roundTrip_ms = trip })
      ])
    }
    #expect(try await told.rows().map(\.health.roundTrip_ms) == [40])
  }

  @Test func itGoesWithItsRecording() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    let grant = try await told.world.keeper.partGrants(for: told.service, from: Self.calendar.day(of: Self.start))[0]
    let path = told.world.folder + "/footage/\(grant.part).plm"
    #expect(FileManager.default.createFile(atPath: path, contents: Data([1])))
    pass(told, 10)
    try await told.tell(
      .partOpened(
        PartOpened(
          part: grant.part, recording: told.recording, service: told.service, number: 1, localDay: grant.localDay,
          wrappedKey: grant.wrappedKey, path: "\(grant.part).plm")),
      .linkHealth([told.report(0)]),
      .gap(
        GapEntry(
          part: grant.part, chunk: 1, from: Self.start, to: Self.start.adding(seconds: 1), cause: .lostInTransport,
          missing: 17)),
      .partClosed(
        PartProgress(part: grant.part, chunkCount: 2, chainHead: [UInt8](repeating: 1, count: 32), file_bytes: 1)),
      .incidentClosed(
        IncidentClosed(
          incident: told.incident, recording: told.recording, camera: CameraID("C"), at: Self.start.adding(seconds: 10),
          cause: .endedByWearer, by: nil, damage: 0)))
    pass(told, 100)
    await told.world.keeper.keepLinkMinutes()
    #expect(try await told.rows().count == 1)
    let missing = try await told.world.pool.run { try $0.query("SELECT missing_packets FROM gap") }
    #expect(try missing.first?.integer("missing_packets") == 17)
    // A week on, by law: row by row, and nothing that comes late brings it back.
    try await told.world.register.eraseFacts(
      of: grant.part, recording: told.recording, certificate: 1, at: Self.start.adding(seconds: 7 * 86_400))
    #expect(try await told.rows().isEmpty)
    try await told.world.register.insert([
      LinkMinute(day: Self.calendar.day(of: Self.start), start: Self.start, health: told.report(0))
    ])
    #expect(try await told.rows().isEmpty)
  }

  @Test func itIsKeptThirtyDaysAndNoLonger() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    try await told.open()
    pass(told, 10)
    try await told.tell(.linkHealth([told.report(0)]))
    pass(told, 100)
    await told.world.keeper.keepLinkMinutes()
    let today = Self.calendar.day(of: Self.start)
    func days(_ count: Int) async throws -> Int {
      try await told.world.keeper.dropOldLinkHealth(on: today.adding(days: count))
      return try await told.rows().count
    }
    #expect(try await days(LinkHealth.kept_days - 1) == 1)
    #expect(try await days(LinkHealth.kept_days) == 0)
    let left = try await told.world.database.owner.run {
      try $0.query("SELECT 1 AS one FROM pg_inherits WHERE inhparent = 'link_health'::regclass")
    }
    #expect(left.isEmpty)
    // The sweeper does it, on its way.
    try await told.world.register.insert([
      LinkMinute(day: today, start: Self.start, health: told.report(0))
    ])
    #expect(try await told.rows().count == 1)
    pass(told, 31 * 86_400)
    _ = try await told.world.keeper.sweep()
    #expect(try await told.rows().isEmpty)
  }

  @Test func aCamerasReceptionIsSetToldAndRemembered() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    var notices = await told.world.keeper.ingestNotices().makeAsyncIterator()
    func admission() async throws -> CameraAdmission {
      while let directive = await notices.next() { if case .admission(let admission) = directive { return admission } }
      throw Problem.fault
    }
    #expect(try await admission().reception == ReceptionSettings())
    try await told.world.admin(.setReception(CameraID("C"), .timely(window_ms: 500), maximumRate_kbps: nil))
    #expect(try await admission().reception == ReceptionSettings(delivery: .timely(window_ms: 500)))
    try await told.world.admin(.setReception(CameraID("C"), nil, maximumRate_kbps: 6000))
    try await told.world.admin(.setRelayBudget(service: told.service.rawValue, ms: 250))
    _ = try await admission()
    let wanted = ReceptionSettings(delivery: .timely(window_ms: 500), maximumRate_kbps: 6000, relayBudget_ms: 250)
    #expect(try await admission().reception == wanted)
    let again = try await told.world.restarted()
    #expect(await again.reception(of: try #require(await again.cameras[CameraID("C")])) == wanted)
    for call in [
      AdminCall.setReception(CameraID("C"), .timely(window_ms: 19), maximumRate_kbps: nil),
      .setReception(CameraID("C"), nil, maximumRate_kbps: 99), .setRelayBudget(service: told.service.rawValue, ms: -1),
      .setRelayBudget(service: told.service.rawValue, ms: 501),
      .setReception(CameraID("none"), .complete, maximumRate_kbps: nil),
    ] {
      await #expect(throws: Problem.self) { try await told.world.admin(call) }
    }
    let acts = try told.world.entries().map(\.act)
    #expect(acts.filter { $0 == "camera.reception-set" }.count == 2 && acts.contains("service.relay-set"))
  }

  // A register that is brought forward from the journal meets budgets that could be set once.
  @Test func aBudgetFromBeforeTheBoundIsBroughtForwardAsTheBound() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    let first = told.world.journal.mark.size
    try await told.world.keeper.scribe.write(
      .modification, "service.relay-set", author: "test", service: told.service, ["budget_ms": .integer(4000)])
    try await told.world.keeper.bringForward(from: first)
    let budgets = try await told.world.pool.run { try $0.query("SELECT relay_budget_ms FROM service") }
    #expect(try budgets.map { try $0.integer("relay_budget_ms") } == [Int64(ReceptionSettings.holeLimit_ms)])
  }

  @Test func linksAreSeenByWhoMayAndByNobodyElse() async throws {
    let told = try await Told.make()
    defer { told.world.end() }
    let service = told.service.rawValue
    for name in ["chef", "op", "un", "deux", "auditeur"] { _ = try await told.world.person(name, in: service) }
    try await told.world.seatHead("chef", in: service, by: ("un", "deux"))
    let until = Self.start.adding(seconds: 30 * 86_400)
    for (name, role) in [("op", Role.operator), ("auditeur", .auditor)] {
      try await told.world.desk(
        "chef", .accredit(account: name, service: told.service, role: role, act: "note", from: nil, until: until))
    }
    try await told.open()
    pass(told, 10)
    try await told.tell(
      .linkHealth([
        told.report(0) {
          $0.roundTrip_ms = 90
          $0.delivery = .timely(window_ms: 120)
        }
      ]))
    for name in ["chef", "op"] {
      guard
        case .cameras(let cameras) = try await told.world.keeper.answer(
          .cameras(token: try await told.world.logIn(name)))
      else { throw Problem.fault }
      #expect(cameras.map(\.camera) == [CameraID("C")] && cameras.first?.isConnected == true)
      #expect(cameras.first?.diagnoses.map(\.code) == [.latency])
    }
    let token = try await told.world.logIn("op")
    // The minute that is not written yet is told too.
    guard
      case .linkMinutes(let minutes, next: nil) = try await told.world.keeper.answer(
        .linkMinutes(token: token, CameraID("C"), from: Self.start, to: Self.start.adding(seconds: 3600)))
    else { throw Problem.fault }
    #expect(minutes.map(\.health.packets) == [1000])
    #expect(try told.world.entries().contains { $0.act == "links.read" && $0.author == "op" })
    let auditor = try await told.world.logIn("auditeur")
    for call in [
      ConsoleCall.cameras(token: auditor),
      .linkMinutes(token: auditor, CameraID("C"), from: Self.start, to: Self.start.adding(seconds: 1)),
    ] {
      await #expect { _ = try await told.world.keeper.answer(call) } throws: { ($0 as? Problem)?.status == 403 }
    }
    await #expect {
      _ = try await told.world.keeper.answer(.linkMinutes(token: token, CameraID("C"), from: until, to: until))
    } throws: { ($0 as? Problem)?.status == 400 }
    // However far apart: bounded by what is kept.
    _ = try await told.world.keeper.answer(
      .linkMinutes(
        token: token, CameraID("C"), from: UTCTime(microseconds: 0), to: UTCTime(microseconds: 253_402_300_799_000_000))
    )
  }
}

extension KeeperWorld {
  fileprivate func entries() throws -> [JournalEntry] {
    try (0...(journal.mark.size / 256)).flatMap { try journal.folder.bundle($0) }
      .compactMap { JournalEntry(canonical: $0) }
  }
}

extension Keeper {
  fileprivate func setAway(_ isAway: Bool) { setDatabaseAway(isAway) }

  /// So many more cameras of a service are connected, and tell the same.
  fileprivate func storm(_ count: Int, in service: ServiceID, _ report: LinkHealth) {
    for n in 0..<count {
      let camera = CameraID("S-\(n)")
      let incident = IncidentID(newID())
      var told = report
      told.camera = camera
      told.recording = RecordingID(newID())
      cameras[camera] = CameraEntry(
        id: camera, service: service, model: "", passphraseSealed: [], tokenHash: [], enabled: true, issuedTo: nil)
      let open = ActiveIncident(
        entry: IncidentEntry(
          id: incident, recording: told.recording, service: service, camera: camera, agent: AgentID("a"),
          reference: nil, activation: nil, openedAt: report.from), agent: nil)
      open.streaming = true
      active[incident] = open
      linkJoined(camera, told.recording, at: report.from)
      took([told])
    }
  }

  /// So many minutes wait.
  fileprivate func fill(to count: Int, of recording: RecordingID) {
    var n: Int64 = 1_000_000
    while linkMinutes.count < count {
      let minute = UTCTime(microseconds: n * 60_000_000)
      n += 1
      linkMinutes[LinkMinuteKey(camera: CameraID("C"), recording: recording, minute: minute)] = LinkHealth(
        camera: CameraID("C"), recording: recording, from: minute, to: minute, delivery: .complete)
    }
  }
}
