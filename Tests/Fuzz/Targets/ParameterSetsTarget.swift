@testable import FragmentedMP4
@testable import TransportStream

/// Parameter sets of H.264 and H.265, slice headers, the byte stream's units, and the start of a file made of them.
///
/// Invariants: a picture has a size that a decoder takes; units lie inside the bytes, in order, never overlapping;
/// the file's start is whole.
enum ParameterSetsTarget {
  static func run(_ input: [UInt8]) throws {
    let units = ByteStream.units(input)
    try inOrder(units.map(\.indices), input.count)
    try hold(units.count <= ByteStream.maximumUnits, "\(units.count) units")
    try hold(ByteStream.rawPayload(input[...]).count <= input.count, "a payload longer than its unit")
    // A seed may be one bare unit.
    let all = units.isEmpty ? [input[...]] : units
    try h264(all)
    try h265(all)
    // Signed codes of any bits.
    var reader = BitReader(input)
    while reader.signedExpGolomb() != nil {}
  }

  private static func h264(_ units: [ArraySlice<UInt8>]) throws {
    var sets = H264ParameterSets()
    for unit in units {
      guard let first = unit.first else { continue }
      _ = H264SliceHeader(unit, sequence: { sets.sequence(ofPicture: $0) })
      guard [H264Configuration.unitSPS, H264Configuration.unitPPS].contains(first & 0x1F) else { continue }
      _ = sets.keep(unit, type: first & 0x1F)
      if first & 0x1F == H264Configuration.unitSPS, let found = H264SequenceParameterSet(unit) {
        try size(found.width, found.height)
      }
    }
    for id in UInt8.min...31 {
      guard let configuration = sets.configuration(picture: id) else { continue }
      try size(configuration.width, configuration.height)
      try start(.h264(configuration))
    }
  }

  private static func h265(_ units: [ArraySlice<UInt8>]) throws {
    var sets = H265ParameterSets()
    for unit in units {
      guard let first = unit.first else { continue }
      let type = first >> 1 & 0x3F
      if H265Configuration.unitSlices.contains(type) { _ = H265ParameterSets.slice(unit, type: type) }
      guard (H265Configuration.unitVPS...H265Configuration.unitPPS).contains(type) else { continue }
      _ = sets.keep(unit, type: type)
    }
    for id in UInt8.min...63 {
      guard let configuration = sets.configuration(picture: id) else { continue }
      try size(configuration.width, configuration.height)
      try hold(configuration.profileTierLevel.count == 12, "a profile of \(configuration.profileTierLevel.count) bytes")
      try start(.h265(configuration))
    }
  }

  private static func size(_ width: Int, _ height: Int) throws {
    let dimensions = 1...H264Configuration.maximumDimension
    try hold(dimensions.contains(width) && dimensions.contains(height), "a picture of \(width) x \(height)")
  }

  private static func inOrder(_ ranges: [Range<Int>], _ count: Int) throws {
    var end = 0
    for range in ranges {
      try hold(range.lowerBound >= end && range.upperBound <= count && !range.isEmpty, "\(range) after \(end)")
      end = range.upperBound
    }
  }

  static func start(_ configuration: TrackConfiguration) throws {
    let segment = InitializationSegment(tracks: [Track(id: 1, configuration: configuration)])
    try hold(try Boxes.names(segment.bytes[...]) == ["ftyp", "moov"], "an initialization that is none")
  }
}
