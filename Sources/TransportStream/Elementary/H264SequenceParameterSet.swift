/// What is used of an H.264 sequence parameter set.
///
/// Specification: ITU-T H.264, 7.3.2.1.1; E.1 (the usability information, not read).
///
///     | profile_idc (8) | constraints (8) | level_idc (8) | id ue | [chroma, bit depths, scaling] | log2_max_frame_num ue |
///     | order of pictures | reference frames ue | .. (1) | width ue | height ue | frame_mbs_only (1) .. | cropping | vui |
struct H264SequenceParameterSet: Equatable, Sendable {
  /// 0 to 31.
  var id: UInt8
  var width: Int
  var height: Int
  var chromaFormat: UInt8 = 1
  var bitDepthLuma: UInt8 = 8
  var bitDepthChroma: UInt8 = 8
  /// Colour planes coded apart: a slice header then names its plane.
  var separatePlanes = false
  var log2MaximumFrameNumber: Int
  /// False where a picture may be coded as two fields.
  var frameOnly: Bool

  private static let highProfiles: Set<UInt32> = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]
  /// Whether an `avcC` box repeats chroma format and bit depths (ISO/IEC 14496-15, 5.3.3.1.2).
  static func isHigh(_ profile: UInt8) -> Bool { highProfiles.contains(UInt32(profile)) }

  /// - Parameter unit: with its one byte of header. Nil where it cannot be.
  init?(_ unit: ArraySlice<UInt8>) {
    guard unit.count >= 4 else { return nil }
    var r = BitReader(ByteStream.rawPayload(unit.dropFirst()))
    guard let profile = r.bits(8) else { return nil }
    r.skip(16)
    guard let id = r.unsignedExpGolomb(), id <= 31 else { return nil }
    self.id = UInt8(id)
    if Self.highProfiles.contains(profile) {
      guard let format = r.unsignedExpGolomb(), format <= 3 else { return nil }
      chromaFormat = UInt8(format)
      if format == 3 { separatePlanes = r.bit() == 1 }
      guard let luma = r.unsignedExpGolomb(), luma <= 6, let chroma = r.unsignedExpGolomb(), chroma <= 6 else {
        return nil
      }
      bitDepthLuma = 8 + UInt8(luma)
      bitDepthChroma = 8 + UInt8(chroma)
      r.skip(1)
      guard let scaling = r.bit() else { return nil }
      if scaling == 1 {
        for list in 0..<(format == 3 ? 12 : 8) {
          guard let present = r.bit() else { return nil }
          if present == 1, !Self.skipScalingList(&r, size: list < 6 ? 16 : 64) { return nil }
        }
      }
    }
    guard let frameNumber = r.unsignedExpGolomb(), frameNumber <= 12, let orderType = r.unsignedExpGolomb() else {
      return nil
    }
    log2MaximumFrameNumber = Int(frameNumber) + 4
    if orderType == 0 {
      guard r.unsignedExpGolomb() != nil else { return nil }
    } else if orderType == 1 {
      r.skip(1)
      guard r.signedExpGolomb() != nil, r.signedExpGolomb() != nil, let cycle = r.unsignedExpGolomb(),
        cycle <= 255
      else { return nil }
      for _ in 0..<cycle where r.signedExpGolomb() == nil { return nil }
    }
    guard r.unsignedExpGolomb() != nil else { return nil }
    r.skip(1)
    guard let widthInMacroblocks = r.unsignedExpGolomb(), let heightInMapUnits = r.unsignedExpGolomb(),
      let only = r.bit()
    else { return nil }
    frameOnly = only == 1
    if !frameOnly { r.skip(1) }
    r.skip(1)
    guard let cropping = r.bit() else { return nil }
    width = (Int(widthInMacroblocks) + 1) * 16
    height = (Int(heightInMapUnits) + 1) * 16 * (frameOnly ? 1 : 2)
    if cropping == 1 {
      guard let left = r.unsignedExpGolomb(), let right = r.unsignedExpGolomb(),
        let top = r.unsignedExpGolomb(), let bottom = r.unsignedExpGolomb()
      else { return nil }
      let unitX = chromaFormat == 1 || chromaFormat == 2 ? 2 : 1
      let unitY = (chromaFormat == 1 ? 2 : 1) * (frameOnly ? 1 : 2)
      width -= (Int(left) + Int(right)) * unitX
      height -= (Int(top) + Int(bottom)) * unitY
    }
    let sizes = 1...H264Configuration.maximumDimension
    guard sizes.contains(width), sizes.contains(height) else { return nil }
  }

  private static func skipScalingList(_ r: inout BitReader, size: Int) -> Bool {
    var last: Int32 = 8
    var next: Int32 = 8
    for _ in 0..<size {
      if next != 0 {
        guard let delta = r.signedExpGolomb() else { return false }
        next = (last &+ delta &+ 256) & 0xFF
      }
      last = next == 0 ? last : next
    }
    return true
  }
}
