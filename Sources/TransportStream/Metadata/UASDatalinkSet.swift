/// Time and place of the camera from a UAS Datalink Local Set.
///
/// Specification: MISB ST 0601, 6 (key, checksum), items 1, 2, 13, 14 and 15.
///
///     | key 06 0E 2B 34 02 0B 01 01 0E 01 03 01 01 00 00 00 | BER length | 02 08 time .. | items | 01 02 checksum |
package struct UASDatalinkSet: Equatable, Sendable {
  static let key: [UInt8] = [
    0x06, 0x0E, 0x2B, 0x34, 0x02, 0x0B, 0x01, 0x01, 0x0E, 0x01, 0x03, 0x01, 0x01, 0x00, 0x00, 0x00,
  ]

  /// Item 2: microseconds since 1970-01-01 UTC.
  package var time_us: Int64
  /// Item 13, degrees, north positive, -90 to 90.
  package var latitude_deg: Double?
  /// Item 14, degrees, east positive, -180 to 180.
  package var longitude_deg: Double?
  /// Item 15, metres above mean sea level, -900 to 19,000.
  package var altitude_m: Double?

  enum Fault: Error, Equatable {
    case malformed
    case checksum
  }

  /// - Parameters:
  ///   - set: the whole set, key and length included; its checksum is over all but the checksum's own two bytes.
  ///   - content: the part of `set` behind the length.
  init(set: ArraySlice<UInt8>, content: ArraySlice<UInt8>) throws(Fault) {
    var reader = KeyLengthValue(content)
    var time: Int64?
    var checksum: UInt16?
    while let (tag, value) = reader.item() {
      switch tag {
      case 1 where value.count == 2:
        // It is the last item; what its value covers ends where it begins.
        guard reader.isAtEnd else { throw .malformed }
        checksum = UInt16(truncatingIfNeeded: Self.unsigned(value))
      case 2 where value.count == 8: time = Int64(exactly: Self.unsigned(value))
      case 13 where value.count == 4: latitude_deg = Self.angle(value, range: 90)
      case 14 where value.count == 4: longitude_deg = Self.angle(value, range: 180)
      case 15 where value.count == 2: altitude_m = Double(Self.unsigned(value)) / 65_535 * 19_900 - 900
      default: break
      }
    }
    guard reader.isAtEnd, let checksum else { throw .malformed }
    guard checksum == Self.checksum(set.dropLast(2)) else { throw .checksum }
    guard let time else { throw .malformed }
    time_us = time
  }

  /// The 16-bit sum of big-endian pairs (ST 0601, 6.5).
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
    var sum: UInt16 = 0
    for (index, byte) in bytes.enumerated() { sum &+= UInt16(byte) << (index & 1 == 0 ? 8 : 0) }
    return sum
  }

  private static func unsigned(_ value: ArraySlice<UInt8>) -> UInt64 { value.reduce(0) { $0 << 8 | UInt64($1) } }

  /// A signed angle over the whole range of 32 bits; the least number says "out of range".
  private static func angle(_ value: ArraySlice<UInt8>, range: Double) -> Double? {
    let number = Int32(truncatingIfNeeded: unsigned(value))
    return number == .min ? nil : Double(number) / 2_147_483_647 * range
  }
}
