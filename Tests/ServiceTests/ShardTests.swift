import Crypto
import Doctrine
import Footage
import Foundation
import Logging
import Seams
import Synchronization
import TestSupport
import Testing
import Vault

@testable import Ingest
@testable import SRT

/// The ingest's threads with real sockets, files and keys; nobody stands behind them.
@Suite(.serialized)
struct ShardTests {
  private static let passphrase = "correct horse battery"
  private static let message_bytes = 1316

  /// Threads on a port of their own, and one camera that may open incidents.
  private final class Line: Sendable {
    let root: String
    let spool = EventSpool()
    let table: AdmissionTable
    let shards: IngestShards
    let port: UInt16
    let grants: [IncidentGrant]
    /// How far ahead of the machine's clock this line is, in microseconds.
    let ahead = SettableClock(0)

    init(reception: ReceptionSettings = .init(), incidents: Int = 1) throws {
      try SRTLibrary.start()
      root = NSTemporaryDirectory() + "shards-\(UUID().uuidString)"
      let ahead = self.ahead
      let clocks = IngestClocks(
        wall: { UTCTime(microseconds: Int64(Date().timeIntervalSince1970 * 1e6)) },
        monotonic: { MonotonicTime(microseconds: Int64(ProcessInfo.processInfo.systemUptime * 1e6) + ahead.now) })
      table = AdmissionTable(clocks: clocks)
      grants = (0..<incidents).map { _ in
        IncidentGrant(
          incident: IncidentID(UUID().uuidString.lowercased()), recording: RecordingID(UUID().uuidString.lowercased()),
          parts: [
            PartGrant(
              part: PartID(UUID().uuidString.lowercased()), number: 1,
              localDay: LocalDate(year: 2026, month: 6, day: 1),
              dayStart: UTCTime(microseconds: 0), dayEnd: UTCTime(microseconds: .max),
              key: Blob(SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }),
              wrappedKey: Blob([UInt8](repeating: 0, count: 60)))
          ])
      }
      table.set(
        CameraAdmission(
          camera: CameraID("C"), service: ServiceID(UUID().uuidString.lowercased()), passphrase: passphrase,
          enabled: true, issuedTo: AgentID("A"), regime: "sp", regimeVersion: 1, reception: reception, grants: grants))
      shards = IngestShards(
        count: 2, footageRoot: root, table: table, spool: spool, feed: LiveFeed(now: clocks.monotonic), clocks: clocks,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      port = try shards.start([ListenAddress(host: "127.0.0.1", port: 0)])[0]
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func call(activation: Int = 0, _ more: String = "") throws -> SRTSocket {
      try SRTSocket.call(
        CallOptions(
          host: "127.0.0.1", port: port, streamID: "#!::u=C,plastron_act=\(activation)\(more)", passphrase: passphrase))
    }

    /// What of one incident is on the disk, in the camera's order; the threads must have ended.
    func recorded(_ grant: IncidentGrant) throws -> [UInt8] {
      let key = SymmetricKey(data: grant.parts[0].key.bytes)
      var reader = try PartReader(path: "\(root)/2026/06/01/\(grant.parts[0].part).plm", key: key)
      var pieces: [(place: (UInt32, UInt64), bytes: [UInt8])] = []
      while let items = try reader.next() {
        for item in items where item.header.kind == .media || item.header.kind == .fill {
          pieces.append(((item.header.epoch, item.header.firstSequence), item.plaintext ?? []))
        }
      }
      return pieces.sorted { $0.place < $1.place }.flatMap(\.bytes)
    }

    var events: [IngestEvent] { spool.head(10_000).map(\.event) }
  }

  private static func message(_ number: Int) -> [UInt8] {
    [0x47, UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
      + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: message_bytes - 3)
  }

  private static func send(_ number: Int, _ socket: borrowing SRTSocket) throws {
    try message(number).withUnsafeBytes { try socket.send($0, inOrder: false) }
  }

  private static func wait(_ what: String, _ check: () -> Bool) {
    for _ in 0..<1000 {
      if check() { return }
      usleep(10_000)
    }
    Issue.record("waited in vain: \(what)")
  }

  // P4: what this end acknowledged the sender has let go of. A close that left it unread would lose it for good.
  @Test func whatWasAcknowledgedBeforeACloseIsRecorded() throws {
    let rounds = 12
    let line = try Line(incidents: rounds)
    var acknowledged: [Int] = []
    for round in 0..<rounds {
      let socket = try line.call(activation: round)
      let incident = line.grants[round].incident
      Self.wait("an incident") {
        line.events.contains { if case .incidentOpened(let entry, _, _) = $0 { entry.id == incident } else { false } }
      }
      var sent = 0
      var kept = 0
      // As fast as the line takes it, so that there is always something that was acknowledged and not read.
      for number in 0..<3000 {
        do { try Self.send(number, socket) } catch { break }
        sent += 1
        if number == 600 + 50 * round { line.shards.post(.close(incident, cause: .closedByCommandRoom, by: "test")) }
        // Of a connection that is over nobody knows what became of it.
        if let waiting = socket.unacknowledged_bytes() { kept = max(kept, sent - waiting / Self.message_bytes) }
      }
      acknowledged.append(kept)
      Self.wait("the close") {
        line.events.contains { if case .incidentClosed(let closed) = $0 { closed.incident == incident } else { false } }
      }
    }
    line.shards.stop()
    for (round, kept) in acknowledged.enumerated() {
      let bytes = try line.recorded(line.grants[round])
      #expect(bytes.count / Self.message_bytes >= kept, "round \(round)")
      let expected = (0..<(bytes.count / Self.message_bytes)).flatMap(Self.message)
      #expect(bytes == expected, "round \(round)")
    }
  }

  // Timely delivery hands over after its window: a camera that ends at once has not lost its last half second.
  @Test func aTimelyCamerasLastWindowIsRecorded() throws {
    let line = try Line(reception: ReceptionSettings(delivery: .timely(window_ms: 500)))
    do {
      let socket = try line.call()
      for number in 0..<60 { try Self.send(number, socket) }
      Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    }
    Self.wait("the end of the stream") {
      line.events.contains { if case .streamLeft = $0 { true } else { false } }
    }
    line.shards.stop()
    #expect(try line.recorded(line.grants[0]) == (0..<60).flatMap(Self.message))
  }

  // And one that calls again within it neither.
  @Test func aTimelyCameraThatIsBackAtOnceLosesNothing() throws {
    let line = try Line(reception: ReceptionSettings(delivery: .timely(window_ms: 500)))
    do {
      let socket = try line.call()
      for number in 0..<60 { try Self.send(number, socket) }
      Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    }
    let socket = try line.call()
    for number in 60..<90 { try Self.send(number, socket) }
    Self.wait("the second connection") {
      line.events.filter { if case .streamJoined = $0 { true } else { false } }.count == 2
    }
    Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    usleep(900_000)
    line.shards.stop()
    #expect(try line.recorded(line.grants[0]) == (0..<90).flatMap(Self.message))
  }

  // A sender whose window is full and whose packets under way are all lost gives nothing but signs of life.
  @Test func aConnectionThatIsAliveAndSilentIsEndedAndTheCameraIsBack() throws {
    let line = try Line()
    let socket = try line.call()
    for number in 0..<60 { try Self.send(number, socket) }
    Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    func looks(_ time_us: Int64) {
      for _ in 0..<(time_us / ShardCore.slowTurn_us) {
        line.ahead.add(ShardCore.slowTurn_us)
        usleep(10_000)
      }
    }
    // An encoder may pause.
    looks(StallWatch.silenceLimit_us - 2_000_000)
    var isThere = socket.isConnected()
    #expect(isThere)
    try Self.send(60, socket)
    Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    looks(StallWatch.silenceLimit_us - 2_000_000)
    isThere = socket.isConnected()
    #expect(isThere)
    looks(4_000_000)
    Self.wait("the end of the connection") { !socket.isConnected() }
    let again = try line.call()
    for number in 61..<90 { try Self.send(number, again) }
    Self.wait("the acknowledgement") { again.unacknowledged_bytes() == 0 }
    Self.wait("the gap") { line.events.contains { if case .gap = $0 { true } else { false } } }
    line.shards.stop()
    let gaps = line.events.compactMap { if case .gap(let gap) = $0 { gap } else { nil } }
    #expect(gaps.map(\.cause) == [.silent])
    #expect(try line.recorded(line.grants[0]) == (0..<90).flatMap(Self.message))
  }

  private static func health(_ line: Line) -> [LinkHealth] {
    line.events.flatMap { event -> [LinkHealth] in if case .linkHealth(let list) = event { list } else { [] } }
  }

  // However short: what a connection carried is told when it is over, and by then the transport says nothing any more.
  @Test(arguments: [(20, 0), (60, 1_200_000)])
  func whatAConnectionCarriedIsToldWhenItIsOver(_ count: Int, _ pause_us: UInt32) throws {
    let line = try Line()
    do {
      let socket = try line.call()
      for number in 0..<count { try Self.send(number, socket) }
      Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
      usleep(pause_us)
    }
    Self.wait("the end of the stream") {
      line.events.contains { if case .streamLeft = $0 { true } else { false } }
    }
    line.shards.stop()
    let health = try #require(Self.health(line).last)
    #expect(Self.health(line).count == 1 && health.connections == 1)
    #expect(health.packets >= count && health.bytes == Int64(count * Self.message_bytes))
    #expect(health.senderLatency_ms == 120)
    if pause_us > 0 { #expect((health.roundTrip_ms ?? 0) > 0) }
  }

  // The longer of both ends' wishes is the window that holds, and the one that is told.
  @Test func theWindowThatHoldsIsTold() throws {
    let line = try Line(reception: ReceptionSettings(delivery: .timely(window_ms: 60)))
    do {
      let socket = try line.call()
      for number in 0..<20 { try Self.send(number, socket) }
      Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    }
    Self.wait("a report") { !Self.health(line).isEmpty }
    line.shards.stop()
    #expect(Self.health(line).last?.delivery == .timely(window_ms: 120))
  }

  // A camera that sends more than it may: its connection ends with a sentence, what it sent until then is kept.
  @Test func aCameraThatIsTooFastIsEndedAndItsIncidentGoesOn() throws {
    let line = try Line(reception: ReceptionSettings(maximumRate_kbps: 100))
    let socket = try line.call()
    var sent = 0
    do { while sent < 20_000 { try Self.send(sent, socket); sent += 1 } } catch {}
    #expect(sent < 20_000)
    Self.wait("the refusal") { line.table.takeRefusals().contains { $0.code == "too-fast" && $0.proven } }
    #expect(!line.events.contains { if case .incidentClosed = $0 { true } else { false } })
    // INT-6: nobody comes back, and what is missing up to the close is a gap.
    Self.wait("the end of the stream") { line.events.contains { if case .streamLeft = $0 { true } else { false } } }
    line.shards.post(.close(line.grants[0].incident, cause: .closedByCommandRoom, by: "test"))
    Self.wait("the close") { line.events.contains { if case .incidentClosed = $0 { true } else { false } } }
    line.shards.stop()
    let gaps = line.events.compactMap { if case .gap(let gap) = $0 { gap } else { nil } }
    #expect(gaps.map(\.cause) == [.tooFast])
    let bytes = try line.recorded(line.grants[0])
    #expect(Int64(bytes.count) >= RateBound.minimumGrace_bytes)
    #expect(bytes == (0..<(bytes.count / Self.message_bytes)).flatMap(Self.message))
  }

  private static func linkTests(_ line: Line) -> [LinkTestResult] {
    line.events.compactMap { if case .linkTested(let result) = $0 { result } else { nil } }
  }

  // A link test costs the shard what a recording does: one of a camera at a time, and it has an end.
  @Test func aCameraTestsItsLinkOnceAtATimeAndNotForEver() throws {
    let line = try Line()
    defer { line.shards.stop() }
    let first = try line.call(activation: 0, ",r=linktest")
    try Self.send(0, first)
    usleep(100_000)
    var others: [SRTSocketBox] = []
    for _ in 0..<3 { others.append(SRTSocketBox(try line.call(activation: 0, ",r=linktest"))) }
    Self.wait("the others' end") { others.allSatisfy { !$0.socket.isConnected() } }
    let isFirstConnected = first.isConnected()
    #expect(isFirstConnected && Self.linkTests(line).isEmpty)
    Self.wait("the refusal") { line.table.takeRefusals().contains { $0.code == "link-test-under-way" } }
    line.ahead.add(ShardCore.linkTest_us)
    Self.wait("the end of the test") { Self.linkTests(line).count == 1 }
    Self.wait("the caller's end") { !first.isConnected() }
    // The next one is let in.
    let next = try line.call(activation: 0, ",r=linktest")
    try Self.send(0, next)
    usleep(200_000)
    let isNextConnected = next.isConnected()
    #expect(isNextConnected)
    #expect(!line.events.contains { if case .incidentOpened = $0 { true } else { false } })
  }

  @Test func aLinkTestThatIsTooFastIsEndedAndCallingAgainGainsNothing() throws {
    let line = try Line(reception: ReceptionSettings(maximumRate_kbps: 100))
    defer { line.shards.stop() }
    for round in 1...2 {
      let socket = try line.call(activation: 0, ",r=linktest")
      var count = 0
      do { while count < 20_000 { try Self.send(count, socket); count += 1 } } catch {}
      #expect(count < 20_000)
      Self.wait("the end of the test") { Self.linkTests(line).count == round }
    }
    #expect(line.table.takeRefusals().contains { $0.code == "too-fast" && $0.proven && $0.count == 2 })
    let packets = Self.linkTests(line).map(\.packets)
    #expect(
      packets[0] * Int64(Self.message_bytes) >= RateBound.minimumGrace_bytes && packets[1] < packets[0] / 2,
      "\(packets)")
  }

  // A second connection of an incident says what the first did not.
  @Test func aCameraThatComesBackIsToldOfWithWhatItSays() throws {
    let line = try Line()
    do {
      let socket = try line.call()
      try Self.send(0, socket)
      Self.wait("the stream") { line.events.contains { if case .streamJoined = $0 { true } else { false } } }
    }
    Self.wait("its end") { line.events.contains { if case .streamLeft = $0 { true } else { false } } }
    let again = try line.call(activation: 0, ",plastron_threat=persons,plastron_ref=INT-9")
    try Self.send(1, again)
    func said() -> [StreamClaims] {
      line.events.compactMap { if case .streamJoined(_, _, _, _, _, let said) = $0 { said } else { nil } }
    }
    Self.wait("the second stream") { said().count == 2 }
    #expect(said() == [StreamClaims(), StreamClaims(threat: .persons, reference: "INT-9")])
    line.shards.stop()
  }

  @Test func aMailboxTakesSoManySocketsAndEveryCommand() throws {
    try SRTLibrary.start()
    let mailbox = ShardMailbox()
    let attempt = PendingAttempt(identifier: try StreamIdentifier("#!::u=C"), peer: "p", network: "n")
    func hand() -> Bool { mailbox.hand(over: AcceptedSocket(SRTSocket(adopting: -1)), attempt) }
    for _ in 0..<ShardMailbox.maximumSockets { #expect(hand()) }
    #expect(!hand() && !hand())
    for _ in 0..<1000 { mailbox.post(.command(.allLiveEnds)) }
    #expect(mailbox.take().count == ShardMailbox.maximumSockets + 1000)
    #expect(hand() && mailbox.take().count == 1 && mailbox.take().isEmpty)
  }

  /// A file of the camera's incident as a stop leaves it, with a packet that never came and was not told, and what the keeper
  /// answers about it.
  private func leftOpen(_ line: Line) throws -> (FoundPartAnswer, PartRecovery.Recovered, ResumedRecording) {
    let grant = line.grants[0]
    let part = grant.parts[0]
    let header = PartHeader(
      part: try #require(UUIDText.binary(part.part.rawValue)),
      recording: try #require(UUIDText.binary(grant.recording.rawValue)),
      incident: try #require(UUIDText.binary(grant.incident.rawValue)), service: .init(repeating: 4, count: 16),
      localDay: 20_260_601, created_us: 1, previousHead: .init(repeating: 0, count: 32),
      wrappedKey: part.wrappedKey.bytes, sealedFacts: [])
    let path = "2026/06/01/\(part.part).plm"
    let writer = FootageWriter(root: line.root) { _ in }
    writer.submit(
      .open(
        part: part.part.rawValue, path: path, header: header, key: SymmetricKey(data: part.key.bytes), after: nil))
    for sequence: UInt64 in [100, 105] {
      writer.submit(
        .append(
          part: part.part.rawValue,
          ChunkContent(
            kind: .media, epoch: 4, packetCount: 1, firstSequence: sequence, firstArrival_us: Int64(sequence),
            lastArrival_us: Int64(sequence), plaintext: Self.message(Int(sequence)))))
    }
    writer.stop()
    let resumed = ResumedIncident(camera: CameraID("C"), agent: AgentID("A"), activation: nil, parts: [])
    let answer = FoundPartAnswer(
      grant: part, recording: grant.recording, incident: grant.incident, path: path, indexed: nil, resume: resumed,
      closing: nil)
    let recovered = try PartRecovery.recover(
      line.root + "/" + path, part: part.part.rawValue, key: SymmetricKey(data: part.key.bytes), isIndexKnown: false)
    line.table.markUsed([grant.incident])
    return (
      answer, recovered,
      ResumedRecording(
        incident: grant.incident, recording: grant.recording, service: ServiceID("S"), current: part, resumed: resumed,
        facts: [], lastArrival: UTCTime(microseconds: 105), lastEpoch: recovered.lastEpoch)
    )
  }

  // A camera that calls before its part is read waits: its incident is continued, not opened twice. What a stop kept from being
  // told is a gap before it goes on.
  @Test func aCallWaitsForItsPartAndTheIncidentGoesOn() throws {
    let line = try Line(incidents: 2)
    let (answer, recovered, resumed) = try leftOpen(line)
    line.shards.expect(answer)
    let socket = try line.call()
    for number in 0..<20 { try Self.send(number, socket) }
    usleep(700_000)
    #expect(line.events.isEmpty)
    line.shards.takeUp(answer, recovered, resumed)
    Self.wait("the stream") { line.events.contains { if case .streamJoined = $0 { true } else { false } } }
    Self.wait("the acknowledgement") { socket.unacknowledged_bytes() == 0 }
    usleep(200_000)
    line.shards.stop()
    #expect(!line.events.contains { if case .incidentOpened = $0 { true } else { false } })
    let joined = line.events.compactMap {
      if case .streamJoined(let id, _, let epoch, _, _, _) = $0 { (id, epoch) } else { nil }
    }
    #expect(joined.first?.0 == line.grants[0].incident && joined.first?.1 == 5)
    var reader = try PartReader(
      path: line.root + "/" + answer.path, key: SymmetricKey(data: line.grants[0].parts[0].key.bytes))
    var chunks: [(ChunkHeader, [UInt8]?)] = []
    while let items = try reader.next() { chunks += items.map { ($0.header, $0.plaintext) } }
    #expect(chunks.prefix(5).map(\.0.kind) == [.media, .media, .gap, .gap, .epoch])
    try #require(chunks.count > 4)
    #expect(chunks[2].0.firstSequence == 101 && chunks[2].0.packetCount == 4 && chunks[2].0.epoch == 4)
    let note = chunks[2].1.flatMap(GapNote.decode)
    #expect(note == GapNote(from_us: 100, to_us: 105, cause: GapCause.lostInTransport.rawValue))
    let media = chunks.filter { $0.0.kind == .media && $0.0.epoch == 5 }.flatMap { $0.1 ?? [] }
    #expect(media == (0..<20).flatMap(Self.message))
  }

  @Test func aPartThatCannotBeTakenUpKeepsNobodyWaiting() throws {
    let line = try Line(incidents: 2)
    let (answer, _, _) = try leftOpen(line)
    line.shards.expect(answer)
    let socket = try line.call()
    try Self.send(0, socket)
    usleep(500_000)
    #expect(line.events.isEmpty)
    line.shards.settled(answer)
    Self.wait("another incident") {
      line.events.contains {
        if case .incidentOpened(let entry, _, _) = $0 { entry.id == line.grants[1].incident } else { false }
      }
    }
    line.shards.stop()
  }

  // What the command room asks for while the part is read is not forgotten.
  @Test func aCloseThatComesBeforeThePartTakesEffect() throws {
    let line = try Line(incidents: 1)
    let (answer, recovered, resumed) = try leftOpen(line)
    line.shards.expect(answer)
    line.shards.post(.close(line.grants[0].incident, cause: .closedByCommandRoom, by: "test"))
    usleep(300_000)
    line.shards.takeUp(answer, recovered, resumed)
    Self.wait("the close") {
      line.events.contains {
        if case .incidentClosed(let closed) = $0 { closed.cause == .closedByCommandRoom } else { false }
      }
    }
    line.shards.stop()
  }

  // A file that cannot be read is in the way of a grant: the next one is used.
  @Test func nothingIsOpenedUnderANameThatIsInTheWay() throws {
    let line = try Line(incidents: 2)
    line.shards.avoid(["2026/06/01/\(line.grants[0].parts[0].part).plm"])
    let socket = try line.call()
    try Self.send(0, socket)
    Self.wait("an incident") { line.events.contains { if case .incidentOpened = $0 { true } else { false } } }
    line.shards.stop()
    let opened = line.events.compactMap { if case .incidentOpened(let entry, _, _) = $0 { entry.id } else { nil } }
    #expect(opened == [line.grants[1].incident])
  }

  @Test func aSecondServerOnThePortIsRefused() throws {
    let line = try Line()
    defer { line.shards.stop() }
    let other = try Line()
    other.shards.stop()
    #expect(throws: SRTError.self) {
      _ = try other.shards.start([ListenAddress(host: "127.0.0.1", port: line.port)])
    }
  }
}

/// A socket in a list.
private final class SRTSocketBox {
  let socket: SRTSocket
  init(_ socket: consuming SRTSocket) { self.socket = socket }
}
