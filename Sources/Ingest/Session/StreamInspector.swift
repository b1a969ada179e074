import Doctrine
import Footage

/// Looks at the four bytes of each transport packet's header and at its adaptation field, and at nothing else: the recorder
/// parses no media. Pure.
///
/// What it finds is marks for the index, the stream's clock, and damage that did not happen on the way: whatever does not
/// look like a transport stream is counted and kept all the same.
///
/// Specification: ISO/IEC 13818-1, 2.4.3.2 to 2.4.3.5.
struct StreamInspector: Sendable {
  /// What the camera's encoder left out between two instants, in transport stream packets: at least as many, as the counter
  /// has four bits.
  struct Omission: Equatable, Sendable {
    var from: UTCTime
    var to: UTCTime
    var packets: Int64
  }

  private static let packet_bytes = 188
  private static let nullPID = 0x1FFF
  private static let unknown: UInt8 = 0xFF
  /// Omissions closer than this are one.
  static let quiet_us: Int64 = 1_000_000
  /// One that does not end is told this often.
  static let longest_us: Int64 = 10_000_000

  /// The last continuity counter of each PID.
  private var counters = [UInt8](repeating: StreamInspector.unknown, count: 0x2000)
  private var lastArrival: UTCTime?
  private var omission: Omission?
  private(set) var clock = ProgramClock()
  /// Messages that are not whole transport stream packets.
  private(set) var foreign: Int64 = 0
  private(set) var discontinuities: Int64 = 0
  /// Whether the last message may have ended a picture or a frame of sound: a packet with an adaptation field, or a start.
  private(set) var lastEndsUnit = true

  /// Packets are missing before the next one: counters that jump there say nothing of the encoder.
  mutating func holeCame() {
    for pid in counters.indices { counters[pid] = Self.unknown }
  }

  /// Notes random-access points and the first clock of a message that is to stand at `offset` of a chunk.
  ///
  /// - Parameters:
  ///   - now: of the clock that nobody sets: the stream's own is compared with it.
  ///   - isInOrder: false for what fills a hole: its counters and clocks were passed long ago.
  mutating func inspect(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, arrival: UTCTime, now: MonotonicTime, isInOrder: Bool,
    into content: inout ChunkContent
  ) {
    defer { if isInOrder { lastArrival = arrival } }
    guard bytes.count % Self.packet_bytes == 0 else {
      foreign += 1
      lastEndsUnit = true
      return
    }
    var start = 0
    lastEndsUnit = false
    while start < bytes.count {
      guard bytes[start] == 0x47 else {
        foreign += 1
        lastEndsUnit = true
        return
      }
      let pid = Int(bytes[start + 1] & 0x1F) << 8 | Int(bytes[start + 2])
      let control = bytes[start + 3]
      if control & 0x20 != 0 || bytes[start + 1] & 0x40 != 0 { lastEndsUnit = true }
      var mayJump = false
      if control & 0x20 != 0, bytes[start + 4] > 0 {
        let flags = bytes[start + 5]
        mayJump = flags & 0x80 != 0
        if flags & 0x40 != 0, content.marks.count < ChunkHeader.maximumMarks {
          content.marks.append(UInt32(offset + start))
        }
        if flags & 0x10 != 0, bytes[start + 4] >= 7 {
          let value = Self.clock(bytes, start + 6)
          if content.firstClock == ChunkHeader.noClock { content.firstClock = value }
          if isInOrder { clock.ticked(pid: UInt16(pid), clock_90k: value, at: now.microseconds) }
        }
      }
      if isInOrder, control & 0x10 != 0, pid != Self.nullPID { count(pid, control & 0x0F, mayJump, arrival) }
      start += Self.packet_bytes
    }
  }

  /// An omission that is over, or has lasted long enough to be told.
  mutating func takeOmission(at time: UTCTime, isOver: Bool = false) -> Omission? {
    guard let omission else { return nil }
    guard
      isOver || time.microseconds - omission.to.microseconds >= Self.quiet_us
        || omission.to.microseconds - omission.from.microseconds >= Self.longest_us
    else { return nil }
    self.omission = nil
    return omission
  }

  private mutating func count(_ pid: Int, _ counter: UInt8, _ mayJump: Bool, _ arrival: UTCTime) {
    let last = counters[pid]
    counters[pid] = counter
    // A packet may be sent twice, with the same counter.
    guard last != Self.unknown, !mayJump, counter != last else { return }
    let missing = (counter &- last &- 1) & 0x0F
    guard missing != 0 else { return }
    discontinuities += 1
    if omission == nil { omission = Omission(from: lastArrival ?? arrival, to: arrival, packets: 0) }
    omission?.to = arrival
    omission?.packets += Int64(missing)
  }

  /// `program_clock_reference_base`: 33 bits.
  private static func clock(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> UInt64 {
    var base: UInt64 = 0
    for index in start..<(start + 4) { base = base << 8 | UInt64(bytes[index]) }
    return base << 1 | UInt64(bytes[start + 4] >> 7)
  }
}
