/// The elementary streams of a program.
///
/// Specification: ISO/IEC 13818-1, 2.4.4.8, table_id 0x02.
///
///     | header (8) | PCR_PID | program_info_length | descriptors | { type, PID, ES_info_length, descriptors } * |
package struct ProgramMapTable: Equatable, Sendable {
  package static let tableID: UInt8 = 2
  /// A body camera sends one picture, one sound and perhaps metadata; more than this is not one.
  package static let maximumStreams = 16

  package struct Stream: Equatable, Sendable {
    package var type: UInt8
    package var pid: UInt16
    package var coding: StreamCoding
  }

  package var programNumber: UInt16
  /// 5 bits.
  package var version: UInt8
  package var isCurrent: Bool
  /// The first ``maximumStreams`` of them.
  package var streams: [Stream] = []
  /// Streams beyond the limit, which are not followed.
  package var dropped = 0

  package init(section: [UInt8]) throws(TransportDamage) {
    guard section.count >= 12, section[0] == Self.tableID else {
      throw TransportDamage(.sectionMalformed(tableID: section.first ?? 0xFF), offset: 0)
    }
    programNumber = UInt16(section[3]) << 8 | UInt16(section[4])
    version = section[5] >> 1 & 0x1F
    isCurrent = section[5] & 1 == 1
    var index = 12 + (Int(section[10] & 0x0F) << 8 | Int(section[11]))
    while index + 5 <= section.count {
      let pid = UInt16(section[index + 1] & 0x1F) << 8 | UInt16(section[index + 2])
      let information = Int(section[index + 3] & 0x0F) << 8 | Int(section[index + 4])
      let end = index + 5 + information
      guard end <= section.count else { break }
      if streams.count < Self.maximumStreams {
        let coding = StreamCoding(type: section[index], descriptors: section[(index + 5)..<end])
        streams.append(Stream(type: section[index], pid: pid, coding: coding))
      } else {
        dropped += 1
      }
      index = end
    }
    guard index == section.count else {
      throw TransportDamage(.sectionMalformed(tableID: Self.tableID), offset: index)
    }
  }
}
