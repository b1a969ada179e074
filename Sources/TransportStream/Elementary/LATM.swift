/// AAC frames in the low-overhead transport multiplex, with its synchronisation (LOAS).
///
/// Read is what senders use: one program, one layer, its own configuration in the stream. The frames lie at any
/// bit, so they are copied out.
///
/// Specification: ISO/IEC 14496-3, 1.7.2 (AudioSyncStream), 1.7.3 (AudioMuxElement, StreamMuxConfig).
///
///     | 2B7 (11) | length (13) | useSameStreamMux (1) | [StreamMuxConfig] | { length (8, FF: + the next) | frame } * |
struct LATM: Sendable {
  private var configuration: AACConfiguration?
  private var frames = 1

  mutating func scan(_ data: [UInt8], at index: Int) -> SoundScan {
    guard data[index] == 0x56 else { return .damaged(next: Self.next(data, after: index)) }
    guard index + 3 <= data.count else { return .partial }
    guard data[index + 1] & 0xE0 == 0xE0 else { return .damaged(next: Self.next(data, after: index)) }
    let length = Int(data[index + 1] & 0x1F) << 8 | Int(data[index + 2])
    let end = index + 3 + length
    guard end <= data.count else { return .partial }
    var r = BitReader(Array(data[(index + 3)..<end]))
    guard let found = element(&r) else { return .damaged(next: end) }
    return .found(frames: found, next: end)
  }

  /// Nil where it cannot be read; empty while no configuration has come.
  private mutating func element(_ r: inout BitReader) -> [SoundFrame]? {
    guard let same = r.bit() else { return nil }
    if same == 0, !multiplex(&r) { return nil }
    guard let configuration else { return [] }
    var found: [SoundFrame] = []
    for _ in 0..<frames {
      var length = 0
      while true {
        guard let byte = r.bits(8) else { return nil }
        length += Int(byte)
        if byte != 0xFF { break }
      }
      guard length <= r.remaining / 8 else { return nil }
      var data: [UInt8] = []
      data.reserveCapacity(length)
      for _ in 0..<length {
        guard let byte = r.bits(8) else { return nil }
        data.append(UInt8(byte))
      }
      found.append(
        SoundFrame(
          configuration: .aac(configuration), samples: AACConfiguration.samplesPerFrame,
          rate_hz: configuration.samplingRate_hz, data: data))
    }
    return found
  }

  private mutating func multiplex(_ r: inout BitReader) -> Bool {
    guard let version = r.bit() else { return false }
    // Version 1 with a second version bit is not defined; without it, it brings lengths.
    if version == 1, r.bit() != 0 || !Self.skipValue(&r) { return false }
    guard r.bit() == 1, let more = r.bits(6), r.bits(4) == 0, r.bits(3) == 0 else { return false }
    if version == 1 {
      guard let length = Self.value(&r) else { return false }
      let start = r.offset
      configuration = AACConfiguration(&r)
      guard configuration != nil, start + length >= r.offset else { return false }
      r.skip(start + length - r.offset)
    } else {
      configuration = AACConfiguration(&r)
      guard configuration != nil else { return false }
    }
    // frameLengthType 0: a length before each frame; then the buffer's fullness.
    guard r.bits(3) == 0, r.bits(8) != nil, let other = r.bit() else { return false }
    if other == 1 {
      if version == 1 {
        guard Self.skipValue(&r) else { return false }
      } else {
        while let escape = r.bit(), r.bits(8) != nil { if escape == 0 { break } }
      }
    }
    guard let checked = r.bit() else { return false }
    if checked == 1 { r.skip(8) }
    frames = Int(more) + 1
    return true
  }

  /// LatmGetValue: two bits of byte count, then the bytes.
  private static func value(_ r: inout BitReader) -> Int? {
    guard let count = r.bits(2), let value = r.bits(8 * (Int(count) + 1)) else { return nil }
    return Int(value)
  }

  private static func skipValue(_ r: inout BitReader) -> Bool { value(&r) != nil }

  private static func next(_ data: [UInt8], after index: Int) -> Int {
    data[(index + 1)...].firstIndex(of: 0x56) ?? data.count
  }
}
