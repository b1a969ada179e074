import FragmentedMP4
import Relay

@testable import TransportStream

/// The whole way of a live camera's bytes: packets, tables, units, fragments.
///
/// Invariants: how the stream is cut changes nothing; what comes out is bounded by what went in; a fragment
/// never comes before its initialization; boxes tile; fragments are numbered without a hole.
enum TransportStreamTarget {
  /// Bytes put out for each byte taken in: a picture of one packet costs a fragment's boxes, and perhaps a start.
  private static let maximumGrowth = 24

  static func run(_ input: [UInt8]) throws {
    var demuxer = Demuxer()
    let events = demuxer.push(input) + demuxer.finish()
    var lostSync = false
    var unit_bytes = 0
    for event in events {
      switch event {
      case .damage(let damage): if damage.code == .syncLost { lostSync = true }
      case .accessUnit(let unit):
        unit_bytes += unit.data.count
        try hold(unit.data.count <= 2 * ElementaryAssembler.maximumUnit_bytes, "a unit of \(unit.data.count) bytes")
      case .program(let pids):
        try hold(pids.count <= ProgramMapTable.maximumStreams, "a program of \(pids.count) streams")
      default: break
      }
    }
    try hold(unit_bytes <= 2 * input.count, "\(unit_bytes) bytes of units out of \(input.count)")

    var live = LivePipeline(keepsSound: true)
    let whole = live.push(input)
    try check(whole, input.count)
    var cut = LivePipeline(keepsSound: true)
    var pieces: [MuxerOutput] = []
    for piece in Cuts(input, longest: 2000) { pieces += cut.push(Array(piece)) }
    try check(pieces, input.count)
    // Where the next sync byte is looked for depends on how much is there to look at.
    try hold(lostSync || pieces == whole, "cut elsewhere, the stream gives other fragments")

    var muxer = FragmentMuxer(cut: .everyGroup, keepsSound: true)
    try check(events.flatMap { muxer.push($0) } + muxer.finish(), input.count)
  }

  private static func check(_ output: [MuxerOutput], _ input_bytes: Int) throws {
    var started = false
    var size = 0
    var sequence: UInt32 = 0
    for item in output {
      switch item {
      case .initialization(let bytes, let mimeType):
        started = true
        size += bytes.count
        try hold(try Boxes.names(bytes[...]) == ["ftyp", "moov"], "an initialization that is none")
        try hold(mimeType.hasPrefix("video/mp4; codecs=\""), "a type that is none: \(mimeType)")
      case .fragment(let bytes, _):
        try hold(started, "a fragment before its initialization")
        size += bytes.count
        try hold(try Boxes.names(bytes[...]) == ["moof", "mdat"], "a fragment that is none")
        // moof (8), mfhd (12), then its number.
        let number = bytes[20..<24].reduce(0) { $0 << 8 | UInt32($1) }
        try hold(number == sequence + 1, "fragment \(number) after \(sequence)")
        sequence = number
      }
    }
    try hold(size <= maximumGrowth * input_bytes + 65_536, "\(size) bytes of output from \(input_bytes)")
  }
}

/// Walks boxes as a player would. Specification: ISO/IEC 14496-12, 4.2.
enum Boxes {
  private static let containers: Set<String> = ["moov", "trak", "mdia", "minf", "stbl", "dinf", "mvex", "moof", "traf"]

  /// Names of the boxes that tile `bytes`; those inside are checked as well.
  static func names(_ bytes: ArraySlice<UInt8>) throws -> [String] {
    var names: [String] = []
    var rest = bytes
    while !rest.isEmpty {
      try hold(rest.count >= 8, "\(rest.count) bytes where a box is due")
      let size = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
      try hold(size >= 8 && size <= rest.count, "a box of \(size) bytes in \(rest.count)")
      let name = String(decoding: rest.dropFirst(4).prefix(4), as: UTF8.self)
      names.append(name)
      if containers.contains(name) { _ = try Self.names(rest.prefix(size).dropFirst(8)) }
      rest = rest.dropFirst(size)
    }
    return names
  }
}
