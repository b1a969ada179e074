import Doctrine
import Foundation
import Journal
import Registry
import Seams
import TestSupport
import Testing
import Vault

@testable import Keeper

/// What the keeper makes of refused calls, and of what a camera's later calls say.
@Suite(.serialized)
struct RefusalTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  private func entries(_ world: KeeperWorld) throws -> [JournalEntry] {
    try (0...(world.journal.mark.size / 256)).flatMap { try world.journal.folder.bundle($0) }
      .compactMap { JournalEntry(canonical: $0) }
  }

  private func refusal(_ code: String, _ service: ServiceID, at time: UTCTime, count: Int64 = 1) -> RefusalEntry {
    RefusalEntry(
      at: time, camera: "C", service: service, peer: "p", code: code, sentence: "Refusé.", proven: true, count: count)
  }

  // LOG-3: told again because the answer was lost.
  @Test func refusedCallsToldTwiceAreTakenOnce() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: calendar)
    defer { world.end() }
    let (service, _) = try await world.furnish()
    let lines = [
      refusal("two-devices", service, at: Self.start, count: 7),
      RefusalEntry(
        at: Self.start, camera: nil, service: nil, peer: "q", code: "unknown-camera", sentence: "s", proven: false,
        count: 40),
    ]
    for _ in 0..<2 { _ = try await world.keeper.answer(.refusals(boot: "b", number: 1, lines)) }
    _ = try await world.keeper.answer(.refusals(boot: "b", number: 2, [lines[0]]))
    let journalled = try entries(world).filter { $0.act == "open-incident.refused" }
    #expect(journalled.map { $0.facts["count"] } == [.integer(7), .integer(7)])
    let stored = try await world.register.refusals(of: [service], limit: 10)
    #expect(stored.map(\.code).sorted() == ["two-devices", "two-devices", "unknown-camera"])
    #expect(stored.first { $0.code == "unknown-camera" }?.count == 40)
    #expect(await world.keeper.alarms.map(\.code) == ["two-devices"])
  }

  // The database's absence keeps nobody from seeing them: the wall and the journal have them at once, the rows follow.
  @Test func refusedCallsAreSeenWhileTheDatabaseIsAway() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: calendar)
    defer { world.end() }
    let (service, _) = try await world.furnish()
    await world.keeper.setDatabaseAway(true)
    for (number, code) in ["two-devices", "not-issued"].enumerated() {
      let lines = [refusal(code, service, at: Self.start)]
      _ = try await world.keeper.answer(.refusals(boot: "b", number: UInt64(number + 1), lines))
    }
    #expect(await world.keeper.alarms.map(\.code) == ["two-devices", "not-issued"])
    #expect(try entries(world).filter { $0.act == "open-incident.refused" }.count == 2)
    #expect(try await world.register.refusals(of: [service], limit: 10).isEmpty)
    await world.keeper.setDatabaseAway(false)
    await world.keeper.keepRefusals()
    #expect(try await world.register.refusals(of: [service], limit: 10).count == 2)
  }

  private struct Told {
    let incident = IncidentID(UUID().uuidString.lowercased())
    let recording = RecordingID(UUID().uuidString.lowercased())
    let boot = UUID().uuidString
    var number: UInt64 = 0

    mutating func tell(_ world: KeeperWorld, _ event: IngestEvent) async throws {
      number += 1
      _ = try await world.keeper.answer(
        .events(boot: boot, oldest: number, [NumberedEvent(number: number, event: event)]))
    }

    mutating func open(_ world: KeeperWorld, _ service: ServiceID, _ agent: AgentID, _ threat: ThreatGround? = nil)
      async throws
    {
      try await tell(
        world,
        .opened(incident, recording, service, by: agent, at: world.keeper.clock(), threat: threat))
      try await join(world, StreamClaims(threat: threat), epoch: 1)
    }

    mutating func join(_ world: KeeperWorld, _ said: StreamClaims, epoch: Int64) async throws {
      try await tell(
        world, .streamJoined(incident, recording, epoch: epoch, at: world.keeper.clock(), peer: "p", said: said))
    }
  }

  // A minute's line of before the camera was issued comes after its incident began.
  @Test func anOldRefusalAlarmsNobody() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: calendar)
    defer { world.end() }
    let (service, agent) = try await world.furnish()
    _ = try await world.keeper.answer(.refusals(boot: "b", number: 1, [refusal("not-issued", service, at: Self.start)]))
    #expect(await world.keeper.alarms.count == 1)
    world.pass(to: Self.start.adding(seconds: 30))
    var told = Told()
    try await told.open(world, service, agent)
    #expect(await world.keeper.alarms.isEmpty)
    _ = try await world.keeper.answer(
      .refusals(boot: "b", number: 2, [refusal("not-issued", service, at: Self.start.adding(seconds: 20))]))
    #expect(await world.keeper.alarms.isEmpty)
    _ = try await world.keeper.answer(
      .refusals(boot: "b", number: 3, [refusal("two-devices", service, at: Self.start.adding(seconds: 40))]))
    #expect(await world.keeper.alarms.map(\.code) == ["two-devices"])
  }

  // LIVE-1: a camera that comes back into its incident may declare its first threat, and none a second time.
  @Test func aThreatIsDeclaredByALaterCallOnceInAnIncident() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: calendar)
    defer { world.end() }
    let (service, agent) = try await world.furnish()
    let keeper = world.keeper
    func declared() throws -> [JournalEntry] { try entries(world).filter { $0.act == "threat.declared" } }
    var told = Told()
    try await told.open(world, service, agent)
    #expect(await keeper.threat(in: told.incident) == nil)
    try await told.join(world, StreamClaims(threat: .persons, reference: "INT-9"), epoch: 2)
    let threat = try #require(await keeper.threat(in: told.incident))
    #expect(threat.ground == .persons && threat.origin == .wearer)
    let entry = try #require(try declared().first)
    #expect(entry.author == "wearer:w" && entry.facts["ground"]?.string == "persons" && entry.facts["article"] != nil)
    let joined = try #require(try entries(world).last { $0.act == "stream.joined" })
    #expect(joined.facts["ground"]?.string == "persons" && joined.facts["reference"]?.string == "INT-9")
    #expect(await keeper.reference(of: told.incident) == "INT-9")
    #expect(try await world.register.activeIncidents().first?.0.reference == "INT-9")
    // Ended, and the camera calls again with the same words: not renewed, also by another keeper.
    try await keeper.endForTest(told.incident, threat.id)
    try await told.join(world, StreamClaims(threat: .persons, reference: "INT-10"), epoch: 3)
    #expect(try declared().count == 1)
    #expect(await keeper.reference(of: told.incident) == "INT-9")
    let again = try await world.restarted()
    _ = try await again.answer(
      .events(
        boot: "another", oldest: 1,
        [
          NumberedEvent(
            number: 1,
            event: .streamJoined(
              told.incident, told.recording, epoch: 4, at: Self.start, peer: "p", said: StreamClaims(threat: .agents)))
        ]))
    #expect(await again.threat(in: told.incident) == nil)
    #expect(try declared().count == 1)
  }

  @Test func aThreatOfTheOpeningIsDeclaredOnce() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: calendar)
    defer { world.end() }
    let (service, agent) = try await world.furnish()
    var told = Told()
    try await told.open(world, service, agent, .agents)
    try await told.join(world, StreamClaims(threat: .property), epoch: 2)
    #expect(try entries(world).filter { $0.act == "threat.declared" }.count == 1)
    #expect(await world.keeper.threat(in: told.incident)?.ground == .agents)
  }
}

extension Keeper {
  fileprivate func threat(in incident: IncidentID) -> ThreatEntry? { active[incident]?.threat }
  fileprivate func reference(of incident: IncidentID) -> String? { active[incident]?.entry.reference }

  /// Ends a threat as a person does, without the person.
  fileprivate func endForTest(_ incident: IncidentID, _ threat: ThreatID) async throws {
    _ = active[incident]?.live.threatEnded(threat)
    try await store.closeThreat(threat, at: clock())
  }
}
