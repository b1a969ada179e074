import Postgres
import Doctrine
import Foundation
import Journal
import Logging
import Registry
import Retention
import Seams
import Synchronization
import TestSupport
import Testing
import Vault

@testable import Keeper

/// The keeper's own steps, until one of them is where the process dies.
private struct DyingSteps: ErasureSteps {
  struct Death: Error {}

  let keeper: Keeper
  /// Counts down; dies before the step at zero, or after it where `afterwards`.
  let left: SteppedCounter
  let afterwards: Bool

  private func step<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
    let isLast = left.next()
    if isLast, !afterwards { throw Death() }
    let result = try await body()
    if isLast { throw Death() }
    if left.isOver { throw Death() }
    return result
  }

  func due(on day: LocalDate, limit: Int) async throws -> [DuePart] { try await keeper.due(on: day, limit: limit) }
  func journalBegun(_ part: DuePart) async throws { try await step { try await keeper.journalBegun(part) } }
  func destroyKey(_ part: DuePart) async throws { try await step { try await keeper.destroyKey(part) } }
  func deleteFile(_ part: DuePart) async throws -> Bool { try await step { try await keeper.deleteFile(part) } }
  func journalCertificate(_ part: DuePart) async throws -> UInt64 {
    try await step { try await keeper.journalCertificate(part) }
  }
  func eraseFacts(_ part: DuePart, certificate: UInt64) async throws {
    try await step { try await keeper.eraseFacts(part, certificate: certificate) }
  }
  func dropIndex(until day: LocalDate) async throws { try await step { try await keeper.dropIndex(until: day) } }
}

/// How many steps are left before the end.
private final class SteppedCounter: Sendable {
  private let count: Mutex<Int>

  init(_ count: Int) { self.count = Mutex(count) }

  func next() -> Bool {
    count.withLock { count in
      defer { count -= 1 }
      return count == 0
    }
  }

  var isOver: Bool { count.withLock { $0 < 0 } }
}

/// An erasure that is killed anywhere ends as one that is not.
@Suite(.serialized)
struct ErasureTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private static let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  @Test(arguments: 0..<6, [false, true])
  func killedAtEachStepItEndsTheSameWithOneCertificate(_ step: Int, _ afterwards: Bool) async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: Self.calendar)
    defer { world.end() }
    let (recording, part, path) = try await Self.recording(world)
    let due = Self.start.adding(seconds: 40 * 86_400)
    world.pass(to: due)
    let dying = DyingSteps(keeper: world.keeper, left: SteppedCounter(step), afterwards: afterwards)
    _ = try? await Sweeper(steps: dying, pause: .zero, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      .sweep(on: Self.calendar.day(of: due))
    // A new process: memory is gone, what is durable is there.
    _ = try await world.keeper.sweep()
    let entries = try (0...(world.journal.mark.size / 256)).flatMap { try world.journal.folder.bundle($0) }
      .compactMap { JournalEntry(canonical: $0) }
    let certificates = entries.indices.filter {
      entries[$0].act == "erasure.certificate" && entries[$0].facts["part"]?.string == part.rawValue
    }
    #expect(certificates.count == 1)
    #expect(entries.contains { $0.act == "erasure.begun" && $0.facts["part"]?.string == part.rawValue })
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(world.keys.dayKeys().isEmpty)
    let facts = try #require(try await world.register.facts(of: recording))
    #expect(facts.phase(on: Self.calendar.day(of: due)) == .erased && facts.camera == nil)
    let row = try await world.pool.run { connection in
      try connection.query("SELECT certificate FROM erased_part WHERE id = $1", [.text(part.rawValue)])
    }
    #expect(try row.first?.integer("certificate") == certificates.first.map(Int64.init))
    #expect(try await world.register.known(among: [part]).isEmpty)
  }

  /// A closed recording of a service under one month, with a file.
  private static func recording(_ world: KeeperWorld) async throws -> (RecordingID, PartID, String) {
    let (service, agent) = try await world.furnish()
    let recording = RecordingID(UUID().uuidString.lowercased())
    let incident = IncidentID(UUID().uuidString.lowercased())
    let grant = try await world.keeper.partGrants(for: service, from: calendar.day(of: start))[0]
    let path = world.folder + "/footage/\(grant.part).plm"
    #expect(FileManager.default.createFile(atPath: path, contents: Data([1, 2, 3])))
    let events: [IngestEvent] = [
      .opened(incident, recording, service, by: agent, at: start),
      .partOpened(
        PartOpened(
          part: grant.part, recording: recording, service: service, number: 1, localDay: grant.localDay,
          wrappedKey: grant.wrappedKey, path: "\(grant.part).plm")),
      .partClosed(
        PartProgress(part: grant.part, chunkCount: 1, chainHead: [UInt8](repeating: 1, count: 32), file_bytes: 3)),
      .incidentClosed(
        IncidentClosed(
          incident: incident, recording: recording, camera: CameraID("C"), at: start.adding(seconds: 9),
          cause: .endedByWearer, by: nil, damage: 0)),
    ]
    _ = try await world.keeper.answer(
      .events(
        boot: "b", oldest: 1,
        events.enumerated().map { NumberedEvent(number: UInt64($0.offset + 1), event: $0.element) }))
    return (recording, grant.part, path)
  }
}
