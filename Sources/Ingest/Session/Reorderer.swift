import Doctrine

/// Puts packets back into the order in which the camera sent them, by their sequence numbers, for two readers with two
/// patiences: the recorder waits for what may yet come, the relay goes on after its budget.
///
/// Pure. A packet that is the next one goes straight through without being copied; what is ahead of a hole is held, until
/// the hole is filled or is older than its limit: then what is there goes on, and what comes later goes to a fill chunk.
/// What has not come after ``settled_us``, or by the end, never comes: a gap, told once by ``takeSettled()``.
///
/// Bounded: past ``maximumHeld_bytes`` or ``maximumHeld`` packets the oldest hole is given up at once, as if its time were
/// over. Nothing is dropped for it; what comes later than that fills the hole as ever. Past ``maximumHoles`` the oldest hole is
/// forgotten: it is told as a gap, and what comes for it later is taken for a repetition.
struct Reorderer: Sendable {
  /// A hole older than this no longer holds back what is behind it.
  static let holeLimit_us: Int64 = 500_000
  /// More than the transport has places for: a sender whose packets are small comes to this before the bytes.
  static let maximumHeld = 8192
  /// Half a second of 32 Mbit/s: more than a camera may send.
  static let maximumHeld_bytes = 2 << 20
  /// Holes remembered for packets that come late; the oldest are given up first.
  static let maximumHoles = 1024
  private static let keptSlots = 256
  /// A retransmission that has not come by then will not come.
  static let settled_us: Int64 = 10_000_000

  /// A range of packets that was given up.
  struct Hole: Equatable, Sendable {
    var range: Range<UInt64>
    /// Arrival of the last packet before it and of the first behind it; of that one alone, where the one before it came later.
    var from: UTCTime
    var to: UTCTime
    var givenUp: MonotonicTime
    var isTold = false
  }

  private struct Held: Sendable {
    var bytes: [UInt8]
    var arrival: UTCTime
    var since: MonotonicTime
  }

  private let holeLimit_us: Int64
  private let relayBudget_us: Int64
  /// The next packet for the recorder, and for the relay: never behind the recorder's.
  private var next: UInt64
  private var relayNext: UInt64
  /// Packets ahead of `next`, each in the slot of its number modulo the count, which is a power of two.
  private var slots: [Held?] = []
  private var heldCount = 0
  private var held_bytes = 0
  private var lastArrival: UTCTime
  private var holes: [Hole] = []
  /// Holes that are no longer remembered and not told yet.
  private var forgotten: [Hole] = []
  private var oldestForgotten: UInt64?
  /// Packets that came twice, or later than anything is remembered of their place.
  private(set) var duplicates: Int64 = 0
  /// Packets that were given up and have not come since.
  private(set) var missing: Int64 = 0
  /// Packets that were told as gaps: they never came, as far as anybody waits for them.
  private(set) var gone: Int64 = 0
  /// Times that the relay went on without what was missing.
  private(set) var relaySkips: Int64 = 0

  /// - Parameters:
  ///   - first: the number of the connection's first packet, as the handshake agreed on it.
  ///   - begunAt: what is missing before anything came is missing since then.
  ///   - holeLimit_us: 0 where the transport itself has given up what it does not hand over in order.
  ///   - relayBudget_us: how long the relay waits for a missing packet; the recorder's limit is its own too.
  init(
    first: UInt32, begunAt: UTCTime, holeLimit_us: Int64 = Reorderer.holeLimit_us,
    relayBudget_us: Int64 = Reorderer.holeLimit_us
  ) {
    // Numbers start far from zero, so that whatever comes has a positive place.
    next = (1 << 31) + UInt64(first & 0x7FFF_FFFF)
    relayNext = next
    lastArrival = begunAt
    self.holeLimit_us = holeLimit_us
    self.relayBudget_us = min(relayBudget_us, holeLimit_us)
  }

  /// Packets since the oldest one that has not come, that one included; 0 where none is missing.
  var reachBehindHole: Int {
    guard let oldest = holes.lazy.map(\.range.lowerBound).min() ?? oldestForgotten else { return 0 }
    return Int(clamping: next - min(oldest, oldestForgotten ?? oldest))
  }

  /// Whether packets are held behind a hole.
  var isWaiting: Bool { heldCount > 0 }

  mutating func arrived(
    sequence31: UInt32, bytes: UnsafeRawBufferPointer, arrival: UTCTime, now: MonotonicTime,
    into assembler: inout ChunkAssembler
  ) {
    let sequence = Self.unroll(sequence31, near: next)
    if sequence == next {
      deliver(sequence, bytes, arrival, now, into: &assembler)
      if heldCount > 0 { releaseHeld(now: now, into: &assembler) }
    } else if sequence > next {
      hold(sequence, bytes, arrival, now, into: &assembler)
    } else {
      cameLate(sequence, bytes, arrival, now, into: &assembler)
    }
  }

  /// Gives up what has held things back for too long.
  mutating func timePassed(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    if heldCount > 0 {
      while let first = firstHeld, now.since(first.held.since) >= holeLimit_us {
        skipHole(to: first.sequence, first.held.arrival, now: now, into: &assembler)
      }
      if heldCount > 0, relayBudget_us < holeLimit_us { skipForRelay(now: now, into: &assembler) }
    }
  }

  /// The connection is over: what is held goes out, holes stay holes.
  mutating func finish(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    while let first = firstHeld {
      skipHole(to: first.sequence, first.held.arrival, now: now, into: &assembler)
    }
  }

  /// Holes that have become gaps since the last call.
  ///
  /// - Parameter isOver: the connection is over: nothing comes any more.
  mutating func takeSettled(now: MonotonicTime, isOver: Bool = false) -> [Hole] {
    guard !holes.isEmpty || !forgotten.isEmpty else { return [] }
    var settled = forgotten
    forgotten = []
    for index in holes.indices where !holes[index].isTold {
      guard isOver || holeLimit_us == 0 || now.since(holes[index].givenUp) >= Self.settled_us else { continue }
      holes[index].isTold = true
      settled.append(holes[index])
    }
    gone += settled.reduce(0) { $0 + Int64($1.range.count) }
    return settled
  }

  // MARK: Steps

  private mutating func deliver(
    _ sequence: UInt64, _ bytes: UnsafeRawBufferPointer, _ arrival: UTCTime, _ now: MonotonicTime,
    into assembler: inout ChunkAssembler
  ) {
    let isForRelay = sequence >= relayNext
    assembler.append(sequence: sequence, bytes: bytes, arrival: arrival, now: now, isForRelay: isForRelay)
    next = sequence + 1
    if isForRelay { relayNext = next }
    lastArrival = arrival
  }

  private mutating func hold(
    _ sequence: UInt64, _ bytes: UnsafeRawBufferPointer, _ arrival: UTCTime, _ now: MonotonicTime,
    into assembler: inout ChunkAssembler
  ) {
    while sequence >= next,
      sequence - next >= UInt64(Self.maximumHeld) || held_bytes + bytes.count > Self.maximumHeld_bytes
    {
      guard let first = firstHeld else { break }
      skipHole(to: first.sequence, first.held.arrival, now: now, into: &assembler)
    }
    guard sequence >= next else {
      // What was let go reached past it.
      cameLate(sequence, bytes, arrival, now, into: &assembler)
      return
    }
    if sequence == next || holeLimit_us == 0 || sequence - next >= UInt64(Self.maximumHeld) {
      if sequence > next { giveUp(upTo: sequence, arrival, now, into: &assembler) }
      deliver(sequence, bytes, arrival, now, into: &assembler)
      if heldCount > 0 { releaseHeld(now: now, into: &assembler) }
      return
    }
    growSlots(toHold: sequence)
    let slot = slot(of: sequence)
    guard slots[slot] == nil else {
      duplicates += 1
      return
    }
    slots[slot] = Held(bytes: Array(bytes), arrival: arrival, since: now)
    heldCount += 1
    held_bytes += bytes.count
  }

  private mutating func cameLate(
    _ sequence: UInt64, _ bytes: UnsafeRawBufferPointer, _ arrival: UTCTime, _ now: MonotonicTime,
    into assembler: inout ChunkAssembler
  ) {
    if let index = holes.firstIndex(where: { $0.range.contains(sequence) }) {
      let hole = holes.remove(at: index)
      missing -= 1
      var rest = hole
      if hole.range.lowerBound < sequence {
        rest.range = hole.range.lowerBound..<sequence
        holes.append(rest)
      }
      if sequence + 1 < hole.range.upperBound {
        rest.range = (sequence + 1)..<hole.range.upperBound
        holes.append(rest)
      }
      while holes.count > Self.maximumHoles { forgetAHole() }
      assembler.appendLate(sequence: sequence, bytes: bytes, arrival: arrival, now: now)
    } else {
      duplicates += 1
      // What was forgotten may have come with it: nothing is known to be missing there.
      if let forgotten = oldestForgotten, sequence >= forgotten { oldestForgotten = nil }
    }
  }

  private mutating func skipHole(
    to sequence: UInt64, _ arrival: UTCTime, now: MonotonicTime, into assembler: inout ChunkAssembler
  ) {
    giveUp(upTo: sequence, arrival, now, into: &assembler)
    releaseHeld(now: now, into: &assembler)
  }

  private mutating func giveUp(
    upTo sequence: UInt64, _ arrival: UTCTime, _ now: MonotonicTime, into assembler: inout ChunkAssembler
  ) {
    if holes.count >= Self.maximumHoles { forgetAHole() }
    holes.append(Hole(range: next..<sequence, from: min(lastArrival, arrival), to: arrival, givenUp: now))
    missing += Int64(sequence - next)
    if relayNext < sequence {
      relayNext = sequence
      relaySkipped(&assembler)
    }
    next = sequence
    assembler.holeCame()
  }

  /// The oldest that is told, or the oldest: what comes for it later is taken for a repetition.
  private mutating func forgetAHole() {
    let told = holes.indices.filter { holes[$0].isTold }.min { holes[$0].range.lowerBound < holes[$1].range.lowerBound }
    let oldest = told ?? holes.indices.min { holes[$0].range.lowerBound < holes[$1].range.lowerBound }
    guard let oldest else { return }
    let hole = holes.remove(at: oldest)
    oldestForgotten = min(oldestForgotten ?? hole.range.lowerBound, hole.range.lowerBound)
    if !hole.isTold { forgotten.append(hole) }
  }

  private mutating func releaseHeld(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    while heldCount > 0 {
      let slot = slot(of: next)
      guard let packet = slots[slot] else { return }
      slots[slot] = nil
      heldCount -= 1
      held_bytes -= packet.bytes.count
      // Its chunk is as old as it is: what waited here does not wait its time a second time.
      packet.bytes.withUnsafeBytes { deliver(next, $0, packet.arrival, packet.since, into: &assembler) }
    }
    // A burst needs many once; what every turn walks over stays short.
    if slots.count > Self.keptSlots { slots = [] }
  }

  /// The relay's part of what is held: past each hole that is older than its budget.
  private mutating func skipForRelay(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    var cursor = relayNext
    var end = cursor
    let last = next + UInt64(slots.count)
    while cursor < last {
      if let packet = slots[slot(of: cursor)], cursor > next {
        if cursor > end {
          guard now.since(packet.since) >= relayBudget_us else { return }
          relaySkipped(&assembler)
        }
        packet.bytes.withUnsafeBytes { assembler.tap($0, at: now) }
        end = cursor + 1
        relayNext = end
      }
      cursor += 1
    }
  }

  private mutating func relaySkipped(_ assembler: inout ChunkAssembler) {
    relaySkips += 1
    assembler.relaySkipped()
  }

  // MARK: Places

  private var firstHeld: (sequence: UInt64, held: Held)? {
    guard heldCount > 0 else { return nil }
    for sequence in next..<(next + UInt64(slots.count)) {
      if let held = slots[slot(of: sequence)] { return (sequence, held) }
    }
    return nil
  }

  private func slot(of sequence: UInt64) -> Int { Int(truncatingIfNeeded: sequence) & (slots.count - 1) }

  private mutating func growSlots(toHold sequence: UInt64) {
    let span = Int(sequence - next) + 1
    guard span > slots.count else { return }
    var size = max(64, slots.count)
    while size < span { size *= 2 }
    var wider = [Held?](repeating: nil, count: size)
    if heldCount > 0 {
      for old in next..<(next + UInt64(slots.count)) {
        wider[Int(truncatingIfNeeded: old) & (size - 1)] = slots[slot(of: old)]
      }
    }
    slots = wider
  }

  /// The 64-bit number nearest to `expected` whose low 31 bits are these.
  private static func unroll(_ sequence: UInt32, near expected: UInt64) -> UInt64 {
    let modulus: Int64 = 1 << 31
    var delta = (Int64(sequence) - Int64(expected & 0x7FFF_FFFF)) % modulus
    if delta > modulus / 2 { delta -= modulus }
    if delta < -modulus / 2 { delta += modulus }
    let value = Int64(bitPattern: expected) + delta
    return value < 0 ? 0 : UInt64(value)
  }
}
