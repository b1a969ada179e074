/// One 188-byte transport stream packet, its header and adaptation field parsed, its payload located.
///
/// Specification: ISO/IEC 13818-1, 2.4.3.2 (transport packet) and 2.4.3.4 (adaptation field).
///
///     0        8         11            24      26  28      32
///     | 0x47   |TEI PUSI P|  PID (13)   | TSC   |AFC| CC    |
///     | adaptation_field_length | D R E P O S T X | PCR (48) ... stuffing | payload
package struct TransportPacket: Equatable, Sendable {
  package static let size = 188
  package static let syncByte: UInt8 = 0x47
  package static let nullPID: UInt16 = 0x1FFF

  package var pid: UInt16
  package var payloadUnitStart: Bool
  package var transportError: Bool
  package var scrambled: Bool
  /// 4 bits; increments for every packet of the PID that carries a payload.
  package var continuityCounter: UInt8
  package var hasPayload: Bool
  package var discontinuityIndicator: Bool
  package var randomAccessIndicator: Bool
  /// Program clock reference base, 90 kHz, 33 bits.
  package var programClockReference: UInt64?
  /// Bytes of stuffing in the adaptation field (all 0xFF after its declared fields).
  package var stuffing_bytes: Int
  /// Where the payload lies, as offsets into the packet: `payloadStart ..< 188`.
  package var payloadStart: Int

  /// Parses the header of the packet that begins at `start`.
  ///
  /// - Throws: ``TransportDamage`` with the offset inside the packet; nothing is kept.
  package init(_ bytes: borrowing [UInt8], at start: Int) throws(TransportDamage) {
    guard start >= 0, bytes.count - start >= Self.size else {
      throw TransportDamage(.truncated, offset: bytes.count)
    }
    guard bytes[start] == Self.syncByte else { throw TransportDamage(.syncLost, offset: 0) }
    let b1 = bytes[start + 1]
    let b2 = bytes[start + 2]
    let b3 = bytes[start + 3]
    transportError = b1 & 0x80 != 0
    payloadUnitStart = b1 & 0x40 != 0
    pid = UInt16(b1 & 0x1F) << 8 | UInt16(b2)
    scrambled = b3 & 0xC0 != 0
    hasPayload = b3 & 0x10 != 0
    let hasAdaptation = b3 & 0x20 != 0
    continuityCounter = b3 & 0x0F
    discontinuityIndicator = false
    randomAccessIndicator = false
    programClockReference = nil
    stuffing_bytes = 0
    var cursor = 4
    if hasAdaptation {
      let length = Int(bytes[start + 4])
      let limit = hasPayload ? 182 : 183
      guard length <= limit else {
        throw TransportDamage(.adaptationFieldTooLong(length: length, limit: limit), offset: 4)
      }
      if length > 0 {
        let flags = bytes[start + 5]
        discontinuityIndicator = flags & 0x80 != 0
        randomAccessIndicator = flags & 0x40 != 0
        var used = 1
        if flags & 0x10 != 0, length >= 7 {
          var base: UInt64 = 0
          for index in 0..<4 { base = base << 8 | UInt64(bytes[start + 6 + index]) }
          programClockReference = base << 1 | UInt64(bytes[start + 10] >> 7)
          used += 6
        }
        if flags & 0x08 != 0 { used += 6 }
        if flags & 0x04 != 0 { used += 1 }
        if flags & 0x02 != 0, used < length { used += 1 + Int(bytes[start + 5 + used]) }
        if flags & 0x01 != 0, used < length { used += 1 + Int(bytes[start + 5 + used]) }
        stuffing_bytes = max(0, length - used)
      } else {
        // A single stuffing byte is coded as an adaptation field of length 0.
        stuffing_bytes = 1
      }
      cursor += 1 + length
    }
    payloadStart = cursor
  }
}
