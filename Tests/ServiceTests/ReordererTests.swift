import Doctrine
import Footage
import Testing

@testable import Ingest

struct ReordererTests {
  private func payload(_ number: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)]
  }

  /// Feeds packets in the given order and returns the chunks.
  private func run(_ order: [Int], start: UInt32, steps_us: Int64 = 1000) -> (chunks: [ChunkContent], missing: Int64) {
    var orderer = Reorderer(first: start, begunAt: UTCTime(microseconds: 0))
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

  // A register that is told of a gap which ends before it begins refuses it (INT-6).
  @Test func aGapBehindAPacketThatCameLateDoesNotEndBeforeItBegins() {
    var orderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0))
    var assembler = ChunkAssembler(epoch: 1)
    // Number 1 comes again after number 3, and 2 never.
    for (number, ms) in [(0, 1), (3, 30), (1, 400)] as [(Int, Int64)] {
      payload(number).withUnsafeBytes {
        orderer.arrived(
          sequence31: UInt32(number), bytes: $0, arrival: UTCTime(microseconds: ms * 1000),
          now: MonotonicTime(microseconds: ms * 1000), into: &assembler)
      }
    }
    orderer.timePassed(now: MonotonicTime(microseconds: 600_000), into: &assembler)
    let gaps = orderer.takeSettled(now: MonotonicTime(microseconds: 700_000), isOver: true)
    #expect(gaps.map(\.range.count) == [1])
    #expect(gaps.map(\.from.microseconds) == [30_000] && gaps.map(\.to.microseconds) == [30_000])
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

  // What was lost before anything came is a gap like any other, since the connection began.
  @Test func whatIsMissingAtTheStartIsAGap() {
    var reorderer = Reorderer(first: 0x7FFF_FFFE, begunAt: UTCTime(microseconds: 7))
    var assembler = ChunkAssembler(epoch: 1)
    for number in UInt32(3)..<6 {
      payload(Int(number)).withUnsafeBytes {
        reorderer.arrived(
          sequence31: (0x7FFF_FFFE &+ number) & 0x7FFF_FFFF, bytes: $0, arrival: UTCTime(microseconds: 9),
          now: MonotonicTime(microseconds: 9), into: &assembler)
      }
    }
    reorderer.finish(now: MonotonicTime(microseconds: 20), into: &assembler)
    let gaps = reorderer.takeSettled(now: MonotonicTime(microseconds: 20), isOver: true)
    #expect(gaps.map(\.range.count) == [3] && reorderer.missing == 3)
    #expect(reorderer.reachBehindHole == 6)
    #expect(gaps.first?.from == UTCTime(microseconds: 7) && gaps.first?.to == UTCTime(microseconds: 9))
  }

  // Several holes do not add up: each held packet waits half a second since it came, not more.
  @Test func manyHolesHoldNothingBackLonger() {
    var orderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0))
    var assembler = ChunkAssembler(epoch: 1)
    for number in stride(from: 0, to: 100, by: 2) {
      payload(number).withUnsafeBytes {
        orderer.arrived(
          sequence31: UInt32(number), bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0),
          into: &assembler)
      }
    }
    let now = MonotonicTime(microseconds: Reorderer.holeLimit_us)
    orderer.timePassed(now: now, into: &assembler)
    // And what was held is sealed at once: it is as old as a chunk may be.
    assembler.timePassed(at: now)
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

  /// Feeds packets with their times; returns what the relay was given and what the chunks say.
  private func relayed(
    _ arrivals: [(number: Int, at_ms: Int64)], budget_ms: Int64
  ) -> (relay: [UInt8], skips: Int64, chunks: [ChunkContent]) {
    var reorderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0), relayBudget_us: budget_ms * 1000)
    var assembler = ChunkAssembler(epoch: 1)
    assembler.tapsLive = true
    var relay: [UInt8] = []
    for (number, at_ms) in arrivals {
      let now = MonotonicTime(microseconds: at_ms * 1000)
      payload(number).withUnsafeBytes {
        reorderer.arrived(
          sequence31: UInt32(number), bytes: $0, arrival: UTCTime(microseconds: at_ms * 1000), now: now,
          into: &assembler)
      }
      reorderer.timePassed(now: now, into: &assembler)
      relay += assembler.takeLive(at: now)
    }
    reorderer.finish(now: MonotonicTime(microseconds: 9_000_000), into: &assembler)
    assembler.close()
    return (relay, reorderer.relaySkips, assembler.takeFinished())
  }

  // Packet 3 comes 450 ms late: the recorder has waited for it, the relay has not.
  @Test func theRelayGoesOnAfterItsBudgetWhileTheRecorderWaits() {
    var arrivals: [(number: Int, at_ms: Int64)] = [(0, 0), (1, 5), (2, 10)]
    for number in 4..<100 { arrivals.append((number, Int64(number) * 5)) }
    arrivals.append((3, 465))
    arrivals.sort { $0.at_ms < $1.at_ms }
    for number in 100..<120 { arrivals.append((number, Int64(number) * 5)) }
    let (relay, skips, chunks) = relayed(arrivals, budget_ms: 200)
    #expect(skips == 1)
    #expect(
      relay == LivePiece.hole + (0..<3).flatMap(payload) + LivePiece.hole + (4..<120).flatMap(payload))
    #expect(chunks.allSatisfy { $0.kind == .media })
    #expect(exported(chunks) == (0..<120).flatMap(payload))
    // With a budget as long as the recorder's patience both wait.
    let patient = relayed(arrivals, budget_ms: 500)
    #expect(patient.skips == 0 && patient.relay == LivePiece.hole + (0..<120).flatMap(payload))
  }

  @Test func whatNeverComesBecomesAGapOnceWithItsTimes() {
    var reorderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0))
    var assembler = ChunkAssembler(epoch: 1)
    func arrive(_ number: UInt32, _ ms: Int64) {
      let now = MonotonicTime(microseconds: ms * 1000)
      payload(Int(number)).withUnsafeBytes {
        reorderer.arrived(
          sequence31: number, bytes: $0, arrival: UTCTime(microseconds: ms * 1000), now: now, into: &assembler)
      }
      reorderer.timePassed(now: now, into: &assembler)
    }
    func settled(_ ms: Int64) -> [Reorderer.Hole] {
      reorderer.takeSettled(now: MonotonicTime(microseconds: ms * 1000))
    }
    arrive(0, 0)
    arrive(3, 20)
    arrive(4, 600)
    let early = settled(700)
    #expect(early.isEmpty)
    let holes = settled(600 + Reorderer.settled_us / 1000)
    #expect(holes.map(\.range.count) == [2])
    #expect(holes.first?.from.microseconds == 0 && holes.first?.to.microseconds == 20_000)
    let again = settled(60_000)
    #expect(again.isEmpty && reorderer.missing == 2 && reorderer.gone == 2)
    // It comes all the same: kept, and no longer missing.
    arrive(1, 61_000)
    #expect(reorderer.missing == 1)
    assembler.close()
    let chunks = assembler.takeFinished()
    #expect(chunks.contains { $0.kind == .fill && $0.plaintext == payload(1) })
  }

  @Test func memoryIsBoundedAndNothingIsDroppedForIt() {
    var reorderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0))
    var assembler = ChunkAssembler(epoch: 1)
    let big = [UInt8](repeating: 1, count: 1456)
    let now = MonotonicTime(microseconds: 0)
    let count: UInt64 = 20_000
    func arrive(_ number: UInt64) {
      big.withUnsafeBytes {
        reorderer.arrived(
          sequence31: UInt32(number), bytes: $0, arrival: UTCTime(microseconds: 0), now: now, into: &assembler)
      }
    }
    // Every other packet, all at one instant, then the rest of those that the holes are remembered of.
    for number in stride(from: 0, to: count, by: 2) { arrive(number) }
    arrive(count - 3)
    reorderer.finish(now: now, into: &assembler)
    assembler.close()
    let kept = assembler.takeFinished().reduce(0) { $0 + Int($1.packetCount) }
    #expect(kept == Int(count) / 2 + 1)
    #expect(reorderer.reachBehindHole == Int(count) - 2)
    // However many holes there are: each is counted.
    #expect(reorderer.missing == Int64(count) / 2 - 2)
  }

  // A sender that keeps to no window: what is let go for room may reach past the packet that came.
  @Test func aPacketThatComesWhereThereIsNoRoomLeftIsLate() {
    var reorderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0))
    var assembler = ChunkAssembler(epoch: 1)
    let big = [UInt8](repeating: 1, count: 1456)
    let count = UInt32(Reorderer.maximumHeld_bytes / 1456 + 4)
    func arrive(_ number: UInt32) {
      big.withUnsafeBytes {
        reorderer.arrived(
          sequence31: number, bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0),
          into: &assembler)
      }
    }
    // 1 is missing, what is behind 2 fills the room, then 2 comes.
    for number in [0] + Array(3..<(count - 1)) { arrive(number) }
    arrive(2)
    reorderer.finish(now: MonotonicTime(microseconds: 0), into: &assembler)
    assembler.close()
    let kept = assembler.takeFinished().reduce(0) { $0 + Int($1.packetCount) }
    #expect(kept == Int(count) - 2 && reorderer.missing == 1)
  }

  // The relay is told of a hole by a mark of its own: sixteen packets of a stream missing leave no trace in its counters.
  @Test func theRelayIsToldWhereItWentOnWithoutSomething() {
    var reorderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0), relayBudget_us: 400_000)
    var assembler = ChunkAssembler(epoch: 1)
    assembler.tapsLive = true
    var live: [[UInt8]] = []
    for number in [0, 1, 3, 4] {
      payload(number).withUnsafeBytes {
        reorderer.arrived(
          sequence31: UInt32(number), bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0),
          into: &assembler)
      }
    }
    for at in [Int64(20_000), 399_999, 400_000] {
      reorderer.timePassed(now: MonotonicTime(microseconds: at), into: &assembler)
      live.append(assembler.takeLive(at: MonotonicTime(microseconds: at)))
    }
    // One at the start of what is tapped, one where a packet is missing.
    #expect(live == [LivePiece.hole + payload(0) + payload(1), [], LivePiece.hole + payload(3) + payload(4)])
    #expect(reorderer.relaySkips == 1)
  }

  @Test func whatTheTransportGaveUpIsAGapAtOnce() {
    var reorderer = Reorderer(first: 0, begunAt: UTCTime(microseconds: 0), holeLimit_us: 0)
    var assembler = ChunkAssembler(epoch: 1)
    for number in [UInt32(0), 1, 5, 6] {
      payload(Int(number)).withUnsafeBytes {
        reorderer.arrived(
          sequence31: number, bytes: $0, arrival: UTCTime(microseconds: Int64(number)),
          now: MonotonicTime(microseconds: Int64(number)), into: &assembler)
      }
    }
    #expect(!reorderer.isWaiting)
    let holes = reorderer.takeSettled(now: MonotonicTime(microseconds: 7))
    #expect(holes.map(\.range.count) == [3])
  }
}
