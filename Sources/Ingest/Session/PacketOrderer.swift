import Doctrine

/// Puts packets back into the order in which the camera sent them, by their sequence numbers.
///
/// Pure. A packet that is the next one goes straight through without being copied; what is ahead of a hole is
/// held, until the hole is filled or is older than ``holeLimit_us``: then what is there goes on, and what
/// comes later goes to a fill chunk.
struct PacketOrderer: Sendable {
  /// A hole older than this no longer holds back what is behind it.
  static let holeLimit_us: Int64 = 500_000
  /// libsrt itself keeps at most this many packets for a connection.
  static let maximumHeld = 8192
  /// Holes remembered for packets that come late; the oldest are given up first.
  static let maximumHoles = 1024

  private var next: UInt64?
  private var held: [UInt64: (bytes: [UInt8], arrival: UTCTime, since: MonotonicTime)] = [:]
  private var holeSince: MonotonicTime?
  private var holes: [Range<UInt64>] = []
  /// Before the first packet that arrived: the sender may have sent some that come late, or none.
  private var early: Range<UInt64> = 0..<0
  private var lateEarly: Set<UInt64> = []
  private(set) var duplicates = 0

  init() {}

  /// Packets that were given up and never came.
  var missing: Int { holes.reduce(0) { $0 + $1.count } }

  mutating func arrived(
    sequence31: UInt32, bytes: UnsafeRawBufferPointer, arrival: UTCTime, now: MonotonicTime,
    into assembler: inout ChunkAssembler
  ) {
    guard let expected = next else {
      // Numbers start far from zero so that an early packet that comes late still has a positive place.
      let first = (1 << 31) + UInt64(sequence31 & 0x7FFF_FFFF)
      assembler.append(sequence: first, bytes: bytes, arrival: arrival, now: now)
      next = first + 1
      early = (first - UInt64(Self.maximumHeld))..<first
      return
    }
    let sequence = Self.unroll(sequence31, near: expected)
    if sequence == expected {
      assembler.append(sequence: sequence, bytes: bytes, arrival: arrival, now: now)
      next = sequence + 1
      if !held.isEmpty { releaseHeld(now: now, into: &assembler) }
    } else if sequence > expected {
      held[sequence] = (Array(bytes), arrival, now)
      if holeSince == nil { holeSince = now }
      if held.count > Self.maximumHeld { skipHole(now: now, into: &assembler) }
    } else if let index = holes.firstIndex(where: { $0.contains(sequence) }) {
      let hole = holes.remove(at: index)
      if hole.lowerBound < sequence { holes.append(hole.lowerBound..<sequence) }
      if sequence + 1 < hole.upperBound { holes.append((sequence + 1)..<hole.upperBound) }
      assembler.appendLate(sequence: sequence, bytes: bytes, arrival: arrival, now: now)
    } else if early.contains(sequence), lateEarly.insert(sequence).inserted {
      assembler.appendLate(sequence: sequence, bytes: bytes, arrival: arrival, now: now)
    } else {
      duplicates += 1
    }
  }

  /// Gives up a hole that has held things back for too long.
  mutating func timePassed(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    while let since = holeSince, now.since(since) >= Self.holeLimit_us { skipHole(now: now, into: &assembler) }
  }

  /// The connection is over: what is held goes out, holes stay holes.
  mutating func finish(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    while !held.isEmpty { skipHole(now: now, into: &assembler) }
  }

  private mutating func skipHole(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    guard let expected = next, let first = held.keys.min() else { return }
    if holes.count >= Self.maximumHoles { holes.removeFirst() }
    holes.append(expected..<first)
    next = first
    releaseHeld(now: now, into: &assembler)
  }

  private mutating func releaseHeld(now: MonotonicTime, into assembler: inout ChunkAssembler) {
    guard var expected = next else { return }
    while let packet = held.removeValue(forKey: expected) {
      packet.bytes.withUnsafeBytes {
        assembler.append(sequence: expected, bytes: $0, arrival: packet.arrival, now: now)
      }
      expected += 1
    }
    next = expected
    // Each held packet has waited since it came, however many holes are before it.
    holeSince = held.values.map(\.since).min()
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
