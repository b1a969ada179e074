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

/// The register is brought to what the files say, whatever became of its rows.
@Suite(.serialized)
struct IndexTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private static let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  private func world() async throws -> (KeeperWorld, ServiceID, AgentID) {
    let world = try await KeeperWorld.make(at: Self.start, calendar: Self.calendar)
    let (service, agent) = try await world.furnish()
    return (world, service, agent)
  }

  private func part(_ world: KeeperWorld, _ service: ServiceID, _ agent: AgentID) async throws -> RecordedPart {
    try await RecordedPart.write(world, service: service, camera: CameraID("C"), agent: agent, at: Self.start)
  }

  private func rows(_ world: KeeperWorld, _ part: PartID) async throws -> [String] {
    try await world.pool.run { connection in
      try connection.query(
        """
        SELECT concat_ws(' ', p.state, p.chunk_count, encode(p.chain_head, 'hex'), p.file_bytes, p.media_bytes, r.size_bytes,
          (SELECT sum(media_bytes) FROM segment WHERE part_id = p.id), (SELECT count(*) FROM gap WHERE part_id = p.id)) AS line
        FROM recording_part p JOIN recording r ON r.id = p.recording_id WHERE p.id = $1
        """, [.text(part.rawValue)]
      ).map { try $0.text("line") }
    }
  }

  // Rows that were dropped in a long absence of the keeper are in the file.
  @Test func aPartWhoseRowsWereLostIsCompletedAtItsClose() async throws {
    let (world, service, agent) = try await world()
    defer { world.end() }
    let whole = try await part(world, service, agent)
    try await whole.tell(world, boot: "whole")
    let holed = try await part(world, service, agent)
    var seen = 0
    try await holed.tell(world, boot: "holed") { event in
      guard case .segment = event else {
        if case .gap = event { return false }
        return true
      }
      seen += 1
      return seen == 2
    }
    #expect(seen >= 3)
    try await world.keeper.completeIndexes()
    let (wanted, found) = (try await rows(world, whole.grant.part), try await rows(world, holed.grant.part))
    func shape(_ line: String?) -> [String] {
      line?.split(separator: " ").enumerated().filter { $0.offset != 2 }.map { String($0.element) } ?? []
    }
    #expect(shape(found.first) == shape(wanted.first))
    #expect(found.first?.hasSuffix(" \(holed.media.count) \(holed.media.count) \(holed.media.count) 1") == true)
  }

  // P8: a file is not believed against what was told of it.
  @Test func aFileThatSaysOtherwiseIsNotBelieved() async throws {
    let (world, service, agent) = try await world()
    defer { world.end() }
    let struck = try await part(world, service, agent)
    let path = world.folder + "/footage/" + struck.path
    var bytes = try Directories.read(path, limit: 1 << 20)
    bytes[bytes.count - 3000] ^= 1
    try Directories.replace(path, with: bytes)
    try await struck.tell(world, boot: "b") { if case .segment = $0 { false } else { true } }
    try await world.keeper.completeIndexes()
    #expect(try await rows(world, struck.grant.part).first?.contains(" \(struck.media.count) ") == false)
  }

  // A failover to a standby that was a second behind: what the journal and the files have comes back.
  @Test func aDatabaseThatLostItsLastRowsIsBroughtForward() async throws {
    let (world, service, agent) = try await world()
    defer { world.end() }
    for name in ["un", "deux", "chef"] { _ = try await world.person(name, in: service.rawValue) }
    try await world.seatHead("chef", in: service.rawValue, by: ("un", "deux"))
    let before = try await part(world, service, agent)
    try await before.tell(world, boot: "before")
    try await world.scribe.bringIndexUp(world.register)
    let kept = world.journal.mark.size
    let wanted = try await rows(world, before.grant.part)
    let after = try await part(world, service, agent)
    try await after.tell(world, boot: "after")
    try await world.desk(
      "chef",
      .placeHold(
        before.recording, kind: .judicial, reference: "PV 1", authority: "parquet",
        requestedOn: LocalDate(year: 2027, month: 1, day: 1), reviewOn: LocalDate(year: 2099, month: 1, day: 1)))
    try await world.scribe.bringIndexUp(world.register)
    #expect(world.journal.mark.size > kept)
    let wantedAfter = try await rows(world, after.grant.part)
    // What a standby would not have: the journal's last entries, the hold, the second recording, the end of the first.
    try await world.database.owner.run { connection in
      try connection.script(
        """
        ALTER TABLE journal DISABLE TRIGGER ALL;
        DELETE FROM journal WHERE position >= \(kept);
        DELETE FROM hold;
        UPDATE recording_part SET state = 'open', chunk_count = 0, media_bytes = 0, chain_head = NULL WHERE id = '\(before.grant.part)';
        DELETE FROM segment WHERE part_id = '\(before.grant.part)';
        DELETE FROM segment WHERE part_id = '\(after.grant.part)'; DELETE FROM gap WHERE part_id = '\(after.grant.part)';
        DELETE FROM recording_part WHERE id = '\(after.grant.part)';
        DELETE FROM recording WHERE id = '\(after.recording)'; DELETE FROM incident WHERE id = '\(after.incident)';
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'plastron_server' AND datname = current_database();
        """)
    }
    // The first statement on each connection finds it lost; the keeper looks every second.
    for _ in 0..<20 {
      _ = await world.pool.answers()
      await world.keeper.lookForDatabase()
    }
    try await world.scribe.bringIndexUp(world.register)
    #expect(try await world.register.journalIndexSize() == world.journal.mark.size)
    #expect(try await rows(world, after.grant.part) == wantedAfter)
    #expect(
      try await world.pool.run { try $0.query("SELECT reference FROM hold").map { try $0.text("reference") } } == [
        "PV 1"
      ])
    #expect(try await rows(world, before.grant.part).first?.hasPrefix("closed") == true)
    #expect(wanted.first?.hasPrefix("closed") == true)
    let entries = try (0...(world.journal.mark.size / 256)).flatMap { try world.journal.folder.bundle($0) }
      .compactMap { JournalEntry(canonical: $0) }
    #expect(entries.last { $0.act == "register.brought-forward" }?.facts["left"] == .object([:]))
  }
}
