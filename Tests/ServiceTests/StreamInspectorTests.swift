import Doctrine
import Footage
import Testing

@testable import Ingest
@testable import SRT

/// Transport packets of one PID with a payload; `counter` modulo 16.
private func packet(_ counter: Int, pid: Int = 0x100, clock_90k: UInt64? = nil, mayJump: Bool = false) -> [UInt8] {
  var bytes = [UInt8](repeating: 0xFF, count: 188)
  bytes[0] = 0x47
  bytes[1] = UInt8(pid >> 8)
  bytes[2] = UInt8(pid & 0xFF)
  bytes[3] = 0x10 | UInt8(counter & 0x0F)
  if let clock_90k {
    bytes[3] |= 0x20
    bytes[4] = 7
    bytes[5] = 0x10
    for index in 0..<4 { bytes[6 + index] = UInt8(truncatingIfNeeded: clock_90k >> UInt64(25 - 8 * index)) }
    bytes[10] = UInt8(clock_90k & 1) << 7
  } else if mayJump {
    bytes[3] |= 0x20
    bytes[4] = 1
    bytes[5] = 0x80
  }
  return bytes
}

struct StreamInspectorTests {
  private func inspect(
    _ inspector: inout StreamInspector, _ packets: [[UInt8]], at us: Int64 = 0, isInOrder: Bool = true
  ) {
    var content = ChunkContent(kind: .media, epoch: 1, firstArrival_us: 0, lastArrival_us: 0, plaintext: [])
    packets.flatMap { $0 }.withUnsafeBytes {
      inspector.inspect(
        $0, at: 0, arrival: UTCTime(microseconds: us), now: MonotonicTime(microseconds: us), isInOrder: isInOrder,
        into: &content)
    }
  }

  @Test func aJumpOfTheCounterIsWhatTheEncoderLeftOut() {
    var inspector = StreamInspector()
    inspect(&inspector, [packet(0), packet(1), packet(2), packet(2)], at: 1000)
    #expect(inspector.discontinuities == 0)
    inspect(&inspector, [packet(7)], at: 2000)
    inspect(&inspector, [packet(10)], at: 3000)
    #expect(inspector.discontinuities == 2)
    let early = inspector.takeOmission(at: UTCTime(microseconds: 4000))
    #expect(early == nil)
    let told = inspector.takeOmission(at: UTCTime(microseconds: 3000 + StreamInspector.quiet_us))
    #expect(told?.packets == 6 && told?.from.microseconds == 1000 && told?.to.microseconds == 3000)
    let again = inspector.takeOmission(at: UTCTime(microseconds: 99_000_000))
    #expect(again == nil)
  }

  @Test func whatTheNetworkLostIsNoWordOnTheEncoder() {
    var inspector = StreamInspector()
    inspect(&inspector, [packet(0)])
    inspector.holeCame()
    inspect(&inspector, [packet(9)])
    // Declared jumps, other PIDs, null packets, and what fills a hole later.
    inspect(
      &inspector, [packet(3, mayJump: true), packet(5, pid: 0x200), packet(1, pid: 0x1FFF), packet(7, pid: 0x1FFF)])
    inspect(&inspector, [packet(1)], isInOrder: false)
    #expect(inspector.discontinuities == 0)
  }

  @Test func rubbishIsCounted() {
    var inspector = StreamInspector()
    inspect(&inspector, [[1, 2, 3]])
    inspect(&inspector, [[UInt8](repeating: 0, count: 376)])
    #expect(inspector.foreign == 2)
  }
}

struct ProgramClockTests {
  private let frame_90k: Int64 = 3600

  @Test func lagIsWhatAnArrivalIsBehindTheBest() {
    var clock = ProgramClock()
    for frame in 0..<Int64(100) {
      clock.ticked(pid: 1, clock_90k: UInt64(frame * frame_90k), at: frame * 40_000 + (frame == 99 ? 700_000 : 0))
    }
    #expect(clock.restarts == 0)
    #expect(abs((clock.lag_us ?? 0) - 700_000) < 1500)
  }

  @Test func wrapsWithoutARestartAndCountsOne() {
    var clock = ProgramClock()
    let start = (Int64(1) << 33) - 10 * frame_90k
    for frame in 0..<Int64(50) {
      clock.ticked(pid: 1, clock_90k: UInt64(start + frame * frame_90k) & 0x1_FFFF_FFFF, at: frame * 40_000)
    }
    #expect(clock.restarts == 0 && (clock.lag_us ?? -1) < 1500)
    clock.ticked(pid: 1, clock_90k: 5, at: 50 * 40_000)
    #expect(clock.restarts == 1)
    // A jump ahead of what could have travelled is a restart as well; a stall of the link is none.
    clock.ticked(pid: 1, clock_90k: UInt64(3600 * 90), at: 51 * 40_000)
    #expect(clock.restarts == 2)
    clock.ticked(pid: 1, clock_90k: UInt64(3600 * 91), at: 200 * 40_000)
    #expect(clock.restarts == 2 && (clock.lag_us ?? 0) > 5_000_000)
  }

  // A camera whose clock runs 80 millionths fast, with up to 30 ms of jitter.
  @Test func driftIsFoundUnderJitter() throws {
    var clock = ProgramClock()
    var random = SplitMix(seed: 7)
    for frame in 0..<Int64(25 * 300) {
      let media_us = Double(frame) * 40_000 * (1 + 80e-6)
      clock.ticked(
        pid: 1, clock_90k: UInt64(media_us * 0.09), at: frame * 40_000 + Int64(random.next() % 30_000))
    }
    let drift = try #require(clock.drift_ppm)
    #expect(abs(drift - 80) < 10)
    #expect(clock.restarts == 0)
  }

  @Test func followsOneClockUntilItIsSilent() {
    var clock = ProgramClock()
    clock.ticked(pid: 1, clock_90k: 0, at: 0)
    clock.ticked(pid: 2, clock_90k: 8_000_000_000, at: 40_000)
    #expect(clock.restarts == 0)
    clock.ticked(pid: 2, clock_90k: 8_000_003_600, at: 6_000_000)
    #expect(clock.restarts == 0 && clock.lag_us == 0)
  }
}

struct BoundsTests {
  @Test func aBurstOfTheGraceIsBorneAndAFloodIsNot() {
    var bound = RateBound(maximum_kbps: 8000, at: MonotonicTime(microseconds: 0))
    // Ten seconds' worth at once, then what it may send.
    let atOnce = bound.took(9_900_000, at: MonotonicTime(microseconds: 1000))
    #expect(atOnce)
    var fine = true
    for second in Int64(1)...60 {
      fine = bound.took(1_000_000, at: MonotonicTime(microseconds: second * 1_000_000)) && fine
    }
    #expect(fine)
    var flood = true
    for tick in Int64(1)...200 {
      flood = bound.took(125_000, at: MonotonicTime(microseconds: 60_000_000 + tick * 5000)) && flood
    }
    #expect(!flood)
  }

  /// Looks four times a second until the watch says something, a hundred times at the most.
  private func looks(
    _ watch: inout StallWatch, isWaiting: Bool = true, isComplete: Bool = true, patience_us: Int64 = 0,
    received: (Int64) -> Int64, again: (Int64) -> Int64 = { _ in 0 }
  ) -> (count: Int64, cause: GapCause?) {
    for count in Int64(1)...100 {
      let cause = watch.looked(
        received: received(count), retransmitted: again(count), isWaiting: isWaiting, isComplete: isComplete,
        patience_us: patience_us, elapsed_us: 250_000)
      if let cause { return (count, cause) }
    }
    return (100, nil)
  }

  @Test func aFrozenConnectionIsToldFromALinkThatIsDown() {
    var frozen = StallWatch()
    let found = looks(&frozen, received: { 100 + $0 })
    #expect(found == (StallWatch.limit_us / 250_000, .notDeliverable))
    frozen.delivered()
    let again = frozen.looked(
      received: 999, retransmitted: 0, isWaiting: true, isComplete: true, patience_us: 0, elapsed_us: 250_000)
    #expect(again == nil)
    // Frozen, and its sender's window is full: nothing but signs of life. A silent link the transport ends sooner.
    var full = StallWatch()
    #expect(looks(&full, received: { min($0, 4) }) == (4 + StallWatch.quietLimit_us / 250_000, .notDeliverable))
    // A link that is too small: most of what comes was sent again.
    var storm = StallWatch()
    let stormed = looks(&storm, received: { $0 * 10 }, again: { $0 * 6 })
    #expect(stormed == (StallWatch.stormLimit_us / 250_000, .notDeliverable))
  }

  @Test func aConnectionThatIsAliveAndSilentIsOver() {
    // Nothing is known to be missing, and no encoder is silent for so long: all that was under way is lost.
    var lost = StallWatch()
    let inTime = StallWatch.silenceLimit_us / 250_000
    #expect(looks(&lost, isWaiting: false, received: { _ in 7 }) == (1 + inTime, .silent))
    // A packet in time, a long way, a camera that never spoke, one that gives up what is late.
    var resumed = StallWatch()
    #expect(looks(&resumed, isWaiting: false, received: { $0 < 39 ? 7 : 8 }) == (39 + inTime, .silent))
    var far = StallWatch()
    #expect(looks(&far, isWaiting: false, patience_us: 1_000_000, received: { _ in 7 }) == (5 + inTime, .silent))
    var unspoken = StallWatch()
    #expect(looks(&unspoken, isWaiting: false, received: { _ in 0 }) == (100, nil))
    var timely = StallWatch()
    #expect(looks(&timely, isWaiting: false, isComplete: false, received: { _ in 7 }) == (100, nil))
  }

  // INT-6: what came while the buffer was full found no room, and is missing since then.
  @Test func aSenderThatFoundNoRoomIsNotWaitedFor() {
    let (first, later) = (UTCTime(microseconds: 5), UTCTime(microseconds: 9))
    var full = StallWatch()
    full.wasFull(received: 9, at: first)
    full.wasFull(received: 11, at: later)
    full.delivered()
    // Two more found no room since it was looked at.
    let over = looks(&full, isWaiting: false, received: { _ in 13 })
    #expect(over == (1 + StallWatch.afterFullLimit_us / 250_000, .notDeliverable) && full.fullSince == first)
    var resumed = StallWatch()
    resumed.wasFull(received: 9, at: first)
    let silent = looks(&resumed, isWaiting: false, received: { _ in 12 })
    #expect(silent == (1 + StallWatch.silenceLimit_us / 250_000, .silent) && resumed.fullSince == nil)
    // A second time, hours later: only what came since then is missing.
    var again = StallWatch()
    again.wasFull(received: 9, at: first)
    again.wasFull(received: 5000, at: later)
    #expect(again.fullSince == later)
    again.came(received: 5002)
    #expect(again.fullSince == later)
    again.came(received: 5003)
    #expect(again.fullSince == nil)
  }

  @Test func aSenderThatGaveNothingUpIsNotMistakenForOneThatDid() {
    #expect(SRTListener.flightWindows_packets.upperBound < ShardCore.reach_packets)
    #expect(SRTListener.flightWindows_packets.contains(SRTListener.usualFlightWindow_packets))
  }

  @Test func aHoleIsWaitedForAsLongAsTheRelayMayBeSetTo() {
    #expect(Reorderer.holeLimit_us == Int64(ReceptionSettings.holeLimit_ms) * 1000)
  }

  // What the transport said last stands for a connection that is over.
  @Test func theLastReportOfALinkHasWhatTheTransportSaidLast() {
    let begin = UTCTime(microseconds: 0)
    var meter = LinkMeter(
      delivery: .complete, senderLatency_ms: 120, at: MonotonicTime(microseconds: 0), wall: begin)
    let intake = PacketIntake(reorderer: Reorderer(first: 0, begunAt: begin), assembler: ChunkAssembler(epoch: 1))
    func read(_ second: Int64) -> LinkHealth {
      meter.read(
        CameraID("C"), RecordingID("r"), intake, now: MonotonicTime(microseconds: second * 1_000_000),
        wall: begin.adding(seconds: second))
    }
    let blind = read(1)
    #expect(blind.packets == 0 && blind.roundTrip_ms == nil && blind.connections == 1)
    func looked(_ packets: Int64) {
      meter.looked(
        LinkStatistics(
          packetsReceived: packets, packetsLost: 4, packetsRetransmitted: 3, roundTrip_ms: 70, rate_mbps: 1,
          receiveBuffer_bytes: 0, receiveRoom_packets: 100))
    }
    looked(90)
    looked(100)
    meter.looked(nil)
    let last = read(2)
    #expect(last.packets == 100 && last.lost == 4 && last.retransmitted == 3 && last.roundTrip_ms == 70)
    let nothing = read(3)
    #expect(nothing.packets == 0 && nothing.lost == 0 && nothing.roundTrip_ms == 70)
  }

  @Test func camerasAreSpreadOverTheThreadsAndStayThere() {
    var counts = [Int](repeating: 0, count: 4)
    for number in 0..<2000 { counts[Shard.owner(of: CameraID("CAM-\(number)"), among: 4)] += 1 }
    #expect(counts.allSatisfy { (400...600).contains($0) })
    #expect(Shard.owner(of: CameraID("CAM-7"), among: 4) == Shard.owner(of: CameraID("CAM-7"), among: 4))
  }
}

/// Steele and others, "Fast splittable pseudorandom number generators": small, seeded.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

struct LivePieceTests {
  private func at(_ ms: Int64) -> MonotonicTime { MonotonicTime(microseconds: ms * 1000) }

  @Test func aPieceWaitsForTheEndOfAPictureAndNoLonger() {
    var piece = LivePiece()
    func append(_ ends: Bool, _ ms: Int64) {
      [UInt8](repeating: 1, count: 1316).withUnsafeBytes { piece.append($0, endsUnit: ends, at: at(ms)) }
    }
    append(false, 0)
    append(false, 5)
    let middle = piece.take(at: at(5))
    #expect(middle.isEmpty)
    append(true, 10)
    let whole = piece.take(at: at(10))
    #expect(whole.count == 3 * 1316)
    append(false, 15)
    let soon = piece.take(at: at(34))
    #expect(soon.isEmpty)
    let late = piece.take(at: at(35))
    #expect(late.count == 1316)
    for _ in 0..<50 { append(false, 40) }
    let large = piece.take(at: at(40))
    #expect(large.count == 50 * 1316)
  }

  @Test func theInspectorKnowsWhatMayEndAUnit() {
    var inspector = StreamInspector()
    var content = ChunkContent(kind: .media, epoch: 1, firstArrival_us: 0, lastArrival_us: 0, plaintext: [])
    func ends(_ bytes: [UInt8]) -> Bool {
      bytes.withUnsafeBytes {
        inspector.inspect(
          $0, at: 0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0), isInOrder: true,
          into: &content)
      }
      return inspector.lastEndsUnit
    }
    let plain = ends(packet(0) + packet(1))
    let stuffed = ends(packet(2) + packet(3, mayJump: true))
    var start = packet(4)
    start[1] |= 0x40
    let begins = ends(start)
    #expect(!plain && stuffed && begins)
  }
}
