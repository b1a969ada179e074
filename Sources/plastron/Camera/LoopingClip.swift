import TransportStream

/// A transport stream clip played over and over as one stream that never jumps: clocks go on, counters go on.
struct LoopingClip {
  struct Unusable: Error, CustomStringConvertible { var description: String }

  private var packets: [UInt8]
  private let count: Int
  /// Length of the clip on the media clock.
  let length_90k: Int64
  private var lap: Int64 = 0
  private var position = 0
  private var counters: [UInt16: UInt8] = [:]
  private let clocks: [Int64?]
  private let firstClock: Int64

  /// - Parameter bytes: whole 188-byte packets with program clock references.
  init(_ bytes: [UInt8]) throws {
    guard bytes.count >= TransportPacket.size * 10, bytes.count % TransportPacket.size == 0 else {
      throw Unusable(description: "the clip is not a whole number of 188-byte packets")
    }
    packets = bytes
    count = bytes.count / TransportPacket.size
    var clocks: [Int64?] = []
    for index in 0..<count {
      let packet = try TransportPacket(bytes, at: index * TransportPacket.size)
      clocks.append(packet.programClockReference.map(Int64.init))
    }
    let known = clocks.compactMap { $0 }
    guard let first = known.first, let last = known.last, last > first else {
      throw Unusable(description: "the clip has no program clock")
    }
    self.clocks = clocks
    firstClock = first
    // One clock interval more than from the first to the last, so that laps do not overlap.
    length_90k = last - first + max(3600, (last - first) / Int64(max(1, known.count - 1)))
  }

  /// The next packet, and the time at which it is due (90 kHz from the first), where it carries a clock.
  mutating func next() -> (packet: [UInt8], due_90k: Int64?) {
    let start = position * TransportPacket.size
    var packet = Array(packets[start..<(start + TransportPacket.size)])
    let shift = lap * length_90k
    if let header = try? TransportPacket(packet, at: 0) {
      if header.hasPayload, header.pid != TransportPacket.nullPID {
        let counter = counters[header.pid].map { ($0 + 1) & 0x0F } ?? header.continuityCounter
        counters[header.pid] = counter
        packet[3] = packet[3] & 0xF0 | counter
      }
      if let clock = header.programClockReference { Self.setClock(&packet, Int64(clock) + shift) }
      if header.payloadUnitStart, header.hasPayload { Self.shiftStamps(&packet, at: header.payloadStart, by: shift) }
    }
    let due = clocks[position].map { $0 - firstClock + shift }
    position += 1
    if position == count {
      position = 0
      lap += 1
    }
    return (packet, due)
  }

  private static func setClock(_ packet: inout [UInt8], _ value: Int64) {
    let base = UInt64(value) & 0x1_FFFF_FFFF
    for index in 0..<4 { packet[6 + index] = UInt8(truncatingIfNeeded: base >> UInt64(25 - 8 * index)) }
    packet[10] = packet[10] & 0x7F | UInt8(base & 1) << 7
  }

  /// PTS and DTS of a PES header that starts in this packet. ISO/IEC 13818-1, 2.4.3.7.
  private static func shiftStamps(_ packet: inout [UInt8], at start: Int, by shift: Int64) {
    guard start + 19 <= packet.count, packet[start] == 0, packet[start + 1] == 0, packet[start + 2] == 1,
      packet[start + 6] & 0xC0 == 0x80
    else { return }
    let flags = packet[start + 7] >> 6
    if flags & 0b10 != 0 { shiftStamp(&packet, at: start + 9, by: shift) }
    if flags == 0b11 { shiftStamp(&packet, at: start + 14, by: shift) }
  }

  private static func shiftStamp(_ p: inout [UInt8], at i: Int, by shift: Int64) {
    let old =
      UInt64(p[i] >> 1 & 7) << 30 | UInt64(p[i + 1]) << 22 | UInt64(p[i + 2] >> 1) << 15 | UInt64(p[i + 3]) << 7
      | UInt64(p[i + 4] >> 1)
    let new = UInt64(Int64(old) + shift) & 0x1_FFFF_FFFF
    p[i] = p[i] & 0xF1 | UInt8(new >> 30 & 7) << 1
    p[i + 1] = UInt8(new >> 22 & 0xFF)
    p[i + 2] = UInt8(new >> 15 & 0x7F) << 1 | 1
    p[i + 3] = UInt8(new >> 7 & 0xFF)
    p[i + 4] = UInt8(new & 0x7F) << 1 | 1
  }
}
