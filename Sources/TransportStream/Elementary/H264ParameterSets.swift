/// The parameter sets an H.264 stream has sent, by id, and the configuration they make.
///
/// Bounded: 32 and 256 ids, each set at most ``maximumSet_bytes``.
struct H264ParameterSets: Sendable {
  /// A set with all its scaling lists and its usability information stays under 1 KiB.
  static let maximumSet_bytes = 4096

  private var sequences: [UInt8: (unit: [UInt8], facts: H264SequenceParameterSet)] = [:]
  private var pictures: [UInt8: (unit: [UInt8], sequence: UInt8)] = [:]

  /// Takes a set; says whether it is another than before, nil where it cannot be read.
  mutating func keep(_ unit: ArraySlice<UInt8>, type: UInt8) -> Bool? {
    guard unit.count <= Self.maximumSet_bytes else { return nil }
    if type == H264Configuration.unitSPS {
      guard let facts = H264SequenceParameterSet(unit) else { return nil }
      guard sequences[facts.id]?.unit.elementsEqual(unit) != true else { return false }
      sequences[facts.id] = (Array(unit), facts)
      return true
    }
    var r = BitReader(ByteStream.rawPayload(unit.dropFirst().prefix(16)))
    guard let id = r.unsignedExpGolomb(), id <= 255, let sequence = r.unsignedExpGolomb(), sequence <= 31 else {
      return nil
    }
    guard pictures[UInt8(id)]?.unit.elementsEqual(unit) != true else { return false }
    pictures[UInt8(id)] = (Array(unit), UInt8(sequence))
    return true
  }

  func sequence(ofPicture id: UInt8) -> H264SequenceParameterSet? {
    guard let picture = pictures[id] else { return nil }
    return sequences[picture.sequence]?.facts
  }

  /// What a decoder needs for a picture that refers to this picture parameter set; nil while a set is missing.
  func configuration(picture id: UInt8) -> H264Configuration? {
    guard let used = pictures[id]?.sequence, let sequence = sequences[used] else { return nil }
    let sets = pictures.keys.sorted().compactMap { pictures[$0] }.filter { $0.sequence == used }.map(\.unit)
    return H264Configuration(
      sequenceParameterSet: sequence.unit, pictureParameterSets: sets, width: sequence.facts.width,
      height: sequence.facts.height, chromaFormat: sequence.facts.chromaFormat,
      bitDepthLuma: sequence.facts.bitDepthLuma, bitDepthChroma: sequence.facts.bitDepthChroma)
  }
}
