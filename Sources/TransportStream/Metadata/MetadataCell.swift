/// One cell of a synchronous metadata stream: an access unit, or a part of one.
///
/// Specification: ISO/IEC 13818-1, 2.12.4.2 (metadata access unit wrapper).
///
///     | service (8) | sequence (8) | fragment (2) config (1) random (1) reserved (4) | length (16) | data |
struct MetadataCell: Equatable, Sendable {
  static let header_bytes = 5

  var isFirst: Bool
  var isLast: Bool
  var data: ArraySlice<UInt8>

  /// The cell at the start of `bytes`; nil where there is no whole one.
  init?(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count >= Self.header_bytes else { return nil }
    let start = bytes.startIndex
    let length = Int(bytes[start + 3]) << 8 | Int(bytes[start + 4])
    guard bytes.count >= Self.header_bytes + length else { return nil }
    isFirst = bytes[start + 2] & 0x80 != 0
    isLast = bytes[start + 2] & 0x40 != 0
    data = bytes.dropFirst(Self.header_bytes).prefix(length)
  }
}
