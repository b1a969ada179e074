import Doctrine
import TestSupport
import Testing

@testable import Ingest
@testable import SRT
@testable import Seams

/// Who is let through to the key exchange, and what becomes of the others.
struct AdmissionTableTests {
  private static let second_us: Int64 = 1_000_000

  /// A table with a clock of its own, and callers from where the test wants.
  private final class Line {
    let table: AdmissionTable
    let clock = SettableClock(100_000_000)
    private var sockets: Int32 = 0
    /// What the last answer said of the delivery: its window stands in the handshake before anything is proven.
    private(set) var delivery: TransportDelivery?

    init(_ cameras: [String]) {
      let clock = self.clock
      table = AdmissionTable(
        clocks: IngestClocks(
          wall: { UTCTime(microseconds: clock.now) }, monotonic: { MonotonicTime(microseconds: clock.now) }))
      for camera in cameras { table.set(admission(camera)) }
    }

    /// The passphrase that a call is answered with; nil where it is refused before the exchange.
    func call(_ streamID: String, from host: String = "127.0.0.1", proves: Bool = false) throws -> String? {
      sockets += 1
      let request = AdmissionRequest(socket: sockets, peer: try PeerAddress.of(host), streamID: streamID)
      guard case .exchangeKeys(let passphrase, let delivery) = table.decide(request) else { return nil }
      self.delivery = delivery
      if proves { #expect(table.takeProven(sockets) != nil) }
      return passphrase
    }

    func passes(_ camera: String, from host: String = "127.0.0.1", proves: Bool = false) throws -> Bool {
      try call("#!::u=\(camera)", from: host, proves: proves) == AdmissionTableTests.own
    }
  }

  private static let own = "the camera's own"

  private static func admission(_ camera: String, _ grants: [IncidentGrant] = []) -> CameraAdmission {
    CameraAdmission(
      camera: CameraID(camera), service: ServiceID("s"), passphrase: own, enabled: true, issuedTo: nil, regime: "sp",
      regimeVersion: 1, grants: grants)
  }

  @Test func aKnownCameraMustProveItsOwnPassphraseAndAnUnknownOneCannot() throws {
    let line = Line(["C"])
    #expect(try line.call("#!::u=C") == Self.own)
    let known = line.delivery
    let decoys = try [line.call("#!::u=X"), line.call("nonsense")]
    #expect(known != nil && line.delivery == known)
    #expect(decoys.allSatisfy { $0 != nil && $0 != Self.own } && decoys[0] != decoys[1])
    let refusals = line.table.takeRefusals()
    #expect(Set(refusals.map(\.code)) == ["unknown-camera", "stream-id"])
    line.clock.add(AdmissionTable.proof_s * Self.second_us + 1)
    #expect(line.table.takeRefusals().map(\.code) == ["wrong-passphrase"])
  }

  // Its own address, its own name, and somebody who calls by it: behind one gateway both are everybody's.
  @Test(arguments: [2, 64, 95])
  func aCameraIsLetInBesideSomebodyWhoCallsByItsName(_ callsPerSecond: Int64) throws {
    let line = Line(["C"])
    #expect(try line.passes("C", proves: true))
    var random = SplitMix(seed: 7)
    for second in 0..<60 {
      let camera = Int64.random(in: 0..<callsPerSecond, using: &random)
      for number in 0..<callsPerSecond {
        line.clock.add(Self.second_us / callsPerSecond)
        _ = try line.call("#!::u=C")
        if number == camera { #expect(try line.passes("C", proves: true), "second \(second)") }
      }
    }
  }

  // Ten times what a name may have: the camera has its chance at each call, and others of its network have nothing of it.
  @Test func aStormUnderOneNameDelaysThatCameraAndNobodyElse() throws {
    let line = Line(["C", "D"])
    #expect(try line.passes("D", proves: true))
    var random = SplitMix(seed: 8)
    var cameraPassed = 0
    for second in 0..<60 {
      let (camera, other) = (Int.random(in: 0..<1000, using: &random), Int.random(in: 0..<1000, using: &random))
      for number in 0..<1000 {
        // No call comes with the regularity of a clock.
        line.clock.add(Int64.random(in: 0..<2000, using: &random))
        if number == camera, try line.passes("C", proves: true) { cameraPassed += 1 }
        if number == other { #expect(try line.passes("D", proves: true), "second \(second)") }
        _ = try line.call("#!::u=C")
      }
    }
    #expect(cameraPassed > 1, "one call in ten is let through")
  }

  // Names that nobody bears, from the address that a fleet shares: below the network's bound nobody is kept out, be it a
  // camera that was never seen there.
  @Test func aStormOfStrangeNamesLeavesRoomForCameras() throws {
    let line = Line(["C", "D"])
    #expect(try line.passes("C", proves: true))
    for second in 0..<30 {
      for number in 0..<180 {
        line.clock.add(Self.second_us / 180)
        _ = try line.call("#!::u=X\(second)-\(number)")
      }
      #expect(try line.passes("C", proves: true) && line.passes("D"), "second \(second)")
    }
  }

  // Before the proof what a caller is answered says nothing of the name, within a bound and beyond it.
  @Test func nobodyCanTellFromARefusalWhoIsOnDuty() throws {
    let names = (0..<40).map { "CAM-\($0)" }
    let (all, one) = (Line(names), Line(["ANOTHER"]))
    for name in names { #expect(try all.passes(name, proves: true)) }
    #expect(try one.passes("ANOTHER", proves: true))
    var random = SplitMix(seed: 9)
    for line in [all, one] { line.clock.add(60 * Self.second_us) }
    var refused = 0
    for number in 0..<20_000 {
      let step = Int64.random(in: 0..<2000, using: &random)
      for line in [all, one] { line.clock.add(step) }
      // One name far more often than the others, so that its own bound is reached too.
      let name = Bool.random(using: &random) ? names[0] : names.randomElement(using: &random) ?? names[1]
      let (known, unknown) = (try all.call("#!::u=\(name)"), try one.call("#!::u=\(name)"))
      #expect((known == nil) == (unknown == nil), "call \(number) by \(name)")
      if known == nil { refused += 1 }
    }
    #expect(refused > 1000)
  }

  // From any number of other networks: where the fleet is, nothing of it is felt.
  @Test func aStormFromElsewhereTakesNothingFromWhereTheFleetIs() throws {
    let line = Line(["C", "D"])
    #expect(try line.passes("C", from: "10.0.0.1", proves: true))
    var exchanges = 0
    for number in 0..<20_000 {
      line.clock.add(500)
      if try line.call("#!::u=X\(number)", from: "10.1.\(number / 250 % 250).\(number % 250 + 1)") != nil {
        exchanges += 1
      }
      if number % 500 == 0 { #expect(try line.passes("C", from: "10.0.0.1") && line.passes("D", from: "10.0.0.1")) }
    }
    #expect(exchanges <= 10 * Int(CallGate.strangers.perSecond) + Int(CallGate.strangers.atOnce))
  }

  @Test func exchangesAreBoundedFromANetworkAndInAll() throws {
    let line = Line([])
    func exchanges(_ host: (Int) -> String) throws -> Int {
      try (0..<2000).filter { try line.call("#!::u=Y\($0)", from: host($0)) != nil }.count
    }
    #expect(try exchanges { _ in "10.0.0.1" } == Int(CallGate.strangeNetwork.atOnce))
    #expect(
      try exchanges { "10.0.\($0 / 200).\($0 % 200 + 1)" }
        == Int(CallGate.strangers.atOnce - CallGate.strangeNetwork.atOnce))
  }

  // After a restart of the server: two thousand at once, through one gateway that nobody was seen behind yet.
  @Test func aFleetThatComesBackAtOnceIsLetIn() throws {
    let names = (0..<2000).map { "CAM-\($0)" }
    let line = Line(names)
    for name in names { #expect(try line.passes(name, proves: true)) }
  }

  @Test func grantsAreUsedOnceAndRememberedAsLongAsTheyAreNamed() throws {
    func grant(_ name: String) -> IncidentGrant {
      IncidentGrant(incident: IncidentID(name), recording: RecordingID(name), parts: [])
    }
    let line = Line([])
    let camera = CameraID("C")
    line.table.markUsed([IncidentID("old")])
    for round in 0..<100 {
      line.table.set(Self.admission("C", [grant("old"), grant("\(round)"), grant("\(round + 1)")]))
      #expect(line.table.takeGrant(of: camera)?.incident == IncidentID(round == 0 ? "0" : "\(round + 1)"))
      // Told again before the keeper knows.
      line.table.set(Self.admission("C", [grant("old"), grant("\(round)"), grant("\(round + 1)")]))
      if round == 0 { #expect(line.table.takeGrant(of: camera)?.incident == IncidentID("1")) }
      #expect(line.table.takeGrant(of: camera) == nil)
      #expect(line.table.usedGrants <= 2)
    }
    line.table.set(Self.admission("C", [grant("old")]))
    #expect(line.table.usedGrants == 0 && line.table.takeGrant(of: camera) == nil)
  }
}

struct RefusalLedgerTests {
  private static func refusal(
    _ code: String, camera: String? = nil, proven: Bool = false, at: Int64 = 0
  ) -> RefusalEntry {
    RefusalEntry(
      at: UTCTime(microseconds: at), camera: camera, service: nil, peer: "p", code: code, sentence: "s", proven: proven)
  }

  private static func time(_ seconds: Int64) -> MonotonicTime {
    MonotonicTime(microseconds: 0).adding(seconds: seconds)
  }

  @Test func theFirstIsToldAtOnceAndTheRestOfItsMinuteAsOne() {
    var ledger = RefusalLedger()
    for number in 0..<50 {
      ledger.note(Self.refusal("wrong-passphrase", camera: "C", at: Int64(number)), network: "n", at: Self.time(0))
      if number == 0 {
        let told = ledger.takeDue(at: Self.time(0), limit: 9)
        #expect(told.map(\.count) == [1] && told[0].camera == "C")
      }
    }
    #expect(ledger.takeDue(at: Self.time(59), limit: 9).isEmpty)
    let told = ledger.takeDue(at: Self.time(60), limit: 9)
    #expect(told.map(\.count) == [49] && told[0].at == UTCTime(microseconds: 49))
    #expect(ledger.takeDue(at: Self.time(120), limit: 9).isEmpty)
    // A new one after a quiet minute is told at once again.
    ledger.note(Self.refusal("wrong-passphrase", camera: "C"), network: "n", at: Self.time(121))
    #expect(ledger.takeDue(at: Self.time(121), limit: 9).map(\.count) == [1])
  }

  // An hour of storms, taken as they come: so many lines a minute, and every call in one of them.
  @Test func aStormIsAFewLinesAMinute() {
    var ledger = RefusalLedger()
    var told: [RefusalEntry] = []
    var calls: Int64 = 0
    for second in Int64(0)..<3600 {
      for number in 0..<20 {
        calls += 3
        ledger.note(
          Self.refusal("unknown-camera"), network: "n\((Int(second) * 20 + number) % 5000)", at: Self.time(second))
        ledger.note(Self.refusal("stream-id"), network: "n", at: Self.time(second))
        ledger.note(
          Self.refusal("wrong-passphrase", camera: "C\(number * 100 + Int(second) % 100)"), network: "n",
          at: Self.time(second))
      }
      told += ledger.takeDue(at: Self.time(second), limit: 64)
    }
    #expect(told.filter { $0.code == "stream-id" }.count <= 61)
    let perMinute = RefusalLedger.maximumStrangers + RefusalLedger.maximumKinds + 3
    #expect(told.count <= 62 * perMinute)
    told += ledger.takeDue(at: Self.time(4000), limit: .max)
    #expect(told.reduce(0) { $0 + $1.count } == calls)
  }

  // A storm does not hide a camera that proved itself: the journal names it.
  @Test func aProvenCameraHasItsLineInAnyStorm() {
    var ledger = RefusalLedger()
    for number in 0..<10_000 {
      ledger.note(Self.refusal("wrong-passphrase", camera: "C\(number)"), network: "n", at: Self.time(0))
      ledger.note(Self.refusal("unknown-camera"), network: "n\(number)", at: Self.time(0))
    }
    ledger.note(Self.refusal("two-devices", camera: "C9999", proven: true), network: "", at: Self.time(0))
    // Nobody takes them: the ledger is no larger for that.
    let told = ledger.takeDue(at: Self.time(3600), limit: .max)
    #expect(told.contains { $0.code == "two-devices" && $0.camera == "C9999" && $0.proven })
    #expect(told.count == RefusalLedger.maximumStrangers + RefusalLedger.maximumKinds + 3)
    #expect(told.reduce(0) { $0 + $1.count } == 20_001)
  }
}

struct TimedMapTests {
  private func at(_ microseconds: Int64) -> MonotonicTime { MonotonicTime(microseconds: microseconds) }

  @Test func aValueCountsForItsTimeAndIsTakenOnce() {
    var map = TimedMap<String, Int>(lifetime_s: 1, capacity: 10)
    map.set(1, for: "a", at: at(0))
    map.set(2, for: "b", at: at(500_000))
    map.change("a") { $0 = 7 }
    #expect(map.value(of: "a", at: at(1_000_000)) == 7 && map.value(of: "a", at: at(1_000_001)) == nil)
    // Set again: its time begins anew.
    map.set(3, for: "a", at: at(600_000))
    #expect(map.takeExpired(at: at(1_500_000)) == nil)
    #expect(map.takeExpired(at: at(1_500_001))?.value == 2)
    #expect(map.remove("a") == 3 && map.remove("a") == nil && map.takeExpired(at: at(9_000_000)) == nil)
  }

  // Against a list that is looked through each time.
  @Test func theOldestIsForgottenWhereThereAreTooMany() {
    var random = SplitMix(seed: 3)
    var map = TimedMap<Int, Int>(lifetime_s: 1, capacity: 8)
    var model: [(key: Int, value: Int, since: Int64)] = []
    for step in Int64(0)..<5000 {
      let key = Int.random(in: 0..<20, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        #expect(map.remove(key) == model.first { $0.key == key }?.value)
        model.removeAll { $0.key == key }
      default:
        map.set(Int(step), for: key, at: at(step))
        model.removeAll { $0.key == key }
        model.append((key, Int(step), step))
        if model.count > 8 { model.removeFirst() }
      }
      #expect(map.count == model.count)
      for key in 0..<20 { #expect(map.value(of: key, at: at(step)) == model.first { $0.key == key }?.value) }
    }
  }
}

struct EventSpoolTests {
  private static let opened = IngestEvent.incidentOpened(
    IncidentEntry(
      id: IncidentID("i"), recording: RecordingID("r"), service: ServiceID("s"), camera: CameraID("C"),
      agent: AgentID("a"), reference: nil, activation: nil, openedAt: UTCTime(microseconds: 0)), threat: nil, peer: "p")

  // A long absence of the keeper: what fills up first takes no room from what the law asks for.
  @Test func whatIsDroppedTakesNoOthersRoom() {
    let spool = EventSpool()
    let index = EventSpool.Rank.index.capacity
    let stream = EventSpool.Rank.stream.capacity
    for _ in 0..<(index + 10) { spool.append(.linkHealth([])) }
    for _ in 0..<(stream + 20) {
      spool.append(.streamLeft(IncidentID("i"), RecordingID("r"), epoch: 1, at: UTCTime(microseconds: 0)))
    }
    spool.append(Self.opened)
    // While the database is away the keeper journals them as they come.
    spool.append(.chainHeads([]))
    #expect(spool.figures.waiting == index + stream + 2)
    #expect(spool.dropped(.index) == 10 && spool.dropped(.stream) == 20 && spool.dropped(.incident) == 0)
    // Numbers have no hole, and what was acknowledged makes room.
    let last = spool.head(2, after: UInt64(index + stream))
    #expect(last.map(\.number) == [1, 2].map { UInt64(index + stream + $0) })
    #expect(last.map(\.event) == [Self.opened, .chainHeads([])])
    spool.acknowledge(upTo: 5)
    for _ in 0..<6 { spool.append(.linkHealth([])) }
    #expect(spool.dropped(.index) == 11 && spool.head(1).first?.number == 6)
  }
}

extension PeerAddress {
  static func of(_ host: String) throws -> PeerAddress {
    try withSocketAddress(host: host, port: 1, passive: false) { (address, _) throws(SRTError) in
      PeerAddress(address)
    }
  }
}
