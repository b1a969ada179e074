/// AAC frames with their transport header.
///
/// Specification: ISO/IEC 13818-7, 6.2.
///
///     | FFF | ID LL PA | profile (2) sfi (4) p | channels (3) .... | frame_length (13) | fullness (11) | blocks (2) |
enum ADTS {
  static func scan(_ data: [UInt8], at index: Int) -> SoundScan {
    guard data[index] == 0xFF else { return .damaged(next: next(data, after: index)) }
    guard index + 7 <= data.count else { return .partial }
    let sampling = data[index + 2] >> 2 & 0x0F
    let header = data[index + 1] & 1 == 1 ? 7 : 9
    let length = Int(data[index + 3] & 3) << 11 | Int(data[index + 4]) << 3 | Int(data[index + 5] >> 5)
    guard data[index + 1] & 0xF6 == 0xF0, Int(sampling) < AACConfiguration.rates_hz.count, length > header else {
      return .damaged(next: next(data, after: index))
    }
    guard index + length <= data.count else { return .partial }
    let configuration = AACConfiguration(
      objectType: (data[index + 2] >> 6) + 1, samplingIndex: sampling,
      channels: (data[index + 2] & 1) << 2 | data[index + 3] >> 6)
    let frame = SoundFrame(
      configuration: .aac(configuration),
      samples: AACConfiguration.samplesPerFrame * (Int(data[index + 6] & 3) + 1),
      rate_hz: configuration.samplingRate_hz, data: Array(data[(index + header)..<(index + length)]))
    return .found(frames: [frame], next: index + length)
  }

  private static func next(_ data: [UInt8], after index: Int) -> Int {
    data[(index + 1)...].firstIndex(of: 0xFF) ?? data.count
  }
}
