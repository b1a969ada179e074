/// Reads bits and Exp-Golomb codes from a raw byte sequence payload, emulation prevention already removed.
///
/// Specification: ITU-T H.264, 9.1. Reading past the end gives nil, never a trap.
struct BitReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func bit() -> UInt32? {
    guard position < bytes.count * 8 else { return nil }
    defer { position += 1 }
    return UInt32(bytes[position >> 3] >> UInt8(7 - position & 7) & 1)
  }

  /// Up to 32 bits, most significant first.
  mutating func bits(_ count: Int) -> UInt32? {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let next = bit() else { return nil }
      value = value << 1 | next
    }
    return value
  }

  mutating func skip(_ count: Int) { position += count }

  mutating func unsignedExpGolomb() -> UInt32? {
    var zeros = 0
    while true {
      guard let next = bit() else { return nil }
      if next == 1 { break }
      zeros += 1
      guard zeros < 32 else { return nil }
    }
    guard let rest = bits(zeros) else { return nil }
    return (1 << UInt32(zeros)) &- 1 &+ rest
  }

  mutating func signedExpGolomb() -> Int32? {
    guard let code = unsignedExpGolomb() else { return nil }
    let magnitude = Int64(code + 1) / 2
    return Int32(truncatingIfNeeded: code & 1 == 1 ? magnitude : -magnitude)
  }
}

/// Network abstraction layer units of an Annex B byte stream.
enum ByteStream {
  /// The units between start codes (00 00 01), without trailing zero bytes. ITU-T H.264, Annex B.
  static func units(_ data: [UInt8]) -> [ArraySlice<UInt8>] {
    var result: [ArraySlice<UInt8>] = []
    var start: Int?
    var index = 0
    let count = data.count
    while index + 2 < count {
      if data[index + 2] > 1 {
        index += 3
      } else if data[index] == 0, data[index + 1] == 0, data[index + 2] == 1 {
        if let begin = start { append(data[begin..<index], to: &result) }
        start = index + 3
        index += 3
      } else {
        index += 1
      }
    }
    if let begin = start { append(data[begin..<count], to: &result) }
    return result
  }

  private static func append(_ slice: ArraySlice<UInt8>, to result: inout [ArraySlice<UInt8>]) {
    var unit = slice
    while unit.last == 0 { unit.removeLast() }
    if !unit.isEmpty { result.append(unit) }
  }

  /// Removes the emulation prevention bytes (00 00 03) of a unit. ITU-T H.264, 7.4.1.
  static func rawPayload(_ unit: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(unit.count)
    var zeros = 0
    for byte in unit {
      if zeros >= 2, byte == 3 {
        zeros = 0
        continue
      }
      zeros = byte == 0 ? zeros + 1 : 0
      result.append(byte)
    }
    return result
  }
}
