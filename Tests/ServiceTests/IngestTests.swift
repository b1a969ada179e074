import Doctrine
import Footage
import Testing

@testable import Ingest
@testable import SRT
@testable import Seams

struct StreamIdentifierTests {
  @Test func readsWhatClientsSend() throws {
    for text in [
      "#!::u=CAM-1,m=publish", "%23!::u=CAM-1,m=publish", "%23%21%3A%3Au%3DCAM-1", "#!::m=publish,u=CAM-1,zz=9",
    ] {
      let id = try StreamIdentifier(text)
      #expect(id.camera == CameraID("CAM-1") && !id.isLinkTest && id.threat == nil)
    }
    let full = try StreamIdentifier("#!::u=C,plastron_threat=persons,plastron_ref=2026/42,plastron_act=a,r=linktest")
    #expect(full.threat == .persons && full.reference == "2026/42" && full.activation == "a" && full.isLinkTest)
  }

  @Test(arguments: [
    "", "CAM-1", "#!::", "#!::m=publish", "#!::u=", "#!::u=a b", "#!::u=-a", "#!::u=é", "#!::u=C,m=request",
    "#!::u=C,m",
    "#!::u=C,u=D", "#!::u=C,plastron_threat=war", "%2", "%zz!::u=C", "#!::u=C,plastron_ref=\u{1}",
    "#!::u=" + String(repeating: "x", count: 65), "#!::u=C,x=" + String(repeating: "x", count: 129),
    "#!::u=C," + String(repeating: "a=b", count: 200),
  ])
  func refusesWithASentence(_ text: String) {
    do throws(StreamIdentifier.Malformed) {
      _ = try StreamIdentifier(text)
      Issue.record("accepted: \(text)")
    } catch { #expect(!error.sentence.isEmpty) }
  }
}

struct AdmissionTableTests {
  private let clocks = IngestClocks(
    wall: { UTCTime(microseconds: 1_000_000) }, monotonic: { MonotonicTime(microseconds: 100_000_000) })

  private func admission(_ camera: String) -> CameraAdmission {
    CameraAdmission(
      camera: CameraID(camera), service: ServiceID("s"), passphrase: "the camera's own", enabled: true, issuedTo: nil,
      regime: "sp", regimeVersion: 1, grants: [])
  }

  private func passphrase(_ answer: AdmissionAnswer) -> String? {
    if case .exchangeKeys(let passphrase, _) = answer { passphrase } else { nil }
  }

  @Test func aKnownCameraMustProveItsOwnPassphraseAndAnUnknownOneCannot() throws {
    let table = AdmissionTable(clocks: clocks)
    table.set(admission("C"))
    let peer = try PeerAddress.loopback()
    #expect(passphrase(table.decide(.init(socket: 1, peer: peer, streamID: "#!::u=C"))) == "the camera's own")
    let decoy = passphrase(table.decide(.init(socket: 2, peer: peer, streamID: "#!::u=X")))
    #expect(decoy != nil && decoy != "the camera's own")
    #expect(passphrase(table.decide(.init(socket: 3, peer: peer, streamID: "nonsense"))) != nil)
    #expect(table.drainRefusals().map(\.code) == ["unknown-camera", "stream-id"])
  }

  // A storm of wrong passphrases from behind an operator's gateway keeps no camera out that was in.
  @Test func aStormFromOneAddressHurtsNoCameraThatProvedItself() throws {
    let table = AdmissionTable(clocks: clocks)
    table.set(admission("C"))
    let peer = try PeerAddress.loopback()
    _ = table.decide(.init(socket: 1, peer: peer, streamID: "#!::u=C"))
    #expect(table.takeProven(1) != nil)
    for socket in 0..<Int32(AdmissionTable.callsPerAddress) {
      _ = table.decide(.init(socket: 10 + socket, peer: peer, streamID: "#!::u=X\(socket)"))
      _ = table.takeProven(10 + socket)
    }
    guard case .refuse = table.decide(.init(socket: 5000, peer: peer, streamID: "#!::u=D")) else {
      Issue.record("the storm is not bounded")
      return
    }
    #expect(passphrase(table.decide(.init(socket: 5001, peer: peer, streamID: "#!::u=C"))) == "the camera's own")
    #expect(table.drainRefusals().contains { $0.code == "too-many-calls" && $0.camera == nil })
  }

  // Handshakes that are never finished, of known and unknown names: bounded.
  @Test func callsWithoutProofAreBoundedInAll() throws {
    let table = AdmissionTable(clocks: clocks)
    let peer = try PeerAddress.loopback()
    var admitted = 0
    for number in 0..<Int32(AdmissionTable.maximumUnprovenPerNetwork + 100) {
      table.set(admission("C\(number)"))
      if passphrase(table.decide(.init(socket: number, peer: peer, streamID: "#!::u=C\(number)"))) != nil {
        admitted += 1
      }
    }
    #expect(admitted == AdmissionTable.maximumUnprovenPerNetwork)
    // Who does prove makes room again.
    #expect(table.takeProven(0) != nil)
    #expect(passphrase(table.decide(.init(socket: 9000, peer: peer, streamID: "#!::u=C1"))) != nil)
  }

  @Test func aFloodIsRefusedBeforeAnyKeyDerivation() throws {
    let table = AdmissionTable(clocks: clocks)
    table.set(admission("C"))
    let peer = try PeerAddress.loopback()
    var refused = 0
    for socket in 0..<Int32(AdmissionTable.callsPerCamera + 30) {
      if case .refuse = table.decide(.init(socket: socket, peer: peer, streamID: "#!::u=C")) { refused += 1 }
    }
    #expect(refused == 30)
    let refusals = table.drainRefusals()
    #expect(refusals.map(\.code) == ["too-many-calls"] && refusals.first?.count == 30)
  }
}

extension PeerAddress {
  static func loopback() throws -> PeerAddress {
    try withSocketAddress(host: "127.0.0.1", port: 1, passive: false) { (address, _) throws(SRTError) in
      PeerAddress(address)
    }
  }
}

struct ChunkAssemblerTests {
  @Test func marksStartsAndCountsWhatIsNoTransportStream() {
    var assembler = ChunkAssembler(epoch: 1)
    var packet = [UInt8](repeating: 0, count: 188)
    packet[0] = 0x47
    packet[3] = 0x30
    packet[4] = 7
    packet[5] = 0x50
    packet[9] = 2
    let at = UTCTime(microseconds: 0)
    let now = MonotonicTime(microseconds: 0)
    packet.withUnsafeBytes { assembler.append(sequence: 1, bytes: $0, arrival: at, now: now, isForRelay: true) }
    Array("not a transport stream".utf8).withUnsafeBytes {
      assembler.append(sequence: 2, bytes: $0, arrival: at, now: now, isForRelay: true)
    }
    assembler.close()
    let chunks = assembler.takeFinished()
    #expect(chunks.count == 1 && chunks[0].marks == [0] && chunks[0].firstClock == 4)
    #expect(assembler.inspector.foreign == 1)
    #expect(chunks[0].plaintext.count == 188 + 22)
  }

  @Test func endsAChunkByAgeAndBySize() {
    var assembler = ChunkAssembler(epoch: 1)
    let big = [UInt8](repeating: 0, count: 1400)
    for number in 0..<UInt64(1600) {
      big.withUnsafeBytes {
        assembler.append(
          sequence: number, bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0),
          isForRelay: true)
      }
    }
    let bySize = assembler.takeFinished()
    #expect(bySize.count == 2 && bySize.allSatisfy { $0.plaintext.count <= ChunkAssembler.maximumSize_bytes })
    assembler.timePassed(at: MonotonicTime(microseconds: 499_999))
    #expect(assembler.takeFinished().isEmpty)
    assembler.timePassed(at: MonotonicTime(microseconds: 500_000))
    #expect(assembler.takeFinished().count == 1)
  }
}

struct LiveFeedTests {
  private let recording = RecordingID("r")

  // P3: what waited when the right ended is not given out any more.
  @Test func nothingIsGivenOutAfterTheEnd() async throws {
    let feed = LiveFeed()
    #expect(feed.read(recording) == nil)
    feed.begin(recording)
    let reader = try #require(feed.read(recording))
    var pieces = reader.makeAsyncIterator()
    feed.offer(recording, [1])
    feed.offer(recording, [2])
    #expect(await pieces.next() == LivePiece.hole + [1])
    feed.end(recording)
    #expect(await pieces.next() == nil)
    #expect(feed.read(recording) == nil)
  }

  @Test func aReaderThatIsTooSlowIsToldOfTheHole() async throws {
    let feed = LiveFeed()
    feed.begin(recording)
    var pieces = try #require(feed.read(recording)).makeAsyncIterator()
    let first = UInt8(1)
    for _ in 0..<LiveFeed.maximumPieces { feed.offer(recording, [first]) }
    feed.offer(recording, [2])
    #expect(feed.droppedPieces == 1)
    for number in 0..<LiveFeed.maximumPieces {
      #expect(await pieces.next() == (number == 0 ? LivePiece.hole + [first] : [first]))
    }
    feed.offer(recording, [3])
    #expect(await pieces.next() == LivePiece.hole + [3])
  }
}
