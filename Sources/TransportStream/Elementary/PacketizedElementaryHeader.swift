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
