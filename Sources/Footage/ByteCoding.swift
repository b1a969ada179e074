/// Writes big-endian fields.
struct FieldWriter {
  private(set) var bytes: [UInt8] = []

  init(reserving capacity: Int = 256) { bytes.reserveCapacity(capacity) }

  mutating func put(_ value: some FixedWidthInteger) {
    let big = value.bigEndian
    withUnsafeBytes(of: big) { bytes.append(contentsOf: $0) }
  }

  mutating func put(_ data: some Sequence<UInt8>) { bytes.append(contentsOf: data) }
}

/// Reads big-endian fields of a bounded run of bytes; nil past its end.
struct FieldReader {
  private let bytes: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  mutating func take<T: FixedWidthInteger>(_: T.Type = T.self) -> T? {
    let size = T.bitWidth / 8
    guard bytes.endIndex - position >= size else { return nil }
    var value: T = 0
    for index in 0..<size { value = (size == 1 ? 0 : value << 8) | T(truncatingIfNeeded: bytes[position + index]) }
    position += size
    return value
  }

  mutating func take(_ count: Int) -> [UInt8]? {
    guard count >= 0, bytes.endIndex - position >= count else { return nil }
    defer { position += count }
    return Array(bytes[position..<(position + count)])
  }
}
