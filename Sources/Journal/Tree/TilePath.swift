/// Where a tile of the tree lies below the journal's folder.
///
/// Specification: C2SP tlog-tiles. A full tile has 256 hashes of 32 bytes; level 0 has the leaves, each level above
/// the roots of the full tiles below. Bundles hold the entries of a level-0 tile.
///
///     tile/<level>/<index>[.p/<width>]     tile/entries/<index>[.p/<width>]
package enum TilePath {
  /// Hashes in a full tile.
  package static let width = 256
  package static let hash_bytes = 32

  package static func hashes(level: Int, index: UInt64, width: Int = width) -> String {
    "tile/\(level)/\(number(index))\(suffix(width))"
  }

  package static func entries(index: UInt64, width: Int = width) -> String {
    "tile/entries/\(number(index))\(suffix(width))"
  }

  private static func suffix(_ width: Int) -> String { width == Self.width ? "" : ".p/\(width)" }

  /// Groups of three digits; all but the last begin with an x: 1234067 is `x001/x234/067`.
  private static func number(_ index: UInt64) -> String {
    func group(_ value: UInt64) -> String {
      let digits = String(value)
      return String(repeating: "0", count: 3 - digits.count) + digits
    }
    var text = group(index % 1000)
    var rest = index / 1000
    while rest > 0 {
      text = "x\(group(rest % 1000))/\(text)"
      rest /= 1000
    }
    return text
  }
}

/// Entries of a level-0 tile in one file: each a 16-bit big-endian length and its bytes.
package enum EntryBundle {
  package static let maximumEntry_bytes = 65_535

  package static func record(_ entry: [UInt8]) -> [UInt8] {
    [UInt8(truncatingIfNeeded: entry.count >> 8), UInt8(truncatingIfNeeded: entry.count)] + entry
  }

  /// The whole entries at the beginning of `bytes`, and the length they take.
  ///
  /// A tail of zeros is a write that a power cut left without its bytes.
  package static func parse(_ bytes: [UInt8]) -> (entries: [[UInt8]], valid_bytes: Int) {
    var entries: [[UInt8]] = []
    var offset = 0
    while offset + 2 <= bytes.count {
      let size = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
      guard size > 0, offset + 2 + size <= bytes.count else { break }
      entries.append(Array(bytes[(offset + 2)..<(offset + 2 + size)]))
      offset += 2 + size
    }
    return (entries, offset)
  }
}
