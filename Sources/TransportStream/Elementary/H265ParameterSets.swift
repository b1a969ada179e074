/// The parameter sets an H.265 stream has sent, by id, and the configuration they make.
///
/// Specification: ITU-T H.265, 7.3.2.1 to 7.3.2.3 (ids), 7.3.6.1 (slice segment header).
///
///     VPS | header (16) | id (4) ..            SPS | header (16) | VPS id (4) | .. | profile, tier, level | id ue ..
///     PPS | header (16) | id ue | SPS id ue .. slice | header (16) | first (1) | [no_output (1)] | PPS id ue ..
///
/// Bounded: 16, 16 and 64 ids, each set at most ``H264ParameterSets/maximumSet_bytes``.
struct H265ParameterSets: Sendable {
  private var videos: [UInt8: [UInt8]] = [:]
  private var sequences: [UInt8: (unit: [UInt8], video: UInt8, facts: H265Configuration.SequenceFacts)] = [:]
  private var pictures: [UInt8: (unit: [UInt8], sequence: UInt8)] = [:]

  /// Takes a set; says whether it is another than before, nil where it cannot be read.
  mutating func keep(_ unit: ArraySlice<UInt8>, type: UInt8) -> Bool? {
    guard unit.count > 3, unit.count <= H264ParameterSets.maximumSet_bytes else { return nil }
    let first = unit[unit.startIndex + 2]
    switch type {
    case H265Configuration.unitVPS:
      guard videos[first >> 4]?.elementsEqual(unit) != true else { return false }
      videos[first >> 4] = Array(unit)
    case H265Configuration.unitSPS:
      guard let facts = H265Configuration.sequenceFacts(unit) else { return nil }
      guard sequences[facts.id]?.unit.elementsEqual(unit) != true else { return false }
      sequences[facts.id] = (Array(unit), first >> 4, facts)
    default:
      var r = BitReader(ByteStream.rawPayload(unit.dropFirst(2).prefix(16)))
      guard let id = r.unsignedExpGolomb(), id <= 63, let sequence = r.unsignedExpGolomb(), sequence <= 15 else {
        return nil
      }
      guard pictures[UInt8(id)]?.unit.elementsEqual(unit) != true else { return false }
      pictures[UInt8(id)] = (Array(unit), UInt8(sequence))
    }
    return true
  }

  /// Whether a slice segment is a picture's first, and its picture parameter set's id.
  static func slice(_ unit: ArraySlice<UInt8>, type: UInt8) -> (startsPicture: Bool, pictureParameterSet: UInt8)? {
    var r = BitReader(ByteStream.rawPayload(unit.dropFirst(2).prefix(16)))
    guard let first = r.bit() else { return nil }
    if (16...23).contains(type) { r.skip(1) }
    guard let id = r.unsignedExpGolomb(), id <= 63 else { return nil }
    return (first == 1, UInt8(id))
  }

  /// What a decoder needs for a picture that refers to this picture parameter set; nil while a set is missing.
  func configuration(picture id: UInt8) -> H265Configuration? {
    guard let used = pictures[id]?.sequence, let sequence = sequences[used], let video = videos[sequence.video] else {
      return nil
    }
    let sets = pictures.keys.sorted().compactMap { pictures[$0] }.filter { $0.sequence == used }.map(\.unit)
    let facts = sequence.facts
    return H265Configuration(
      videoParameterSet: video, sequenceParameterSet: sequence.unit, pictureParameterSets: sets,
      width: facts.width, height: facts.height, profileTierLevel: facts.profileTierLevel,
      chromaFormat: facts.chromaFormat, bitDepthLuma: facts.bitDepthLuma, bitDepthChroma: facts.bitDepthChroma)
  }
}
