/// Gathers one PSI section of one PID from transport packet payloads and checks its CRC.
///
/// Specification: ISO/IEC 13818-1, 2.4.4 (program specific information) and Annex A (CRC).
///
///     | pointer_field | table_id (8) | SSI 0 r r | section_length (12) | ... | CRC_32 |
package struct SectionAssembler: Sendable {
  /// section_length of a PAT or PMT may not exceed 1021 (2.4.4.3): the first two bits are zero.
  package static let maximumSectionLength = 1021

  private var buffer: [UInt8] = []
  private var wanted: Int?

  package init() {}

  /// Takes the payload of one packet; returns a complete section without its CRC, or nil while there is none.
  package mutating func push(_ payload: ArraySlice<UInt8>, unitStart: Bool) throws(TransportDamage) -> [UInt8]? {
    var rest = payload
    if unitStart {
      guard let pointer = rest.popFirst() else { return nil }
      guard Int(pointer) <= rest.count else {
        reset()
        throw TransportDamage(.sectionMalformed(tableID: 0xFF), offset: 0)
      }
      reset()
      rest = rest.dropFirst(Int(pointer))
      wanted = 0
    }
    guard wanted != nil else { return nil }
    buffer.append(contentsOf: rest)
    guard buffer.count >= 3 else { return nil }
    if buffer[0] == 0xFF {
      reset()
      return nil
    }
    let length = Int(buffer[1] & 0x0F) << 8 | Int(buffer[2])
    guard length <= Self.maximumSectionLength else {
      reset()
      throw TransportDamage(.sectionTooLong(length: length, limit: Self.maximumSectionLength), offset: 1)
    }
    guard buffer.count >= 3 + length else { return nil }
    let section = Array(buffer[0..<(3 + length)])
    reset()
    guard length >= 9 else { throw TransportDamage(.sectionMalformed(tableID: section[0]), offset: 1) }
    guard CRC32.mpeg(section) == 0 else {
      throw TransportDamage(.sectionChecksum(tableID: section[0]), offset: 3 + length - 4)
    }
    return Array(section.dropLast(4))
  }

  private mutating func reset() {
    buffer.removeAll(keepingCapacity: true)
    wanted = nil
  }
}

/// CRC-32/MPEG-2: polynomial 0x04C11DB7, initial value all ones, not reflected; zero over data and its CRC.
package enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { index in
    var value = UInt32(index) << 24
    for _ in 0..<8 { value = value & 0x8000_0000 != 0 ? (value << 1) ^ 0x04C1_1DB7 : value << 1 }
    return value
  }

  package static func mpeg(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes { crc = (crc << 8) ^ table[Int(UInt8(truncatingIfNeeded: crc >> 24) ^ byte)] }
    return crc
  }
}
