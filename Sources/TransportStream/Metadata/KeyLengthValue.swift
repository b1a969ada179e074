/// Reads the items of a KLV local set.
///
/// Specification: SMPTE ST 336 (local sets with BER-OID tags and BER lengths).
///
///     tag: { 1 (1) | bits (7) } * { 0 (1) | bits (7) }    length: 0 (1) value (7)  or  1 (1) count (7) | value (8 * count)
struct KeyLengthValue {
  /// A local set has some 150 tags; more items than this are an attack or a fault.
  static let maximumItems = 512

  private var rest: ArraySlice<UInt8>
  private var items = 0

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// Offset, in the collection that was given, of what comes next.
  var position: Int { rest.startIndex }
  var isAtEnd: Bool { rest.isEmpty }

  /// The next item; nil at the end and where the bytes do not hold one.
  mutating func item() -> (tag: UInt32, value: ArraySlice<UInt8>)? {
    guard items < Self.maximumItems, !rest.isEmpty, let tag = tag(), let length = length(), length <= rest.count else {
      return nil
    }
    items += 1
    defer { rest = rest.dropFirst(length) }
    return (tag, rest.prefix(length))
  }

  private mutating func tag() -> UInt32? {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = rest.popFirst() else { return nil }
      value = value << 7 | UInt32(byte & 0x7F)
      if byte & 0x80 == 0 { return value }
    }
    return nil
  }

  /// A BER length: short, or long of up to four bytes.
  mutating func length() -> Int? {
    guard let first = rest.popFirst() else { return nil }
    if first & 0x80 == 0 { return Int(first) }
    let count = Int(first & 0x7F)
    guard (1...4).contains(count), rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
  }
}
