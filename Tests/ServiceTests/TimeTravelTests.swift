import Retention
import Registry
import Postgres
import Doctrine
import Footage
import Foundation
import Journal
import Seams
import TestSupport
import Testing
import Vault

@testable import Keeper

/// What the test itself knows of a part, told apart from the product by Foundation's own calendar.
private struct Recorded {
  var recording: RecordingID
  var incident: IncidentID
  var parts: [(id: PartID, start: Date, wrapped: [UInt8], day: String)]
  var service: String
  var serviceID: ServiceID
  var months: Int
  var marker: String
  /// Moments at which holds began and ended.
  var holds: [(from: Date, to: Date?)] = []
  var erased: Set<PartID> = []
}

/// Seven months in a minute: what is erased each day is what another calendar says.
@Suite(.serialized)
struct TimeTravelTests {
  private static let paris: Calendar = {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = TimeZone(identifier: "Europe/Paris") ?? .gmt
    return calendar
  }()

  /// French legal time from the system's data, as the program reads it.
  private static func legalCalendar() -> LegalCalendar {
    let zone = paris.timeZone
    var date = Date(timeIntervalSince1970: 1_700_000_000)
    let initial = Int64(zone.secondsFromGMT(for: date))
    var transitions: [LegalCalendar.Transition] = []
    for _ in 0..<20 {
      guard let next = zone.nextDaylightSavingTimeTransition(after: date) else { break }
      transitions.append(
        .init(
          from_s: Int64(next.timeIntervalSince1970.rounded()),
          offset_s: Int64(zone.secondsFromGMT(for: next.addingTimeInterval(1)))))
      date = next
    }
    return LegalCalendar(initialOffset_s: initial, transitions: transitions)
  }

  private func time(_ date: Date) -> UTCTime { UTCTime(microseconds: Int64(date.timeIntervalSince1970) * 1_000_000) }

  private func day(_ date: Date) -> String {
    let parts = Self.paris.dateComponents([.year, .month, .day], from: date)
    return String(format: "%04d-%02d-%02d", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0)
  }

  /// The first moment of the day on which a part is erased.
  private func end(_ start: Date, months: Int) -> Date {
    let day = Self.paris.startOfDay(for: start)
    return Self.paris.startOfDay(for: Self.paris.date(byAdding: .month, value: months, to: day) ?? .distantFuture)
  }

  private func isHeld(_ item: Recorded, at now: Date) -> Bool {
    item.holds.contains { $0.from <= now && ($0.to.map { now < $0 } ?? true) }
  }

  /// The parts that must be gone once a sweep has run now.
  private func oracle(_ items: [Recorded], at now: Date) -> Set<PartID> {
    var gone: Set<PartID> = []
    for item in items {
      for part in item.parts {
        let isDue = now >= end(part.start, months: item.months) && !isHeld(item, at: now)
        if item.erased.contains(part.id) || isDue { gone.insert(part.id) }
      }
    }
    return gone
  }

  // RET-1 to RET-4, RET-6, MET-3, MET-4, P6.
  @Test(.timeLimit(.minutes(5)))
  func sevenMonthsOfErasures() async throws {
    let start = try #require(Self.paris.date(from: DateComponents(year: 2027, month: 9, day: 15, hour: 6)))
    let world = try await KeeperWorld.make(at: time(start), calendar: Self.legalCalendar())
    defer { world.end() }
    let services = try await furnish(world)
    var random = SeededNumbers(state: 20_271_109)
    var items: [Recorded] = []
    var number: UInt64 = 0
    var today = Self.paris.startOfDay(for: start)
    var placed = 0
    var released = 0
    var stops = 0
    let last = try #require(Self.paris.date(byAdding: .month, value: 7, to: today))
    while today < last {
      // 1. Shortly after midnight the sweeper runs.
      let early = today.addingTimeInterval(600)
      world.pass(to: time(early))
      if day(today) == "2027-12-10" || day(today) == "2028-03-01" {
        // The clock is set 40 hours ahead, or 50 back: the sweeper stops and asks, and nothing is lost.
        let wrong = day(today) == "2027-12-10" ? 40.0 : -50.0
        world.wall.set(time(early.addingTimeInterval(wrong * 3600)).microseconds)
        let report = try await world.keeper.sweep()
        #expect(report.erased == 0)
        await #expect(throws: Problem.self) { try await world.admin(.sweep) }
        world.wall.set(time(early).microseconds)
        // Set right again, it still asks.
        #expect(try await world.keeper.sweep().erased == 0)
        try await world.admin(.confirmClock)
        stops += 1
      }
      _ = try await world.keeper.sweep()
      try await check(&items, world, at: early)
      // 2. The day's recordings, around the clock.
      let length = (Self.paris.date(byAdding: .day, value: 1, to: today) ?? today).timeIntervalSince(today)
      for _ in 0..<(items.count < 1000 ? 4 + random.next(upTo: 3) : 0) {
        let service = services[random.next(upTo: services.count)]
        let begin = early.addingTimeInterval(Double(random.next(upTo: Int(length) - 1300)))
        let crosses = random.next(upTo: 12) == 0
        items.append(
          try await record(
            world, service, begin: crosses ? today.addingTimeInterval(length - 60) : begin, crosses: crosses, &number))
      }
      // 3. Holds come and go at noon.
      let noon = today.addingTimeInterval(12 * 3600)
      if noon > Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000) { world.pass(to: time(noon)) }
      let now = Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000)
      if placed < 60, random.next(upTo: 2) == 0, let index = holdable(items, at: now, &random) {
        try await world.desk(
          "head-\(items[index].service)",
          .placeHold(
            items[index].recording, kind: .judicial, reference: "PV-\(items[index].marker)", authority: "parquet",
            requestedOn: try #require(LocalDate(day(now))),
            reviewOn: try #require(LocalDate(day(now.addingTimeInterval(90 * 86_400))))))
        items[index].holds.append((now, nil))
        placed += 1
      }
      let open = items.indices.filter { isHeld(items[$0], at: now) && (items[$0].holds.last?.from ?? now) < now }
      if !open.isEmpty, random.next(upTo: 5) == 0 {
        try await release(world, &items[open[random.next(upTo: open.count)]], at: now)
        released += 1
      }
      // 4. A sweep in the evening finds what was released past its term, and nothing else.
      let evening = today.addingTimeInterval(length - 30)
      if time(evening).microseconds > world.wall.now { world.pass(to: time(evening)) }
      _ = try await world.keeper.sweep()
      try await check(&items, world, at: Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000))
      today = Self.paris.date(byAdding: .day, value: 1, to: today) ?? last
    }
    // The holds that are left are released as well: what outlived its term by them goes with the next pass.
    let end = Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000)
    for index in items.indices where isHeld(items[index], at: end) {
      try await release(world, &items[index], at: end)
      released += 1
    }
    world.pass(to: time(end.addingTimeInterval(60)))
    _ = try await world.keeper.sweep()
    try await check(&items, world, at: Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000))
    #expect(items.count >= 1000 && placed == 60 && released == 60 && stops == 2)
    #expect(items.reduce(0) { $0 + $1.erased.count } > 400)
    // The journal's index follows; then the whole is looked at once more.
    try await world.scribe.bringIndexUp(world.register)
    try await checkCertificates(items, world)
    try await checkWhatIsLeft(items, world)
    try checkKeys(items, world)
    try await checkReports(world)
  }

  // MARK: Steps

  private func furnish(_ world: KeeperWorld) async throws -> [(
    name: String, id: ServiceID, months: Int, agent: AgentID
  )] {
    var out: [(name: String, id: ServiceID, months: Int, agent: AgentID)] = []
    for (regime, months) in [("pn-gn", 1), ("ap", 3), ("bwc-six-months", 6)] {
      let id = try await world.admin(
        .createService(
          name: regime, regime: regime, act: "essai", date: LocalDate(year: 2027, month: 1, day: 1),
          authorisedCameras: nil))
      let agent = try await world.person("wearer-\(regime)", in: id)
      for name in ["head-\(regime)", "first-\(regime)", "second-\(regime)"] { _ = try await world.person(name, in: id) }
      try await world.seatHead("head-\(regime)", in: id, by: ("first-\(regime)", "second-\(regime)"))
      _ = try await world.keeper.answer(
        AdminRequest(.enrolCamera(service: id, CameraID("CAM-\(regime)"), model: ""), reason: "test"), by: "test")
      try await world.admin(.issueCamera(CameraID("CAM-\(regime)"), agent))
      out.append((regime, ServiceID(id), months, agent))
    }
    return out
  }

  /// One incident from opening to close, as the ingest tells it; two parts where it crosses midnight.
  private func record(
    _ world: KeeperWorld, _ service: (name: String, id: ServiceID, months: Int, agent: AgentID), begin: Date,
    crosses: Bool, _ number: inout UInt64
  ) async throws -> Recorded {
    let marker = UUID().uuidString.lowercased()
    let incident = IncidentID(UUID().uuidString.lowercased())
    let recording = RecordingID(UUID().uuidString.lowercased())
    let starts = crosses ? [begin, begin.addingTimeInterval(120)] : [begin]
    var item = Recorded(
      recording: recording, incident: incident, parts: [], service: service.name, serviceID: service.id,
      months: service.months, marker: marker)
    var events: [IngestEvent] = [
      .incidentOpened(
        IncidentEntry(
          id: incident, recording: recording, service: service.id, camera: CameraID("CAM-\(service.name)"),
          agent: service.agent, reference: "REF-\(marker)", activation: nil, openedAt: time(begin)), threat: nil,
        peer: "test")
    ]
    for (index, start) in starts.enumerated() {
      let local = try #require(LocalDate(day(start)))
      let grant = try await world.keeper.partGrants(for: service.id, from: local)[0]
      let path = "\(grant.part.rawValue).plm"
      try Directories.replace(world.folder + "/footage/" + path, with: Array(marker.utf8))
      item.parts.append((grant.part, start, grant.wrappedKey.bytes, day(start)))
      let head = [UInt8](repeating: UInt8(index + 1), count: 32)
      events += [
        .partOpened(
          PartOpened(
            part: grant.part, recording: recording, service: service.id, number: index + 1, localDay: local,
            wrappedKey: grant.wrappedKey, path: path)),
        .segment(
          SegmentEntry(
            part: grant.part, recording: recording, firstChunk: 0, lastChunk: 1, epoch: 1, firstArrival: time(start),
            lastArrival: time(start.addingTimeInterval(9)), media_bytes: 1000, fileOffset: 0, file_bytes: 1100,
            chainHead: head, chunkTable: [0])),
        .gap(
          GapEntry(
            part: grant.part, chunk: 1, from: time(start), to: time(start.addingTimeInterval(1)), cause: .linkLost)),
        .partClosed(PartProgress(part: grant.part, chunkCount: 2, chainHead: head, file_bytes: 1200)),
      ]
    }
    events.append(
      .incidentClosed(
        IncidentClosed(
          incident: incident, recording: recording, camera: CameraID("CAM-\(service.name)"),
          at: time(begin.addingTimeInterval(crosses ? 180 : 20)), cause: .endedByWearer, by: nil, damage: 0)))
    let numbered = events.map { event -> NumberedEvent in
      number += 1
      return NumberedEvent(number: number, event: event)
    }
    _ = try await world.keeper.answer(.events(boot: "test", oldest: 1, numbered))
    return item
  }

  private func holdable(_ items: [Recorded], at now: Date, _ random: inout SeededNumbers) -> Int? {
    let candidates = items.indices.filter { index in
      let item = items[index]
      return item.holds.isEmpty && item.parts.allSatisfy { now < end($0.start, months: item.months) && $0.start < now }
    }
    return candidates.isEmpty ? nil : candidates[random.next(upTo: candidates.count)]
  }

  private func release(_ world: KeeperWorld, _ item: inout Recorded, at now: Date) async throws {
    guard
      case .register(let page, _) = try await world.keeper.answer(
        .register(
          token: try await world.logIn("head-\(item.service)"), .holds,
          RegisterFilter([.recording: item.recording.rawValue, .state: "open"])))
    else { throw Problem.fault }
    let id = try #require(page.rows.first?.first ?? nil)
    try await world.desk("head-\(item.service)", .releaseHold(HoldID(id), reason: "classée"))
    item.holds[item.holds.count - 1].to = now
  }

  // MARK: Checks

  /// What the register no longer has is what the oracle says, and nothing else.
  private func check(_ items: inout [Recorded], _ world: KeeperWorld, at now: Date) async throws {
    let gone = oracle(items, at: now)
    let all = Set(items.flatMap { $0.parts.map(\.id) })
    let kept = try await world.register.known(among: Array(all))
    let erased = all.subtracting(kept)
    #expect(
      erased == gone, "\(day(now)): early \(erased.subtracting(gone).count), late \(gone.subtracting(erased).count)")
    for index in items.indices {
      items[index].erased.formUnion(items[index].parts.map(\.id).filter(erased.contains))
    }
    for part in erased { #expect(!FileManager.default.fileExists(atPath: world.folder + "/footage/\(part).plm")) }
  }

  /// Every erased part has one certificate, with its term day and chain hash; nothing else has one.
  private func checkCertificates(_ items: [Recorded], _ world: KeeperWorld) async throws {
    var certificates: [String: JournalEntry] = [:]
    for bundle in 0...(world.journal.mark.size / 256) {
      for bytes in try world.journal.folder.bundle(bundle) {
        let entry = try #require(JournalEntry(canonical: bytes))
        guard entry.act == "erasure.certificate", let part = entry.facts["part"]?.string else { continue }
        #expect(certificates.updateValue(entry, forKey: part) == nil)
      }
    }
    #expect(Set(certificates.keys) == Set(items.flatMap { $0.erased.map(\.rawValue) }))
    for item in items {
      for (index, part) in item.parts.enumerated() where item.erased.contains(part.id) {
        let facts = try #require(certificates[part.id.rawValue]).facts
        #expect(facts["term_day"]?.string == day(end(part.start, months: item.months)))
        #expect(facts["chain_head"]?.string == String(repeating: "0\(index + 1)", count: 32))
        #expect(facts["ground"]?.string == "term" && facts["recording"]?.string == item.recording.rawValue)
      }
    }
  }

  /// Of an erased recording: id, service, chain hash, certificate. Anywhere in the database but the journal.
  private func checkWhatIsLeft(_ items: [Recorded], _ world: KeeperWorld) async throws {
    let tables = try await world.database.owner.run { connection in
      try connection.query(
        "SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ('journal', 'schema_migration')"
      ).map { try $0.text("name") }
    }
    var everything = ""
    for table in tables {
      let rows = try await world.database.owner.run { connection in
        try connection.query("SELECT t::text AS row FROM \(table) t").map { try $0.text("row") }
      }
      everything += rows.joined(separator: "\n") + "\n"
    }
    for item in items where item.erased.count == item.parts.count {
      #expect(!everything.contains(item.marker))
      let lines = everything.split(separator: "\n").filter {
        $0.contains(item.recording.rawValue) || $0.contains(item.incident.rawValue)
      }
      // The recording, its incident's bare id, and a line for each part.
      #expect(lines.count == 2 + item.parts.count, "\(lines)")
      for line in lines { #expect(!line.contains("CAM-") && !line.contains("REF-")) }
    }
    let cells = try await world.database.owner.run { connection in
      try connection.query(
        "SELECT count(*) AS n FROM recording WHERE state = 'erased' AND num_nonnulls(camera_id, agent_id, started_at, ended_at, size_bytes, damage_count, decode_verdict, decode_detail, place, informed, not_informed_reason, medical_secret, answered_by, justification, justified_by) > 0"
      ).first?.integer("n")
    }
    #expect(cells == 0)
    // A term day goes as a whole: none that is over has a partition left.
    let today = try #require(LocalDate(day(Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000))))
    let left = try await world.pool.run { connection in
      try connection.query("SELECT count(*) AS n FROM segment_days($1::date)", [.text(today.description)]).first?
        .integer("n")
    }
    #expect(left == 0)
  }

  /// After the term no copy of a part's wrapped key opens, whatever was held; a held part opens by its new one.
  private func checkKeys(_ items: [Recorded], _ world: KeeperWorld) throws {
    let now = Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000)
    // The ring's memory is not what a thief has: another one, on the files.
    let ring = try KeyRing(masterKeyPath: world.folder + "/master.key", folder: world.folder + "/days")
    for item in items {
      for part in item.parts {
        let binary = UUIDText.binary(part.id.rawValue) ?? []
        let opens =
          (try? ring.openPartKey(part.wrapped, service: item.serviceID.rawValue, day: part.day, part: binary)) != nil
        #expect(opens == (now < end(part.start, months: item.months)), "\(item.service) \(part.day)")
      }
    }
    #expect(
      world.keys.dayKeys().count { $0.day.hasPrefix("held-") }
        == items.reduce(0) { count, item in
          count + (item.holds.isEmpty ? 0 : item.parts.count { !item.erased.contains($0.id) })
        })
  }

  /// The register says the same, and the annual report counts from the journal.
  private func checkReports(_ world: KeeperWorld) async throws {
    let now = Date(timeIntervalSince1970: Double(world.wall.now) / 1_000_000)
    let today = try #require(LocalDate(day(now)))
    let reply = try await world.desk(
      "head-pn-gn", .completeness(from: LocalDate(year: 2027, month: 9, day: 1), to: today))
    guard case .completeness(let answer, _) = reply else { throw Problem.fault }
    #expect(answer.overdue.isEmpty && answer.sweeperStopped == nil && answer.days.count > 100)
    #expect(answer.days.allSatisfy { $0.recorded >= $0.erased })
  }
}

/// Repeats itself for a seed.
private struct SeededNumbers {
  var state: UInt64

  mutating func next(upTo limit: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(max(1, limit)))
  }
}
