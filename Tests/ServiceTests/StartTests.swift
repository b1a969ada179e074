import AsyncHTTPClient
import Crypto
import Doctrine
import Footage
import Foundation
import Logging
import Seams
import Synchronization
import Testing
import TestSupport
import Vault

@testable import Ingest
@testable import Keeper

/// What the ingest does with the files that it finds.
struct RecentPartsTests {
  private static let now = UTCTime(microseconds: 1_800_000_000_000_000)

  private func header(part: UInt8 = 1, recording: UInt8 = 2) -> PartHeader {
    PartHeader(
      part: .init(repeating: part, count: 16), recording: .init(repeating: recording, count: 16),
      incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_270_115,
      created_us: Self.now.microseconds, previousHead: .init(repeating: 0, count: 32),
      wrappedKey: .init(repeating: 5, count: 60), sealedFacts: [])
  }

  // A part that nothing came into yet takes its epoch from those before it: one that is not looked at would give it twice.
  @Test func theOtherFilesOfARecordingThatIsOpenCountHoweverOld() throws {
    let root = NSTemporaryDirectory() + "recent-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: root) }
    let writer = FootageWriter(root: root) { _ in }
    let key = SymmetricKey(size: .bits256)
    for (name, part, recording) in [("before", UInt8(1), UInt8(2)), ("other", 3, 4)] {
      writer.submit(
        .open(
          part: name, path: "2027/01/15/\(name).plm", header: header(part: part, recording: recording), key: key,
          after: nil))
      writer.submit(.close(part: name, CloseNote.content(cause: "day-ended", at: Self.now, epoch: 3)))
    }
    writer.stop()
    try Directories.replace("\(root)/2027/01/15/open.plm", with: header(part: 5, recording: 2).encoded)
    let found = RecentParts.find(below: root, at: Self.now, isStart: true)
    #expect(found.parts.map(\.path).sorted() == ["before", "open"].map { "2027/01/15/\($0).plm" })
    #expect(found.parts.map(\.isClosed).sorted { !$0 && $1 } == [false, true])
  }

  // A file is renamed only where a stop left it shorter than its header: one that cannot be read may be whole.
  @Test func onlyWhatHasNoHeaderIsSetAsideAndOnlyAtTheStart() throws {
    let root = NSTemporaryDirectory() + "recent-" + UUID().uuidString
    let day = "2027/01/15"
    defer { try? FileManager.default.removeItem(atPath: root) }
    try Directories.make("\(root)/\(day)")
    let files = FileManager.default
    try Directories.replace("\(root)/\(day)/whole.plm", with: header().encoded)
    try Directories.replace("\(root)/\(day)/short.plm", with: Array(header().encoded.dropLast()))
    try Directories.replace("\(root)/\(day)/empty.plm", with: [])
    try Directories.replace("\(root)/\(day)/other.plm", with: [UInt8](repeating: 0, count: 4096))
    // Errors that no owner's rights turn off.
    try files.createSymbolicLink(atPath: "\(root)/\(day)/loop.plm", withDestinationPath: "\(root)/\(day)/loop.plm")
    try files.createDirectory(atPath: "\(root)/\(day)/folder.plm", withIntermediateDirectories: false)
    let before = try files.contentsOfDirectory(atPath: "\(root)/\(day)").sorted()

    let recording = RecentParts.find(below: root, at: Self.now, isStart: false)
    #expect(try files.contentsOfDirectory(atPath: "\(root)/\(day)").sorted() == before)
    #expect(recording.setAside.isEmpty)

    let start = RecentParts.find(below: root, at: Self.now, isStart: true)
    #expect(start.parts.map(\.path) == ["\(day)/whole.plm"] && start.incidents.count == 1)
    #expect(start.setAside.sorted() == ["\(day)/empty.plm.headless", "\(day)/short.plm.headless"])
    #expect(start.unreadable.map(\.path).sorted() == ["folder", "loop", "other"].map { "\(day)/\($0).plm" })
    let after = try files.contentsOfDirectory(atPath: "\(root)/\(day)").sorted()
    #expect(
      after == ["empty.plm.headless", "folder.plm", "loop.plm", "other.plm", "short.plm.headless", "whole.plm"])
  }
}

/// The ingest's start against a real keeper, over a real socket.
@Suite(.serialized)
struct StartTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private static let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  /// What was logged.
  private struct Log: LogHandler {
    final class Lines: Sendable {
      let lines = Mutex<[String]>([])
      func has(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }
    }

    let lines: Lines
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      lines.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }
  }

  /// Files of as many recordings, as a power cut leaves them, written by the real writer.
  private func leaveOpen(
    _ count: Int, _ world: KeeperWorld, _ service: ServiceID, _ agent: AgentID
  ) async throws -> [PartID] {
    let day = await world.keeper.calendar.day(of: Self.start)
    let folder = day.description.split(separator: "-").joined(separator: "/")
    let writer = FootageWriter(root: world.folder + "/footage") { _ in }
    // With facts longer than any: as many bytes as ten thousand usual ones.
    let facts =
      "{\"agent\":\"\(agent)\",\"camera\":\"C\",\"regime\":\"pn-gn\",\"regimeVersion\":1,\"more\":\"\(String(repeating: "x", count: 3300))\"}"
    var parts: [PartID] = []
    while parts.count < count {
      for grant in try await world.keeper.partGrants(for: service, from: day) where grant.localDay == day {
        let part = UUIDText.binary(grant.part.rawValue) ?? []
        let key = SymmetricKey(data: grant.key.bytes)
        let header = PartHeader(
          part: part, recording: UUIDText.binary(UUID().uuidString) ?? [],
          incident: UUIDText.binary(UUID().uuidString) ?? [], service: UUIDText.binary(service.rawValue) ?? [],
          localDay: UInt32(day.year * 10_000 + day.month * 100 + day.day), created_us: Self.start.microseconds,
          previousHead: .init(repeating: 0, count: 32), wrappedKey: grant.wrappedKey.bytes,
          sealedFacts: try Sealing.seal(Array(facts.utf8), under: key, purpose: Sealing.factsPurpose, subject: part))
        writer.submit(
          .open(part: grant.part.rawValue, path: "\(folder)/\(grant.part).plm", header: header, key: key, after: nil))
        writer.submit(
          .append(
            part: grant.part.rawValue,
            ChunkContent(
              kind: .media, epoch: 1, packetCount: 1, firstSequence: 1, firstArrival_us: Self.start.microseconds,
              lastArrival_us: Self.start.microseconds, plaintext: [0x47])))
        parts.append(grant.part)
      }
    }
    writer.stop()
    return parts
  }

  private func until(_ what: String, seconds: Int, _ check: () async throws -> Bool) async throws {
    for _ in 0..<(seconds * 5) {
      if try await check() { return }
      try await Task.sleep(for: .milliseconds(200))
    }
    Issue.record("waited in vain: \(what)")
  }

  // A list of all of them is more than one call carries, and its answer longer than a call waits.
  @Test func aFleetThatWasCutOffIsTakenUp() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: Self.calendar)
    defer { world.end() }
    let (service, agent) = try await world.furnish()
    // Of somebody whom the camera is not issued to: each incident is to be closed.
    let other = try await world.person("other", in: service.rawValue)
    #expect(other != agent)
    let parts = try await leaveOpen(2048, world, service, other)
    let lines = Log.Lines()
    let logger = Logger(label: "test") { _ in Log(lines: lines) }
    let socket = "/tmp/start-\(UUID().uuidString.prefix(8)).sock"
    defer { unlink(socket) }
    let keeper = world.keeper
    let server = SeamServer<IngestCall, IngestReply, IngestDirective>(
      socketPath: socket, logger: logger, answer: { call, _ in try await keeper.answer(call) },
      notices: { await keeper.ingestNotices() })
    let serving = Task { try await server.run() }
    let (quick, patient) = (
      KeeperClient.makeHTTPClient(), KeeperClient.makeHTTPClient(silence_s: SeamLimits.foundAnswer_s)
    )
    let start = Self.start
    let ingest = IngestService(
      settings: .init(
        addresses: [ListenAddress(host: "127.0.0.1", port: 0)], threads: 2, window_packets: 768,
        footageRoot: world.folder + "/footage"),
      keeper: SeamClient(client: quick, socketPath: socket, peer: "keeper"),
      patientKeeper: SeamClient(client: patient, socketPath: socket, peer: "keeper"),
      clocks: IngestClocks(
        wall: { start }, monotonic: { MonotonicTime(microseconds: Int64(ProcessInfo.processInfo.systemUptime * 1e6)) }),
      logger: logger)
    let running = Task { try await ingest.run() }
    try await until("the listeners", seconds: 180) { lines.has("listening for cameras") }
    let footage = world.folder + "/footage/2027/01/15/"
    try await until("every close", seconds: 120) {
      parts.allSatisfy { PartReader.endsWithClose(footage + "\($0).plm") }
    }
    running.cancel()
    _ = await running.result
    serving.cancel()
    _ = await serving.result
    try await quick.shutdown()
    try await patient.shutdown()
    #expect(!lines.has("cannot be asked about") && !lines.has("could not be taken up"))
  }
}
