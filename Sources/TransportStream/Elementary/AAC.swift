/// How an AAC stream is coded.
///
/// Specification: ISO/IEC 14496-3, 1.6.2.1 (AudioSpecificConfig), 1.6.5 (explicit signalling of SBR and PS).
///
///     | object type (5) | rate index (4) | channels (4) | [5 or 29: rate index (4) | object type (5)] | 000 |
package struct AACConfiguration: Equatable, Sendable {
  package static let samplesPerFrame = 1024
  static let rates_hz = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
  ]

  /// Spectral band replication, said in the configuration.
  package struct Extension: Equatable, Sendable {
    /// 5 for replication, 29 with parametric stereo.
    package var objectType: UInt8
    package var samplingIndex: UInt8
  }

  package var objectType: UInt8
  package var samplingIndex: UInt8
  package var channels: UInt8
  package var replication: Extension?

  package init(objectType: UInt8, samplingIndex: UInt8, channels: UInt8, replication: Extension? = nil) {
    self.objectType = objectType
    self.samplingIndex = samplingIndex
    self.channels = channels
    self.replication = replication
  }

  /// Of the core, by which frames are counted.
  package var samplingRate_hz: Int { Self.rates_hz[Int(samplingIndex)] }

  /// The two or four bytes of an AudioSpecificConfig.
  package var audioSpecificConfig: [UInt8] {
    guard let more = replication else {
      return [objectType << 3 | samplingIndex >> 1, samplingIndex << 7 | channels << 3]
    }
    return [
      more.objectType << 3 | samplingIndex >> 1, samplingIndex << 7 | channels << 3 | more.samplingIndex >> 1,
      more.samplingIndex << 7 | objectType << 2, 0,
    ]
  }

  /// Reads an AudioSpecificConfig; nil for what is not written above (other codings, a rate in Hz, 960 samples).
  init?(_ r: inout BitReader) {
    guard let first = r.bits(5), let rate = r.bits(4), rate < 13, let channels = r.bits(4), (1...7).contains(channels)
    else { return nil }
    var type = first
    if first == 5 || first == 29 {
      guard let more = r.bits(4), more < 13, let core = r.bits(5) else { return nil }
      replication = Extension(objectType: UInt8(first), samplingIndex: UInt8(more))
      type = core
    }
    guard (1...4).contains(type), r.bit() == 0, let dependent = r.bit() else { return nil }
    if dependent == 1 { r.skip(14) }
    guard r.bit() == 0 else { return nil }
    objectType = UInt8(type)
    samplingIndex = UInt8(rate)
    self.channels = UInt8(channels)
  }
}
