/// Reads bits and Exp-Golomb codes from a raw byte sequence payload, emulation prevention already removed.
///
/// Specification: ITU-T H.264, 9.1. Reading past the end gives nil, never a trap.
struct BitReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func bit() -> UInt32? {
    guard position >= 0, position < bytes.count * 8 else { return nil }
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

  /// Bits left; negative where more was skipped than there was.
  var remaining: Int { bytes.count * 8 - position }

  /// Bits read or skipped so far.
  var offset: Int { position }

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
