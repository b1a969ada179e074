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
    if case .exchangeKeys(let passphrase) = answer { passphrase } else { nil }
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

struct PacketOrderTests {
  private func payload(_ number: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)]
  }

  /// Feeds packets in the given order and returns the chunks.
  private func run(_ order: [Int], start: UInt32, steps_us: Int64 = 1000) -> (chunks: [ChunkContent], missing: Int) {
    var orderer = PacketOrderer()
    var assembler = ChunkAssembler(epoch: 1)
    var now: Int64 = 0
    for number in order {
      now += steps_us
      payload(number).withUnsafeBytes {
        orderer.arrived(
          sequence31: (start &+ UInt32(number)) & 0x7FFF_FFFF, bytes: $0, arrival: UTCTime(microseconds: now),
          now: MonotonicTime(microseconds: now), into: &assembler)
      }
      orderer.timePassed(now: MonotonicTime(microseconds: now), into: &assembler)
    }
    orderer.finish(now: MonotonicTime(microseconds: now), into: &assembler)
    assembler.close()
    return (assembler.takeFinished(), orderer.missing)
  }

  /// What an export makes of the chunks: by (epoch, first sequence).
  private func exported(_ chunks: [ChunkContent]) -> [UInt8] {
    chunks.sorted { $0.firstSequence < $1.firstSequence }.flatMap(\.plaintext)
  }

  @Test(arguments: [UInt32(0), 5, 0x7FFF_FFF0])
  func anyShuffleWithinTheWindowIsPutRight(_ start: UInt32) {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<50 {
      var order = Array(1..<200)
      for index in stride(from: 0, to: 190, by: 8) { order[index..<(index + 8)].shuffle(using: &random) }
      let (chunks, missing) = run([0] + order, start: start)
      #expect(missing == 0)
      #expect(exported(chunks) == (0..<200).flatMap(payload))
      #expect(chunks.allSatisfy { $0.kind == .media })
    }
  }

  @Test func whatComesAfterTheHoleWasGivenUpGoesToAFillChunk() {
    // Packet 5 comes a second late.
    let order = Array(0..<5) + Array(6..<700) + [5] + Array(700..<710)
    let (chunks, missing) = run(order, start: 9)
    #expect(missing == 0)
    #expect(chunks.filter { $0.kind == .fill }.count == 1)
    #expect(exported(chunks) == (0..<710).flatMap(payload))
    // No chunk spans the hole.
    #expect(chunks.allSatisfy { Int($0.packetCount) * 2 == $0.plaintext.count })
  }

  @Test func whatNeverComesIsCounted() {
    let (chunks, missing) = run(Array(0..<50) + Array(53..<80), start: 1)
    #expect(missing == 3)
    #expect(exported(chunks) == (Array(0..<50) + Array(53..<80)).flatMap(payload))
  }

  @Test func whatWasSentBeforeTheFirstArrivalIsKept() {
    let (chunks, missing) = run([3, 0, 1, 2, 4, 5], start: 0x7FFF_FFFE)
    #expect(exported(chunks) == (0..<6).flatMap(payload) && missing == 0)
  }

  // Several holes do not add up: each held packet waits half a second since it came, not more.
  @Test func manyHolesHoldNothingBackLonger() {
    var orderer = PacketOrderer()
    var assembler = ChunkAssembler(epoch: 1)
    for number in stride(from: 0, to: 100, by: 2) {
      payload(number).withUnsafeBytes {
        orderer.arrived(
          sequence31: UInt32(number), bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0),
          into: &assembler)
      }
    }
    orderer.timePassed(now: MonotonicTime(microseconds: PacketOrderer.holeLimit_us), into: &assembler)
    assembler.close()
    #expect(assembler.takeFinished().count == 50)
  }

  @Test func aBurstOfLatePacketsStaysWithinAChunk() {
    var assembler = ChunkAssembler(epoch: 1)
    let big = [UInt8](repeating: 0, count: 1400)
    for number in 0..<UInt64(2000) {
      big.withUnsafeBytes {
        assembler.appendLate(
          sequence: number, bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0))
      }
    }
    assembler.close()
    #expect(assembler.takeFinished().allSatisfy { $0.plaintext.count <= ChunkAssembler.maximumSize_bytes })
  }

  @Test func aRepeatedPacketIsKeptOnce() {
    let (chunks, _) = run([0, 1, 1, 2, 0, 3], start: 7)
    #expect(exported(chunks) == (0..<4).flatMap(payload))
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
    packet.withUnsafeBytes { assembler.append(sequence: 1, bytes: $0, arrival: at, now: now) }
    Array("not a transport stream".utf8).withUnsafeBytes {
      assembler.append(sequence: 2, bytes: $0, arrival: at, now: now)
    }
    assembler.close()
    let chunks = assembler.takeFinished()
    #expect(chunks.count == 1 && chunks[0].marks == [0] && chunks[0].firstClock == 4)
    #expect(assembler.damage == 1)
    #expect(chunks[0].plaintext.count == 188 + 22)
  }

  @Test func endsAChunkByAgeAndBySize() {
    var assembler = ChunkAssembler(epoch: 1)
    let big = [UInt8](repeating: 0, count: 1400)
    for number in 0..<UInt64(1600) {
      big.withUnsafeBytes {
        assembler.append(
          sequence: number, bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0))
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
