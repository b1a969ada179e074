import Crypto
import Doctrine
import Extraction
import Footage
import Foundation
import Logging
import TestSupport
import Testing
import Vault

@testable import Ingest
@testable import SRT
@testable import Seams

/// The whole recording path of the ingest, over real SRT, around local midnight.
@Suite(.serialized)
struct MidnightTests {
  private static let midnight_us: Int64 = 1_800_000_000_000_000

  private func part(_ number: Int, _ start: Int64, _ end: Int64) -> PartGrant {
    PartGrant(
      part: PartID(UUID().uuidString.lowercased()), number: number,
      localDay: LocalDate(year: 2027, month: 1, day: 14 + number), dayStart: UTCTime(microseconds: start),
      dayEnd: UTCTime(microseconds: end), key: Blob([UInt8](repeating: UInt8(number), count: 32)),
      wrappedKey: Blob([UInt8](repeating: 9, count: 60)))
  }

  // RET-2, P4: the day's part is closed, the next opens under its own key, and not one byte is lost between them.
  @Test func aRecordingGoesOnInANewPartAtLocalMidnight() async throws {
    try SRTLibrary.start()
    let folder = NSTemporaryDirectory() + "plastron-midnight-" + UUID().uuidString
    try Directories.make(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let clock = SettableClock(Self.midnight_us - 5_000_000)
    let clocks = IngestClocks(
      wall: { UTCTime(microseconds: clock.now) },
      monotonic: { MonotonicTime(microseconds: Int64(DispatchTime.now().uptimeNanoseconds / 1000)) })
    let table = AdmissionTable(clocks: clocks)
    let parts = [
      part(1, 0, Self.midnight_us), part(2, Self.midnight_us, Self.midnight_us + 86_400_000_000),
    ]
    let incident = IncidentID(UUID().uuidString.lowercased())
    table.set(
      CameraAdmission(
        camera: CameraID("C"), service: ServiceID(UUID().uuidString), passphrase: "a passphrase of it", enabled: true,
        issuedTo: AgentID("agent"), regime: "sp", regimeVersion: 1,
        grants: [
          IncidentGrant(
            incident: incident, recording: RecordingID(UUID().uuidString.lowercased()), parts: parts)
        ]))
    let spool = EventSpool()
    let shards = IngestShards(
      count: 2, footageRoot: folder, table: table, spool: spool, feed: LiveFeed(now: clocks.monotonic), clocks: clocks,
      logger: Logger(label: "test"))
    let port = try shards.start([ListenAddress(host: "127.0.0.1", port: 0)])[0]
    let sent = try await send(port, clock)
    shards.post(.close(incident, cause: .closedByCommandRoom, by: "test"))
    try await Task.sleep(for: .milliseconds(400))
    shards.stop()

    let first = try read(folder + "/2027/01/15/\(parts[0].part).plm", parts[0])
    let second = try read(folder + "/2027/01/16/\(parts[1].part).plm", parts[1])
    #expect(first.media + second.media == sent)
    #expect(!first.media.isEmpty && !second.media.isEmpty)
    #expect(first.isClosed && second.isClosed)
    #expect(second.header.previousHead == first.head)
    #expect(first.header.recording == second.header.recording)
    let closed = spool.head().filter { if case .partClosed = $0.event { true } else { false } }
    #expect(closed.count == 2)
  }

  // P4: what comes after midnight for a hole before it lies in the second part, and is read in the camera's order.
  @Test func aPacketThatComesAfterMidnightIsReadInItsPlace() async throws {
    let folder = NSTemporaryDirectory() + "plastron-midnight-" + UUID().uuidString
    try Directories.make(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let keys = (0..<2).map { _ in SymmetricKey(size: .bits256) }
    let names = (0..<2).map { _ in UUID().uuidString.lowercased() }
    let writer = FootageWriter(root: folder) { _ in }
    func append(_ part: Int, _ kind: ChunkKind, _ sequence: UInt64, epoch: UInt32 = 1) {
      writer.submit(
        .append(
          part: names[part],
          ChunkContent(
            kind: kind, epoch: epoch, packetCount: 1, firstSequence: sequence, firstArrival_us: 1, lastArrival_us: 1,
            plaintext: [UInt8(epoch), UInt8(sequence)])))
    }
    for part in 0..<2 {
      let header = PartHeader(
        part: try #require(UUIDText.binary(names[part])), recording: .init(repeating: 2, count: 16),
        incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_270_115,
        created_us: 1, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 5, count: 60),
        sealedFacts: [])
      writer.submit(
        .open(
          part: names[part], path: "\(part).plm", header: header, key: keys[part], after: part > 0 ? names[0] : nil))
      if part == 0 { for sequence: UInt64 in [10, 11, 14] { append(0, .media, sequence) } }
    }
    append(1, .media, 15)
    append(1, .fill, 12)
    append(1, .fill, 13)
    append(1, .media, 3, epoch: 2)
    writer.stop()
    let reader = try await MasterReader.survey {
      try (0..<2).map { part in
        MasterPart(
          name: names[part], source: try DiskSource(folder + "/\(part).plm"), key: keys[part], chunkCount: 100)
      }
    }
    var bytes: [UInt8] = []
    try await reader.read { bytes += $0.bytes }
    #expect(bytes == [1, 10, 1, 11, 1, 12, 1, 13, 1, 14, 1, 15, 2, 3])
    #expect(reader.altered.isEmpty)
  }

  /// Sends for two seconds with midnight in the middle; returns what was sent.
  private func send(_ port: UInt16, _ clock: SettableClock) async throws -> [UInt8] {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Result { try Self.sendAll(port, clock) })
      }
    }
  }

  private static func sendAll(_ port: UInt16, _ clock: SettableClock) throws -> [UInt8] {
    let socket = try SRTSocket.call(
      CallOptions(host: "127.0.0.1", port: port, streamID: "#!::u=C,m=publish", passphrase: "a passphrase of it"))
    var all: [UInt8] = []
    for number in 0..<200 {
      if number == 100 { clock.set(midnight_us + 1_000_000) }
      var packet = [UInt8](repeating: UInt8(number), count: 188)
      packet[0] = 0x47
      packet[3] = 0x10
      try packet.withUnsafeBytes { buffer in try socket.send(buffer, inOrder: false) }
      all += packet
      usleep(10_000)
    }
    for _ in 0..<100 where socket.unacknowledged_bytes() != 0 { usleep(20_000) }
    usleep(300_000)
    return all
  }

  private func read(_ path: String, _ grant: PartGrant) throws -> (
    header: PartHeader, media: [UInt8], head: [UInt8], isClosed: Bool
  ) {
    var reader = try PartReader(path: path, key: SymmetricKey(data: grant.key.bytes))
    var media: [UInt8] = []
    while let items = try reader.next() {
      for item in items where item.header.kind == .media { media += item.plaintext ?? [] }
    }
    let state = reader.state
    return (try #require(state.header), media, state.chain?.head ?? [], state.isClosed)
  }
}
