/// AAC in ADTS framing.
///
/// Specification: ISO/IEC 13818-7, 6.2 (ADTS); ISO/IEC 14496-3, 1.6.2.1 (AudioSpecificConfig).
///
///     | FFF | ID LL PA | profile (2) sfi (4) p | channels (3) .... | frame_length (13) | fullness | blocks |
package struct AACConfiguration: Equatable, Sendable {
  package static let samplesPerFrame = 1024
  private static let rates = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
  ]

  package var objectType: UInt8
  package var samplingIndex: UInt8
  package var channels: UInt8

  package var samplingRate_hz: Int { Self.rates[Int(samplingIndex)] }

  /// The two bytes of an AudioSpecificConfig.
  package var audioSpecificConfig: [UInt8] {
    [objectType << 3 | samplingIndex >> 1, samplingIndex << 7 | channels << 3]
  }

  /// Splits ADTS frames; what follows the last whole frame is left for the next PES packet.
  static func frames(_ data: [UInt8]) -> (frames: [(AACConfiguration, ArraySlice<UInt8>)], damaged: Bool) {
    var result: [(AACConfiguration, ArraySlice<UInt8>)] = []
    var index = 0
    while index + 7 <= data.count {
      guard data[index] == 0xFF, data[index + 1] & 0xF6 == 0xF0 else { return (result, true) }
      let header = data[index + 1] & 1 == 1 ? 7 : 9
      let sampling = data[index + 2] >> 2 & 0x0F
      let length = Int(data[index + 3] & 3) << 11 | Int(data[index + 4]) << 3 | Int(data[index + 5] >> 5)
      guard Int(sampling) < rates.count, length > header, index + length <= data.count else {
        return (result, true)
      }
      let configuration = AACConfiguration(
        objectType: (data[index + 2] >> 6) + 1, samplingIndex: sampling,
        channels: (data[index + 2] & 1) << 2 | data[index + 3] >> 6)
      result.append((configuration, data[(index + header)..<(index + length)]))
      index += length
    }
    return (result, index != data.count)
  }
}
