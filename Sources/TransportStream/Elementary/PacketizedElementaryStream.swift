/// The header of one PES packet.
///
/// Specification: ISO/IEC 13818-1, 2.4.3.6.
///
///     | 00 00 01 | stream_id | PES_packet_length (16) | 10.. | PTS_DTS_flags.. | header_length | PTS | DTS | data
struct PacketizedElementaryHeader: Equatable, Sendable {
  var presentation: UInt64?
  var decoding: UInt64?
  /// Offset of the first byte of the elementary stream.
  var dataStart: Int
  /// Length of the elementary stream data; nil where the packet says 0, "until the next start".
  var dataLength: Int?

  /// Returns nil while too few bytes are there to tell.
  init?(_ bytes: ArraySlice<UInt8>, pid: UInt16) throws(TransportDamage) {
    let s = bytes.startIndex
    guard bytes.count >= 9 else { return nil }
    guard bytes[s] == 0, bytes[s + 1] == 0, bytes[s + 2] == 1, bytes[s + 6] & 0xC0 == 0x80 else {
      throw TransportDamage(.packetizedStreamMalformed(pid: pid), offset: 0)
    }
    let length = Int(bytes[s + 4]) << 8 | Int(bytes[s + 5])
    let flags = bytes[s + 7] >> 6
    let headerLength = Int(bytes[s + 8])
    guard bytes.count >= 9 + headerLength else { return nil }
    guard length == 0 || length >= 3 + headerLength else {
      throw TransportDamage(.packetizedStreamMalformed(pid: pid), offset: 4)
    }
    if flags & 0b10 != 0, headerLength >= 5 { presentation = Self.timestamp(bytes, at: s + 9) }
    if flags == 0b11, headerLength >= 10 { decoding = Self.timestamp(bytes, at: s + 14) }
    dataStart = 9 + headerLength
    dataLength = length == 0 ? nil : length - 3 - headerLength
  }

  private static func timestamp(_ bytes: ArraySlice<UInt8>, at i: Int) -> UInt64 {
    let high = UInt64(bytes[i] >> 1 & 0x07) << 30
    let middle = UInt64(bytes[i + 1]) << 22 | UInt64(bytes[i + 2] >> 1) << 15
    let low = UInt64(bytes[i + 3]) << 7 | UInt64(bytes[i + 4] >> 1)
    return high | middle | low
  }
}

/// One complete PES packet of one PID.
struct ElementaryUnit: Equatable, Sendable {
  var presentation: UInt64?
  var decoding: UInt64?
  var randomAccess: Bool
  var data: [UInt8]
}

/// Gathers the PES packets of one PID.
///
/// A unit ends at its declared length, at a last packet that is stuffed (most muxers declare no length for
/// video and stuff the last packet), or at the next start. A sender that stuffs in the middle of a unit is
/// noticed by the payload that follows, and its stuffing is not taken for an end again.
struct ElementaryAssembler: Sendable {
  /// A 4K key frame stays under 4 MiB; a unit longer than this is an attack or a fault.
  static let maximumUnit_bytes = 8 << 20

  let pid: UInt16
  private var buffer: [UInt8] = []
  private var header: PacketizedElementaryHeader?
  private var active = false
  private var randomAccess = false
  private var endedByStuffing = false
  private var trustsStuffing = true
  /// This sender has ended a unit with a stuffed packet, so one that does not end so was cut off.
  private var stuffsEnds = false

  init(pid: UInt16) { self.pid = pid }

  mutating func push(
    _ payload: ArraySlice<UInt8>, unitStart: Bool, randomAccess flag: Bool, stuffing_bytes: Int
  ) throws(TransportDamage) -> [ElementaryUnit] {
    var finished: [ElementaryUnit] = []
    if unitStart {
      if let unit = finish() { finished.append(unit) }
      active = true
      randomAccess = flag
      endedByStuffing = false
    } else if !active {
      // The end of a unit whose start was lost, or the tail of one that stuffing seemed to end.
      if endedByStuffing, !payload.isEmpty {
        endedByStuffing = false
        trustsStuffing = false
        throw TransportDamage(.accessUnitTruncated(pid: pid), offset: 0)
      }
      return finished
    }
    guard buffer.count + payload.count <= Self.maximumUnit_bytes else {
      abandon()
      throw TransportDamage(.accessUnitTooLarge(pid: pid, limit_bytes: Self.maximumUnit_bytes), offset: 0)
    }
    buffer.append(contentsOf: payload)
    if header == nil {
      do throws(TransportDamage) {
        header = try PacketizedElementaryHeader(buffer[...], pid: pid)
      } catch {
        abandon()
        if finished.isEmpty { throw error }
        return finished
      }
    }
    if let header {
      if let length = header.dataLength {
        if buffer.count >= header.dataStart + length, let unit = finish() { finished.append(unit) }
      } else if stuffing_bytes > 0, trustsStuffing, buffer.count > header.dataStart, let unit = finish() {
        finished.append(unit)
        endedByStuffing = true
        stuffsEnds = true
      }
    }
    return finished
  }

  /// Drops what was gathered: a packet of this PID is missing.
  mutating func abandon() {
    buffer.removeAll(keepingCapacity: true)
    header = nil
    active = false
    endedByStuffing = false
  }

  /// The unit that waits for the next start, if it is whole as far as can be told.
  mutating func drain() -> ElementaryUnit? {
    guard header?.dataLength == nil, !(stuffsEnds && trustsStuffing) else { return nil }
    return finish()
  }

  private mutating func finish() -> ElementaryUnit? {
    defer { abandon() }
    guard active, let header, buffer.count > header.dataStart else { return nil }
    let available = buffer.count - header.dataStart
    let length = min(header.dataLength ?? available, available)
    return ElementaryUnit(
      presentation: header.presentation, decoding: header.decoding, randomAccess: randomAccess,
      data: Array(buffer[header.dataStart..<(header.dataStart + length)]))
  }
}
