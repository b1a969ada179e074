@testable import FragmentedMP4
@testable import TransportStream

/// Parameter sets of H.264 and H.265, ADTS frames, the byte stream's units, and the start of a file made of them.
///
/// Invariants: a picture has a size that a decoder takes; units and frames lie inside the bytes, in order,
/// never overlapping; the file's start is whole.
enum ParameterSetsTarget {
  static func run(_ input: [UInt8]) throws {
    let dimensions = 1...H264Configuration.maximumDimension
    if let size = H264Configuration.pictureSize(input[...]) {
      try hold(dimensions.contains(size.width) && dimensions.contains(size.height), "a picture of \(size)")
      try start(
        .h264(
          H264Configuration(
            sequenceParameterSet: input, pictureParameterSet: Array(input.suffix(9)), width: size.width,
            height: size.height)))
    }
    if let facts = H265Configuration.sequenceFacts(input[...]) {
      try hold(dimensions.contains(facts.width) && dimensions.contains(facts.height), "a picture of \(facts)")
      try hold(facts.profileTierLevel.count == 12, "a profile of \(facts.profileTierLevel.count) bytes")
      try start(
        .h265(
          H265Configuration(
            videoParameterSet: Array(input.suffix(7)), sequenceParameterSet: input,
            pictureParameterSet: Array(input.suffix(9)), width: facts.width, height: facts.height,
            profileTierLevel: facts.profileTierLevel, chromaFormat: facts.chromaFormat,
            bitDepthLuma: facts.bitDepthLuma, bitDepthChroma: facts.bitDepthChroma)))
    }
    try inOrder(ByteStream.units(input).map(\.indices), input.count)
    try hold(ByteStream.rawPayload(input[...]).count <= input.count, "a payload longer than its unit")
    let (frames, _) = AACConfiguration.frames(input)
    try inOrder(frames.map(\.1.indices), input.count)
    for (configuration, _) in frames {
      try hold(configuration.samplingRate_hz > 0, "a sampling rate of 0")
      try start(.aac(configuration))
    }
    // Signed codes of any bits.
    var reader = BitReader(input)
    while reader.signedExpGolomb() != nil {}
  }

  private static func inOrder(_ ranges: [Range<Int>], _ count: Int) throws {
    var end = 0
    for range in ranges {
      try hold(range.lowerBound >= end && range.upperBound <= count && !range.isEmpty, "\(range) after \(end)")
      end = range.upperBound
    }
  }

  private static func start(_ configuration: TrackConfiguration) throws {
    let segment = InitializationSegment(tracks: [Track(id: 1, configuration: configuration)])
    try hold(try Boxes.names(segment.bytes[...]) == ["ftyp", "moov"], "an initialization that is none")
  }
}
