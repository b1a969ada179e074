/// Which PID carries the map of each program.
///
/// Specification: ISO/IEC 13818-1, 2.4.4.3, table_id 0x00.
///
///     | table_id | length | transport_stream_id | version | section | last | { program_number, PID } * |
package struct ProgramAssociationTable: Equatable, Sendable {
  package static let pid: UInt16 = 0
  package static let tableID: UInt8 = 0

  /// The PID of the first program's map (program number 0 is the network information table).
  package var programMapPID: UInt16

  package init(section: [UInt8]) throws(TransportDamage) {
    guard section.count >= 8, section[0] == Self.tableID else {
      throw TransportDamage(.sectionMalformed(tableID: section.first ?? 0xFF), offset: 0)
    }
    var index = 8
    while index + 4 <= section.count {
      let program = UInt16(section[index]) << 8 | UInt16(section[index + 1])
      let pid = UInt16(section[index + 2] & 0x1F) << 8 | UInt16(section[index + 3])
      if program != 0 {
        programMapPID = pid
        return
      }
      index += 4
    }
    throw TransportDamage(.sectionMalformed(tableID: Self.tableID), offset: 8)
  }
}
