/// What the relay must know of an H.264 sequence: its parameter sets and the size of its picture.
///
/// Specification: ITU-T H.264, Table 7-1 (unit types).
///
///     | forbidden (1) | nal_ref_idc (2) | nal_unit_type (5) | raw byte sequence payload |
package struct H264Configuration: Equatable, Sendable {
  package var sequenceParameterSet: [UInt8]
  /// All that refer to the sequence parameter set, in the order of their ids; at least one.
  package var pictureParameterSets: [[UInt8]]
  package var width: Int
  package var height: Int
  package var chromaFormat: UInt8 = 1
  package var bitDepthLuma: UInt8 = 8
  package var bitDepthChroma: UInt8 = 8

  static let unitIDR: UInt8 = 5
  static let unitSEI: UInt8 = 6
  static let unitSPS: UInt8 = 7
  static let unitPPS: UInt8 = 8
  static let unitAUD: UInt8 = 9
  static let unitFiller: UInt8 = 12

  /// A picture is at most this wide or high (level 6.2).
  static let maximumDimension = 16_384

  /// Whether an `avcC` box carries ``chromaFormat`` and the bit depths.
  package var isHighProfile: Bool {
    sequenceParameterSet.count > 1 && H264SequenceParameterSet.isHigh(sequenceParameterSet[1])
  }
}
