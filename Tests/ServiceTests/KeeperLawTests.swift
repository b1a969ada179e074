import Doctrine
import Foundation
import Journal
import Registry
import Retention
import Seams
import TestSupport
import Testing
import Vault

@testable import Keeper

/// Rules that are easier to break in the keeper itself than through the network.
@Suite(.serialized)
struct KeeperLawTests {
  private let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  private func acts(_ world: KeeperWorld) throws -> [JournalEntry] {
    try (0...(world.journal.mark.size / 256)).flatMap { try world.journal.folder.bundle($0) }
      .compactMap { JournalEntry(canonical: $0) }
  }

  private func code(_ body: () async throws -> Void) async -> String? {
    do { try await body() } catch { return (error as? Problem)?.code ?? "\(error)" }
    return nil
  }

  /// A service of a regime with a seated head, and its id.
  private func service(_ world: KeeperWorld, _ regime: String) async throws -> ServiceID {
    let id = try await world.admin(
      .createService(
        name: regime, regime: regime, act: "essai", date: LocalDate(year: 2027, month: 1, day: 1),
        authorisedCameras: nil))
    for name in ["head", "first", "second", "wearer"] { _ = try await world.person("\(name)-\(regime)", in: id) }
    try await world.seatHead("head-\(regime)", in: id, by: ("first-\(regime)", "second-\(regime)"))
    return ServiceID(id)
  }

  /// A closed recording, as the ingest tells it.
  private func recording(_ world: KeeperWorld, _ service: ServiceID) async throws -> RecordingID {
    let incident = IncidentID(UUID().uuidString.lowercased())
    let recording = RecordingID(UUID().uuidString.lowercased())
    let agent = try #require(try await world.register.agents(of: service).first { $0.name.hasPrefix("wearer") })
    let day = calendar.day(of: start)
    let grant = try await world.keeper.partGrants(for: service, from: day)[0]
    let head = [UInt8](repeating: 1, count: 32)
    let events: [IngestEvent] = [
      .opened(incident, recording, service, by: agent.id, at: start),
      .partOpened(
        PartOpened(
          part: grant.part, recording: recording, service: service, number: 1, localDay: day,
          wrappedKey: grant.wrappedKey, path: "\(grant.part).plm")),
      .partClosed(PartProgress(part: grant.part, chunkCount: 1, chainHead: head, file_bytes: 10)),
      .incidentClosed(
        IncidentClosed(
          incident: incident, recording: recording, camera: CameraID("C"), at: start.adding(seconds: 9),
          cause: .endedByWearer, by: nil, damage: 0)),
    ]
    _ = try await world.keeper.answer(
      .events(
        boot: UUID().uuidString, oldest: 1,
        events.enumerated().map { NumberedEvent(number: UInt64($0.offset + 1), event: $0.element) }))
    return recording
  }

  // ACC-5/6, R241-2, 7°.
  @Test func aNationalExtractionNamesWhoAsks() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    for (regime, asks) in [("pn-gn", true), ("ap", false)] {
      let recording = try await recording(world, try await service(world, regime))
      let token = try await world.logIn("head-\(regime)")
      func order(_ agent: String?, _ unit: String?) -> ExtractionOrder {
        ExtractionOrder(
          reason: .judicial, reference: "PV 1", form: "ts", recipient: nil, requestingAgent: agent,
          requestingService: unit)
      }
      for (agent, unit) in [(nil, nil), ("OPJ Martin", nil), (nil, "BR Lille")] as [(String?, String?)] {
        let answered = await code {
          _ = try await world.keeper.answer(.extract(token: token, recording, order(agent, unit)))
        }
        #expect(answered == (asks ? "bad-request" : nil), "\(regime)")
      }
      _ = try await world.keeper.answer(.extract(token: token, recording, order("OPJ Martin", "BR Lille")))
      let entry = try #require(try acts(world).last { $0.act == "extraction" })
      #expect(entry.facts["requesting_agent"]?.string == "OPJ Martin" && entry.facts["number"]?.string != nil)
    }
  }

  // LOG-1: what was journalled and then failed is not left standing as done.
  @Test func anActThatFailsAfterItsEntryHasAnEntryOfItsOwn() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    _ = try await service(world, "ap")
    let answered = await code {
      try await world.admin(.createAgent(service: "ap", matricule: "first-ap", name: "x", rank: "x"))
    }
    #expect(answered == "exists")
    let entries = try acts(world)
    let failed = try #require(entries.last)
    #expect(failed.act == "agent.created.failed" && failed.facts["result"]?.string == "failed")
    let position = try #require(failed.facts["entry"]?.integer)
    #expect(entries[Int(position)].act == "agent.created")
  }

  // ACC-8: a hundred tries at once are a hundred tries.
  @Test func triesAtOnceAreEachCounted() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    _ = try await service(world, "ap")
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<8 {
        group.addTask {
          _ = try? await world.keeper.answer(
            .logIn(name: "head-ap", password: "faux \(number)", code: nil, peer: "peer-\(number)"))
        }
      }
    }
    let right = await code {
      _ = try await world.keeper.answer(
        .logIn(name: "head-ap", password: KeeperWorld.password, code: nil, peer: "own"))
    }
    #expect(right == "wrong-credentials")
    world.pass(to: start.adding(seconds: 301))
    let later = await code {
      _ = try await world.keeper.answer(
        .logIn(name: "head-ap", password: KeeperWorld.password, code: nil, peer: "own"))
    }
    #expect(later == nil)
  }

  // RET-6: a hold is placed within the term; past it another hold does not prolong what one keeps.
  @Test func noHoldBeginsAfterTheTerm() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    let recording = try await recording(world, try await service(world, "pn-gn"))
    func hold(_ reference: String, _ today: LocalDate) -> DeskCall {
      .placeHold(
        recording, kind: .judicial, reference: reference, authority: "parquet", requestedOn: today,
        reviewOn: today.adding(days: 300))
    }
    let today = calendar.day(of: start)
    guard case .created(let first) = try await world.desk("head-pn-gn", hold("PV 1", today)) else {
      throw Problem.fault
    }
    world.pass(to: start.adding(seconds: 60 * 86_400))
    #expect(try await world.keeper.sweep().erased == 0)
    let late = await code { try await world.desk("head-pn-gn", hold("PV 2", calendar.day(of: start))) }
    #expect(late == "term-over")
    try await world.desk("head-pn-gn", .releaseHold(HoldID(first), reason: "classée"))
    #expect(try await world.keeper.sweep().erased == 1)
  }

  // RET-9: an order of the law waits for no clock, and no hold crosses it.
  @Test func anOrderOfTheLawIsCarriedOutWhateverTheClockSays() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    let service = try await service(world, "ap")
    _ = try await world.person("reader-ap", in: service.rawValue)
    try await world.desk(
      "head-ap",
      .accredit(
        account: "reader-ap", service: service, role: .reader, act: "note", from: nil,
        until: start.adding(seconds: 300 * 86_400)))
    let recording = try await recording(world, service)
    _ = try await world.keeper.sweep()
    world.wall.set(start.adding(seconds: 40 * 3600).microseconds)
    #expect(try await world.keeper.sweep().erased == 0)
    await #expect(throws: Problem.self) { try await world.admin(.sweep) }
    try await world.desk("head-ap", .proposeErasure(recording, ground: .rightOfErasure, reference: "D 1"))
    try await world.desk("reader-ap", .confirmErasure(recording))
    #expect(try await world.register.facts(of: recording)?.state == "erased")
  }

  // ACC-1: the end of a right ends what it is being used for.
  @Test func aConsultationIsCutWithTheRightItRestsOn() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    let service = try await service(world, "ap")
    let recording = try await recording(world, service)
    let given = try await world.desk(
      "head-ap",
      .accredit(
        account: "wearer-ap", service: service, role: .reader, act: "note 1", from: nil,
        until: start.adding(seconds: 86_400)))
    guard case .created(let accreditation) = given else { throw Problem.fault }
    let notices = await world.keeper.consoleNotices()
    guard
      case .read(let grant?) = try await world.keeper.answer(
        .consult(
          token: try await world.logIn("wearer-ap"), recording, reason: .purpose(.judicial), reference: "PV 1"))
    else { throw Problem.fault }
    try await world.desk("head-ap", .endAccreditation(AccreditationID(accreditation), act: "note 2"))
    var cut: ViewingID?
    for await notice in notices {
      if case .cut(let viewing) = notice {
        cut = viewing
        break
      }
    }
    #expect(cut == grant.viewing && cut != nil)
    let left = try #require(try acts(world).last { $0.act == "viewing.left" })
    #expect(left.facts["cause"]?.string == "accreditation-ended")
  }

  // P2, LIVE-6: a console ends what a later wall no longer shows, and keeps what was granted after the wall it reads.
  @Test func aViewingSaysWhichWallsAreOlderThanItsGrant() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    let keeper = world.keeper
    let service = try await service(world, "ap")
    try await world.desk(
      "head-ap",
      .accredit(
        account: "wearer-ap", service: service, role: .operator, act: "note 1", from: nil,
        until: start.adding(seconds: 86_400)))
    let agent = try #require(try await world.register.agents(of: service).first { $0.name.hasPrefix("wearer") }).id
    try await world.admin(.enrolCamera(service: service.rawValue, CameraID("C"), model: ""))
    try await world.admin(.issueCamera(CameraID("C"), agent))
    let (incident, recording) = (
      IncidentID(UUID().uuidString.lowercased()), RecordingID(UUID().uuidString.lowercased())
    )
    _ = try await keeper.answer(
      .events(
        boot: "b", oldest: 1,
        [
          NumberedEvent(
            number: 1,
            event: .opened(incident, recording, service, by: agent, at: start, threat: .persons))
        ]))
    func marks(_ notices: AsyncStream<ConsoleNotice>, _ count: Int) async -> [(WallMark, Bool)] {
      var found: [(WallMark, Bool)] = []
      for await notice in notices {
        if case .wall(let state, let mark) = notice {
          found.append((mark, state.incidents.contains { $0.threat != nil }))
        }
        if found.count == count { break }
      }
      return found
    }
    let notices = await keeper.consoleNotices()
    let first = try #require(await marks(notices, 1).first)
    let token = try await world.logIn("wearer-ap")
    guard case .joined(_, _, let granted) = try await keeper.answer(.joinLive(token: token, recording)) else {
      throw Problem.fault
    }
    #expect(first.1 && granted.stream == first.0.stream && granted.number >= first.0.number)
    _ = try await keeper.answer(.endThreat(token: token, incident))
    // The wall that says so is told in time, and is later than the grant.
    let over = try #require(await marks(notices, 2).last { !$0.1 })
    #expect(over.0.stream == granted.stream && over.0.number > granted.number)
    // Another stream ends what was granted before it.
    let again = try #require(await marks(await keeper.consoleNotices(), 1).first)
    #expect(again.0.stream != granted.stream)
  }

  @Test func nobodyAccreditsThemselves() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    let service = try await service(world, "ap")
    let answered = await code {
      try await world.desk(
        "head-ap",
        .accredit(
          account: "head-ap", service: service, role: .auditor, act: "note 1", from: nil,
          until: start.adding(seconds: 86_400)))
    }
    #expect(answered == "second-person")
    #expect(try acts(world).last?.act == "accredit.refused")
  }

  // STO-5.
  @Test func aNewActAuthorisesMoreCameras() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    let day = LocalDate(year: 2027, month: 1, day: 1)
    let id = try await world.admin(
      .createService(name: "pm", regime: "pm", act: "essai", date: day, authorisedCameras: 1))
    func enrol(_ camera: String) async -> String? {
      await code { try await world.admin(.enrolCamera(service: id, CameraID(camera), model: "")) }
    }
    #expect(await enrol("A") == nil)
    #expect(await enrol("B") == "too-many-cameras")
    #expect(
      await code { try await world.admin(.authorise(service: id, act: "arrêté 2", date: day, cameras: nil)) }
        == "bad-request")
    try await world.admin(.authorise(service: id, act: "arrêté 2", date: day, cameras: 2))
    #expect(await enrol("B") == nil)
    #expect(try await world.register.services().first { $0.id.rawValue == id }?.authorisingAct == "arrêté 2")
  }

  // What the machine's administrator does has the user that the system names, and a reason.
  @Test func anActOnTheMachineHasItsReasonAndNoBlankMakesASecondPerson() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    _ = try await service(world, "ap")
    let call = AdminCall.createAgent(service: "ap", matricule: " second-ap ", name: "x", rank: "x")
    for reason in [nil, " "] {
      #expect(
        await code { _ = try await world.keeper.answer(AdminRequest(call, reason: reason), by: "root") }
          == "bad-request")
    }
    #expect(await code { _ = try await world.keeper.answer(AdminRequest(call, reason: "r"), by: "root") } == "exists")
    let entry = try #require(try acts(world).last { $0.act == "agent.created" })
    #expect(entry.author == "administrator:root" && entry.facts["reason"]?.string == "r")
  }

  // MET-2, STO-6: an incident whose camera is nobody's is refused in the journal, and closed.
  @Test func anIncidentOfACameraThatIsNotIssuedIsClosed() async throws {
    let world = try await KeeperWorld.make(at: start, calendar: calendar)
    defer { world.end() }
    _ = try await recording(world, try await service(world, "ap"))
    let entries = try acts(world)
    let opened = try #require(entries.first { $0.act == "incident.opened" })
    #expect(opened.facts["result"]?.string == "refused" && opened.facts["code"]?.string == "camera-disabled")
    #expect(
      entries.contains { $0.act == "incident.close-requested" && $0.facts["cause"]?.string == "camera-withdrawn" })
  }
}
