@testable import TransportStream

/// A camera's own metadata: key, length, value sets in PES packets, and the time in a picture's user data.
///
/// The first byte of the input says how it is carried. Invariants: positions lie on the globe, time stamps are
/// no accident of an overflow, what is read is never more than what came.
enum MetadataTarget {
  static func run(_ input: [UInt8]) throws {
    let isSynchronous = (input.first ?? 0) & 1 == 1
    var assembler = MetadataAssembler(pid: 0x102, isSynchronous: isSynchronous)
    var unroller = TimestampUnroller()
    var events: [DemuxerEvent] = []
    // Twice, as two packets: a cell that the first leaves open is gone on with by the second.
    for _ in 0..<2 {
      let unit = ElementaryUnit(
        presentation: 90_000, decoding: nil, randomAccess: false, data: Array(input.dropFirst()))
      assembler.push(unit, unroller: &unroller, into: &events)
    }
    try hold(events.count <= 2 * input.count + 2, "\(events.count) events out of \(input.count) bytes")
    for event in events {
      guard case .metadata(let found) = event else { continue }
      if let latitude = found.set.latitude_deg { try hold(abs(latitude) <= 90, "a latitude of \(latitude)") }
      if let longitude = found.set.longitude_deg { try hold(abs(longitude) <= 180, "a longitude of \(longitude)") }
      if let altitude = found.set.altitude_m { try hold((-900...19_000).contains(altitude), "\(altitude) m") }
      try hold(found.set.time_us >= 0, "a time before 1970: \(found.set.time_us)")
    }
    try items(input)
    _ = PrecisionTimeStamp(input[...])
    _ = SupplementalInformation(input)
  }

  private static func items(_ input: [UInt8]) throws {
    var reader = KeyLengthValue(input[...])
    var count = 0
    var end = 0
    while let (_, value) = reader.item() {
      try hold(value.startIndex >= end && value.endIndex <= input.count, "an item outside the set")
      end = value.endIndex
      count += 1
    }
    try hold(count <= KeyLengthValue.maximumItems, "\(count) items")
  }
}
