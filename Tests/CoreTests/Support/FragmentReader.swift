/// Reads back what a muxer put out: the samples of each track, as far as a player's clock is concerned.
struct FragmentReader {
  struct Entry: Equatable {
    var decoding: Int64
    var duration: Int64
    var offset: Int64
    var size: Int

    var presentation: Int64 { decoding + offset }
  }

  /// By track number, in order.
  private(set) var tracks: [Int: [Entry]] = [:]

  init(_ fragments: [[UInt8]]) {
    for fragment in fragments {
      for traf in Self.boxes(fragment[...], ["moof", "traf"]) { read(traf) }
    }
  }

  private mutating func read(_ traf: ArraySlice<UInt8>) {
    guard let header = Self.boxes(traf, ["tfhd"]).first, let time = Self.boxes(traf, ["tfdt"]).first else { return }
    let track = Self.number(header, 4, 4)
    var decoding = Int64(Self.number(time, 4, 8))
    for run in Self.boxes(traf, ["trun"]) {
      for index in 0..<Self.number(run, 4, 4) {
        let at = 12 + 16 * index
        let offset = Int64(Int32(truncatingIfNeeded: Self.number(run, at + 12, 4)))
        let entry = Entry(
          decoding: decoding, duration: Int64(Self.number(run, at, 4)), offset: offset,
          size: Self.number(run, at + 4, 4))
        tracks[track, default: []].append(entry)
        decoding += entry.duration
      }
    }
  }

  /// The contents of the boxes that lie at this path.
  static func boxes(_ bytes: ArraySlice<UInt8>, _ path: [String]) -> [ArraySlice<UInt8>] {
    guard let name = path.first else { return [bytes] }
    var found: [ArraySlice<UInt8>] = []
    var rest = bytes
    while rest.count >= 8 {
      let size = number(rest, 0, 4)
      guard size >= 8, size <= rest.count else { return found }
      if Array(rest.dropFirst(4).prefix(4)) == Array(name.utf8) {
        found += boxes(rest.prefix(size).dropFirst(8), Array(path.dropFirst()))
      }
      rest = rest.dropFirst(size)
    }
    return found
  }

  private static func number(_ bytes: ArraySlice<UInt8>, _ offset: Int, _ count: Int) -> Int {
    bytes.dropFirst(offset).prefix(count).reduce(0) { $0 << 8 | Int($1) }
  }
}
