/// Gathers the PSI sections of one PID from transport packet payloads and checks their CRC.
///
/// A packet may end one section and start others; a section whose packet was lost is dropped. Never holds more
/// than one section and one packet.
///
/// Specification: ISO/IEC 13818-1, 2.4.4 (program specific information) and Annex A (CRC).
///
///     | pointer_field | table_id (8) | SSI 0 r r | section_length (12) | ... | CRC_32 |
package struct SectionAssembler: Sendable {
  /// section_length of a PAT or PMT may not exceed 1021 (2.4.4.3): the first two bits are zero.
  package static let maximumSectionLength = 1021

  private var buffer: [UInt8] = []
  private var active = false

  package init() {}

  /// Takes the payload of one packet; calls `found` for each section it completes, without its CRC, or its damage.
  mutating func push(
    _ payload: ArraySlice<UInt8>, unitStart: Bool, _ found: (Result<[UInt8], TransportDamage>) -> Void
  ) {
    var rest = payload
    if unitStart {
      guard let pointer = rest.popFirst() else { return }
      guard Int(pointer) <= rest.count else {
        abandon()
        return found(.failure(TransportDamage(.sectionMalformed(tableID: 0xFF), offset: 0)))
      }
      if active {
        buffer.append(contentsOf: rest.prefix(Int(pointer)))
        take(found)
      }
      abandon()
      active = true
      rest = rest.dropFirst(Int(pointer))
    }
    guard active else { return }
    buffer.append(contentsOf: rest)
    take(found)
  }

  /// Drops what was gathered: a packet of this PID is missing.
  mutating func abandon() {
    buffer.removeAll(keepingCapacity: true)
    active = false
  }

  private mutating func take(_ found: (Result<[UInt8], TransportDamage>) -> Void) {
    var start = 0
    while active, buffer.count - start >= 3 {
      // Stuffing up to the end of the packet.
      guard buffer[start] != 0xFF else { return abandon() }
      let length = Int(buffer[start + 1] & 0x0F) << 8 | Int(buffer[start + 2])
      guard length <= Self.maximumSectionLength else {
        abandon()
        return found(
          .failure(TransportDamage(.sectionTooLong(length: length, limit: Self.maximumSectionLength), offset: 1)))
      }
      guard buffer.count - start >= 3 + length else { break }
      let section = buffer[start..<(start + 3 + length)]
      start += 3 + length
      let table = section.first ?? 0xFF
      if length < 9 {
        found(.failure(TransportDamage(.sectionMalformed(tableID: table), offset: 1)))
      } else if CRC32.mpeg(section) != 0 {
        found(.failure(TransportDamage(.sectionChecksum(tableID: table), offset: length - 1)))
      } else {
        found(.success(Array(section.dropLast(4))))
      }
    }
    buffer.removeFirst(start)
  }
}
