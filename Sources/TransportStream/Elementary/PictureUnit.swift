/// What one network abstraction layer unit means for the picture it stands in.
///
/// Specification: ITU-T H.264, Table 7-1; ITU-T H.265, Table 7-1.
///
///     H.264 | 0 (1) | nal_ref_idc (2) | type (5) |        H.265 | 0 (1) | type (6) | layer (6) | temporal id (3) |
enum PictureUnit: Equatable, Sendable {
  struct Slice: Equatable, Sendable {
    var startsPicture: Bool
    /// Id of the picture parameter set.
    var parameterSet: UInt8
    var field: H264SliceHeader.Field?
    /// Known of H.264 only.
    var isIntra: Bool
    /// IDR, or any intra random access point.
    var isRandomAccess: Bool
  }

  /// A parameter set, of this unit type.
  case set(UInt8)
  case information(SupplementalInformation)
  case slice(Slice)
  case delimiter
  /// Filler, and what cannot be read.
  case unused
  case other

  /// Time and recovery point are tens of bytes and stand first; captions and the like behind them are not read.
  private static let maximumInformation_bytes = 1024

  init(h264 unit: ArraySlice<UInt8>, _ first: UInt8, sequence: (UInt8) -> H264SequenceParameterSet?) {
    let type = first & 0x1F
    switch type {
    case H264Configuration.unitAUD: self = .delimiter
    case H264Configuration.unitFiller: self = .unused
    case _ where unit.count < 2: self = .unused
    case H264Configuration.unitSPS, H264Configuration.unitPPS: self = .set(type)
    case H264Configuration.unitSEI: self = .information(Self.information(unit.dropFirst()))
    // Of a partitioned slice (2 to 4) the first part has the header.
    case 1, 2, H264Configuration.unitIDR:
      guard let slice = H264SliceHeader(unit, sequence: sequence) else {
        self = .unused
        return
      }
      self = .slice(
        Slice(
          startsPicture: slice.startsPicture, parameterSet: slice.pictureParameterSet, field: slice.field,
          isIntra: slice.isIntra, isRandomAccess: type == H264Configuration.unitIDR))
    default: self = .other
    }
  }

  init(h265 unit: ArraySlice<UInt8>, _ first: UInt8) {
    let type = first >> 1 & 0x3F
    switch type {
    case H265Configuration.unitAUD: self = .delimiter
    case H265Configuration.unitFiller: self = .unused
    case _ where unit.count < 3: self = .unused
    case H265Configuration.unitVPS, H265Configuration.unitSPS, H265Configuration.unitPPS: self = .set(type)
    case H265Configuration.unitPrefixSEI: self = .information(Self.information(unit.dropFirst(2)))
    case H265Configuration.unitSlices:
      guard let slice = H265ParameterSets.slice(unit, type: type) else {
        self = .unused
        return
      }
      self = .slice(
        Slice(
          startsPicture: slice.startsPicture, parameterSet: slice.pictureParameterSet, field: nil, isIntra: false,
          isRandomAccess: H265Configuration.unitsIRAP.contains(type)))
    default: self = .other
    }
  }

  /// Whether a picture that has slices ends before this unit.
  func mayStartPicture(after field: H264SliceHeader.Field?) -> Bool {
    switch self {
    case .set, .information, .delimiter: true
    case .slice(let slice): slice.startsPicture || slice.field != field
    case .unused, .other: false
    }
  }

  private static func information(_ payload: ArraySlice<UInt8>) -> SupplementalInformation {
    SupplementalInformation(ByteStream.rawPayload(payload.prefix(maximumInformation_bytes)))
  }
}
