/// What the relay must know of an H.265 sequence: its parameter sets, profile and the size of its picture.
///
/// Specification: ITU-T H.265, 7.3.2.2 (sequence parameter set), 7.3.3 (profile, tier and level).
package struct H265Configuration: Equatable, Sendable {
  package var videoParameterSet: [UInt8]
  package var sequenceParameterSet: [UInt8]
  /// All that refer to the sequence parameter set, in the order of their ids; at least one.
  package var pictureParameterSets: [[UInt8]]
  package var width: Int
  package var height: Int
  /// The 12 bytes of general_profile_space ... general_level_idc, as an `hvcC` box repeats them.
  package var profileTierLevel: [UInt8]
  package var chromaFormat: UInt8
  package var bitDepthLuma: UInt8
  package var bitDepthChroma: UInt8

  static let unitSlices: ClosedRange<UInt8> = 0...31
  static let unitsIRAP: ClosedRange<UInt8> = 16...21
  static let unitVPS: UInt8 = 32
  static let unitSPS: UInt8 = 33
  static let unitPPS: UInt8 = 34
  static let unitAUD: UInt8 = 35
  static let unitFiller: UInt8 = 38
  static let unitPrefixSEI: UInt8 = 39

  struct SequenceFacts: Equatable, Sendable {
    /// 0 to 15.
    var id: UInt8
    var width: Int
    var height: Int
    var profileTierLevel: [UInt8]
    var chromaFormat: UInt8
    var bitDepthLuma: UInt8
    var bitDepthChroma: UInt8
  }

  static func sequenceFacts(_ unit: ArraySlice<UInt8>) -> SequenceFacts? {
    let raw = ByteStream.rawPayload(unit.dropFirst(2))
    guard raw.count >= 13 else { return nil }
    var r = BitReader(raw)
    r.skip(4)
    guard let subLayers = r.bits(3), subLayers <= 6 else { return nil }
    r.skip(1 + 96)
    var profilePresent: [Bool] = []
    var levelPresent: [Bool] = []
    for _ in 0..<subLayers {
      guard let profile = r.bit(), let level = r.bit() else { return nil }
      profilePresent.append(profile == 1)
      levelPresent.append(level == 1)
    }
    if subLayers > 0 { r.skip(2 * (8 - Int(subLayers))) }
    for layer in 0..<Int(subLayers) {
      if profilePresent[layer] { r.skip(88) }
      if levelPresent[layer] { r.skip(8) }
    }
    guard let id = r.unsignedExpGolomb(), id <= 15, let chroma = r.unsignedExpGolomb(), chroma <= 3 else { return nil }
    if chroma == 3 { r.skip(1) }
    guard var width = r.unsignedExpGolomb().map(Int.init), var height = r.unsignedExpGolomb().map(Int.init),
      let window = r.bit()
    else { return nil }
    if window == 1 {
      guard let left = r.unsignedExpGolomb(), let right = r.unsignedExpGolomb(),
        let top = r.unsignedExpGolomb(), let bottom = r.unsignedExpGolomb()
      else { return nil }
      width -= (Int(left) + Int(right)) * (chroma == 1 || chroma == 2 ? 2 : 1)
      height -= (Int(top) + Int(bottom)) * (chroma == 1 ? 2 : 1)
    }
    guard let luma = r.unsignedExpGolomb(), luma <= 8, let chromaDepth = r.unsignedExpGolomb(),
      chromaDepth <= 8, (1...H264Configuration.maximumDimension).contains(width),
      (1...H264Configuration.maximumDimension).contains(height)
    else { return nil }
    return SequenceFacts(
      id: UInt8(id), width: width, height: height, profileTierLevel: Array(raw[1..<13]), chromaFormat: UInt8(chroma),
      bitDepthLuma: UInt8(luma) + 8, bitDepthChroma: UInt8(chromaDepth) + 8)
  }
}
