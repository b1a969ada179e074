/// The start of an H.264 slice: enough to know which picture it belongs to.
///
/// Specification: ITU-T H.264, 7.3.3; 7.4.1.2.4 (first slice of a picture). The order of pictures is not read: what
/// a sender does with it cannot matter here.
///
///     | first_mb_in_slice ue | slice_type ue | pic_parameter_set_id ue | [colour_plane_id (2)] | frame_num |
///     | [field_pic_flag (1) [bottom_field_flag (1)]] | ...
struct H264SliceHeader: Equatable, Sendable {
  struct Field: Equatable, Sendable {
    var frameNumber: UInt32
    var isBottom: Bool
  }

  var startsPicture: Bool
  /// Coded without other pictures.
  var isIntra: Bool
  var pictureParameterSet: UInt8
  /// Set where the slice is one field's of two.
  var field: Field?

  /// Bytes that hold these fields whatever their values, emulation prevention included.
  private static let length = 32

  /// - Parameter sequence: the sequence parameter set of a picture parameter set's id, if it is known.
  init?(_ unit: ArraySlice<UInt8>, sequence: (UInt8) -> H264SequenceParameterSet?) {
    var r = BitReader(ByteStream.rawPayload(unit.dropFirst().prefix(Self.length)))
    guard let first = r.unsignedExpGolomb(), let type = r.unsignedExpGolomb(), let id = r.unsignedExpGolomb(), id <= 255
    else { return nil }
    startsPicture = first == 0
    isIntra = type % 5 == 2 || type % 5 == 4  // Table 7-6: I, SI
    pictureParameterSet = UInt8(id)
    guard let sequence = sequence(UInt8(id)), !sequence.frameOnly else { return }
    if sequence.separatePlanes { r.skip(2) }
    guard let number = r.bits(sequence.log2MaximumFrameNumber), let isField = r.bit() else { return nil }
    if isField == 1 {
      guard let bottom = r.bit() else { return nil }
      field = Field(frameNumber: number, isBottom: bottom == 1)
    }
  }
}
