/// Writes ISO base media boxes: big-endian fields, sizes filled in when a box is closed.
///
/// Specification: ISO/IEC 14496-12, 4.2.
///
///     | size (32) | type (32) | [version (8) flags (24)] | fields | boxes |
struct BoxWriter {
  private(set) var bytes: [UInt8] = []

  init() {}

  mutating func box(_ type: StaticString, _ body: (inout BoxWriter) -> Void) {
    let start = bytes.count
    u32(0)
    precondition(type.utf8CodeUnitCount == 4)
    type.withUTF8Buffer { bytes.append(contentsOf: $0) }
    body(&self)
    setU32(at: start, UInt32(bytes.count - start))
  }

  mutating func fullBox(
    _ type: StaticString, version: UInt8 = 0, flags: UInt32 = 0, _ body: (inout BoxWriter) -> Void
  ) {
    box(type) { w in
      w.u32(UInt32(version) << 24 | flags)
      body(&w)
    }
  }

  mutating func u8(_ value: UInt8) { bytes.append(value) }
  mutating func u16(_ value: UInt16) {
    u8(UInt8(truncatingIfNeeded: value >> 8))
    u8(UInt8(truncatingIfNeeded: value))
  }
  mutating func u32(_ value: UInt32) {
    u16(UInt16(truncatingIfNeeded: value >> 16))
    u16(UInt16(truncatingIfNeeded: value))
  }
  mutating func u64(_ value: UInt64) {
    u32(UInt32(truncatingIfNeeded: value >> 32))
    u32(UInt32(truncatingIfNeeded: value))
  }
  mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }
  mutating func append(_ data: some Sequence<UInt8>) { bytes.append(contentsOf: data) }
  mutating func text(_ value: StaticString) { value.withUTF8Buffer { bytes.append(contentsOf: $0) } }

  mutating func setU32(at offset: Int, _ value: UInt32) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
  }
}
