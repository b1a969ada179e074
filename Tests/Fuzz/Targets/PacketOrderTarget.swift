import Doctrine
import Footage

@testable import Ingest

/// The order of a connection's packets, as a sender that keeps to no rule may number them.
///
/// The input is a run of `| what | a | b |`: 0 one packet `a` (signed) from the next number, of some `6 b` bytes; 1 a run of
/// `16 a + b` packets; 2 the next number moves by `8 ab` (signed); 3 `ab` milliseconds pass; 4 the next number is far away;
/// 5 gaps are asked for. Invariants: every packet is in one chunk or was counted as a repetition; chunks are bounded and
/// hold consecutive packets; nothing is missing less than nothing.
enum PacketOrderTarget {
  private static let maximumPackets = 20_000

  static func run(_ input: [UInt8]) throws {
    var rest = input[...]
    let isTimely = rest.popFirst().map { $0 & 1 == 1 } ?? false
    var way = Way(isTimely: isTimely)
    while let what = rest.popFirst(), let a = rest.popFirst(), let b = rest.popFirst() {
      let both = Int(Int16(bitPattern: UInt16(a) << 8 | UInt16(b)))
      switch what % 6 {
      case 0: way.arrive(way.next &+ UInt32(bitPattern: Int32(Int8(bitPattern: a))), bytes: Int(b) * 6)
      case 1:
        for _ in 0..<(Int(a) * 16 + Int(b)) where way.arrived < maximumPackets {
          way.arrive(way.next, bytes: 1316)
          way.next &+= 1
        }
      case 2: way.next &+= UInt32(bitPattern: Int32(both * 8))
      case 3: way.pass(milliseconds: Int64(UInt16(bitPattern: Int16(both))))
      case 4: way.next = UInt32(a) << 23 | UInt32(b) << 15
      default: _ = way.reorderer.takeSettled(now: way.now)
      }
      try hold(way.reorderer.missing >= 0, "\(way.reorderer.missing) packets missing")
    }
    try way.finish()
  }

  private struct Way {
    var reorderer: Reorderer
    var assembler = ChunkAssembler(epoch: 1)
    var now = MonotonicTime(microseconds: 0)
    var next: UInt32 = 0x7FFF_FF00
    var arrived = 0
    private var kept: Int64 = 0
    private let buffer = [UInt8](repeating: 0x47, count: 1536)

    init(isTimely: Bool) {
      reorderer = Reorderer(
        first: next, begunAt: UTCTime(microseconds: 0), holeLimit_us: isTimely ? 0 : Reorderer.holeLimit_us,
        relayBudget_us: 400_000)
      assembler.tapsLive = true
    }

    mutating func arrive(_ number: UInt32, bytes count: Int) {
      arrived += 1
      buffer.withUnsafeBytes {
        reorderer.arrived(
          sequence31: number & 0x7FFF_FFFF, bytes: UnsafeRawBufferPointer(rebasing: $0[..<count]),
          arrival: UTCTime(microseconds: now.microseconds), now: now, into: &assembler)
      }
    }

    mutating func pass(milliseconds: Int64) {
      now = MonotonicTime(microseconds: now.microseconds + milliseconds * 1000)
      reorderer.timePassed(now: now, into: &assembler)
      assembler.timePassed(at: now)
      _ = assembler.takeLive(at: now)
      for chunk in assembler.takeFinished() { kept += Int64(chunk.packetCount) }
    }

    mutating func finish() throws {
      reorderer.finish(now: now, into: &assembler)
      assembler.close()
      for chunk in assembler.takeFinished() {
        kept += Int64(chunk.packetCount)
        try hold(chunk.plaintext.count <= ChunkAssembler.maximumSize_bytes, "a chunk of \(chunk.plaintext.count) bytes")
      }
      try hold(
        kept + reorderer.duplicates == Int64(arrived),
        "\(arrived) packets came, \(kept) are in chunks, \(reorderer.duplicates) came before")
    }
  }
}
