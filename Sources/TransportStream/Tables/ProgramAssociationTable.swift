/// One section of the table that says which PID carries the map of each program.
///
/// Specification: ISO/IEC 13818-1, 2.4.4.3, table_id 0x00.
///
///     | table_id | length | transport_stream_id | version c/n | section | last | { program_number, PID } * |
package struct ProgramAssociationTable: Equatable, Sendable {
  package static let pid: UInt16 = 0
  package static let tableID: UInt8 = 0

  package struct Program: Equatable, Sendable {
    package var number: UInt16
    package var mapPID: UInt16
  }

  /// 5 bits.
  package var version: UInt8
  /// False for a table that is announced and not yet in force.
  package var isCurrent: Bool
  package var sectionNumber: UInt8
  /// In the table's order, without program number 0, the network information table.
  package var programs: [Program] = []

  package init(section: [UInt8]) throws(TransportDamage) {
    guard section.count >= 8, section[0] == Self.tableID, section.count % 4 == 0 else {
      throw TransportDamage(.sectionMalformed(tableID: section.first ?? 0xFF), offset: 0)
    }
    version = section[5] >> 1 & 0x1F
    isCurrent = section[5] & 1 == 1
    sectionNumber = section[6]
    for index in stride(from: 8, to: section.count, by: 4) {
      let number = UInt16(section[index]) << 8 | UInt16(section[index + 1])
      let pid = UInt16(section[index + 2] & 0x1F) << 8 | UInt16(section[index + 3])
      if number != 0 { programs.append(Program(number: number, mapPID: pid)) }
    }
  }
}
