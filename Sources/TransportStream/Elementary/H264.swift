/// What the relay must know of an H.264 sequence: its parameter sets and the size of its picture.
///
/// Specification: ITU-T H.264, 7.3.2.1.1 (sequence parameter set), Table 7-1 (unit types).
package struct H264Configuration: Equatable, Sendable {
  package var sequenceParameterSet: [UInt8]
  package var pictureParameterSet: [UInt8]
  package var width: Int
  package var height: Int

  static let unitIDR: UInt8 = 5
  static let unitSPS: UInt8 = 7
  static let unitPPS: UInt8 = 8
  static let unitAUD: UInt8 = 9
  static let unitFiller: UInt8 = 12

  /// A picture is at most this wide or high (level 6.2).
  static let maximumDimension = 16_384

  static func pictureSize(_ unit: ArraySlice<UInt8>) -> (width: Int, height: Int)? {
    guard unit.count >= 4 else { return nil }
    var r = BitReader(ByteStream.rawPayload(unit.dropFirst()))
    guard let profile = r.bits(8) else { return nil }
    r.skip(16)
    guard r.unsignedExpGolomb() != nil else { return nil }
    var chroma: UInt32 = 1
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134].contains(profile) {
      guard let format = r.unsignedExpGolomb(), format <= 3 else { return nil }
      chroma = format
      if format == 3 { r.skip(1) }
      guard r.unsignedExpGolomb() != nil, r.unsignedExpGolomb() != nil else { return nil }
      r.skip(1)
      guard let scaling = r.bit() else { return nil }
      if scaling == 1 {
        for list in 0..<(format == 3 ? 12 : 8) {
          guard let present = r.bit() else { return nil }
          if present == 1, !skipScalingList(&r, size: list < 6 ? 16 : 64) { return nil }
        }
      }
    }
    guard r.unsignedExpGolomb() != nil, let orderType = r.unsignedExpGolomb() else { return nil }
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
      let frameOnly = r.bit()
    else { return nil }
    if frameOnly == 0 { r.skip(1) }
    r.skip(1)
    guard let cropping = r.bit() else { return nil }
    var width = (Int(widthInMacroblocks) + 1) * 16
    var height = (Int(heightInMapUnits) + 1) * 16 * (frameOnly == 1 ? 1 : 2)
    if cropping == 1 {
      guard let left = r.unsignedExpGolomb(), let right = r.unsignedExpGolomb(),
        let top = r.unsignedExpGolomb(), let bottom = r.unsignedExpGolomb()
      else { return nil }
      let unitX = chroma == 1 || chroma == 2 ? 2 : 1
      let unitY = (chroma == 1 ? 2 : 1) * (frameOnly == 1 ? 1 : 2)
      width -= (Int(left) + Int(right)) * unitX
      height -= (Int(top) + Int(bottom)) * unitY
    }
    guard (1...maximumDimension).contains(width), (1...maximumDimension).contains(height) else { return nil }
    return (width, height)
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
