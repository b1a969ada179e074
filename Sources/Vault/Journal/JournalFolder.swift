internal import Foundation
package import Journal

/// Reads a journal's folder: a node's own, or an export. Layout: docs/journal-format.md.
package struct JournalFolder: JournalSource, Sendable {
  /// A bundle of 256 of the largest entries.
  static let maximumBundle_bytes = 256 * (EntryBundle.maximumEntry_bytes + 2)
  static let maximumNote_bytes = 65_536

  package let path: String
  /// The entries of an export for one service, by bundle and place; nil where bundles are there instead.
  private let listed: [UInt64: [Int: [UInt8]]]?
  /// Positions that its list has twice or out of order.
  private let disorder: [UInt64]

  package init(path: String) throws {
    self.path = path
    let list = path + "/entries"
    guard FileManager.default.fileExists(atPath: list) else {
      listed = nil
      disorder = []
      return
    }
    let parsed = try Self.parse(list)
    listed = parsed.entries
    disorder = parsed.disorder
  }

  package func checkpoint() throws -> String? { try text("checkpoint") }

  package func rotations() throws -> [String] {
    try Directories.names(in: path + "/rotations").compactMap { try text("rotations/" + $0) }
  }

  package func tile(level: Int, index: UInt64, width: Int) throws -> [UInt8]? {
    let limit = TilePath.width * TilePath.hash_bytes
    return try bytes(TilePath.hashes(level: level, index: index), limit)
      ?? bytes(TilePath.hashes(level: level, index: index, width: width), limit)
  }

  package func entries(bundle: UInt64, width: Int) throws -> [Int: [UInt8]]? {
    if let listed { return listed[bundle] }
    let growing = try bytes(TilePath.entries(index: bundle), Self.maximumBundle_bytes)
    guard let raw = try growing ?? bytes(TilePath.entries(index: bundle, width: width), Self.maximumBundle_bytes) else {
      return nil
    }
    let entries = EntryBundle.parse(raw).entries
    // What a node has appended since the checkpoint is not of the tree that is verified; an export has no more.
    let kept = growing != nil && width < TilePath.width ? entries.prefix(width) : entries[...]
    return Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($0.offset, $0.element) })
  }

  package func scope() throws -> [String]? {
    try text("scope")?.split(separator: "\n").map(String.init)
  }

  package func surplus(size: UInt64) throws -> [UInt64] { disorder + beyond(size) }

  private func beyond(_ size: UInt64) -> [UInt64] {
    (listed ?? [:]).flatMap { bundle, entries in entries.keys.map { bundle * 256 + UInt64($0) } }
      .filter { $0 >= size }.sorted()
  }

  // MARK: Reading a node's own

  /// The hashes of a tile that may still be growing: stored, or for level 0 from its entries.
  package func hashes(level: Int, index: UInt64, width: Int) throws -> [[UInt8]] {
    if let stored = try tile(level: level, index: index, width: width),
      stored.count >= width * TilePath.hash_bytes
    {
      return (0..<(stored.count / TilePath.hash_bytes)).map {
        Array(stored[($0 * TilePath.hash_bytes)..<(($0 + 1) * TilePath.hash_bytes)])
      }
    }
    if level == 0 {
      let leaves = try bundle(index).map { MerkleHash.leaf($0) }
      guard leaves.count >= width else { throw missing(level, index) }
      return leaves
    }
    // A tile of this level that is not full yet: the roots of the full ones below.
    return try (0..<width).map { offset in
      let below = index * UInt64(TilePath.width) + UInt64(offset)
      return MerkleHash.root(
        of: try hashes(level: level - 1, index: below, width: TilePath.width).prefix(TilePath.width))
    }
  }

  /// The entries of a bundle in order; none where there is no such bundle.
  package func bundle(_ index: UInt64) throws -> [[UInt8]] {
    EntryBundle.parse(try bytes(TilePath.entries(index: index), Self.maximumBundle_bytes) ?? []).entries
  }

  /// Proofs over the tree of `size` entries.
  package func prover(size: UInt64) -> MerkleProver {
    MerkleProver(size: size) { level, index, _ in
      // A tile that is not full is named by the width that it has at this size.
      let count = size >> UInt64(8 * level)
      return try hashes(level: level, index: index, width: Int(min(256, count - index * 256)))
    }
  }

  /// That entry `position` is in the tree of the newest checkpoint, in one text.
  package func proof(of position: UInt64) throws -> String {
    guard let note = try checkpoint(), let signed = SignedNote(note)?.checkpoint else {
      throw VaultError("journal", path, "has no checkpoint")
    }
    guard position < signed.size else {
      throw VaultError("journal", path, "entry \(position) is not signed yet: the checkpoint has \(signed.size)")
    }
    guard
      let entry = try entries(bundle: position / 256, width: Int(min(256, signed.size - position / 256 * 256)))?[
        Int(position % 256)]
    else {
      throw VaultError("journal", path, "entry \(position) is not here: withheld or purged")
    }
    let path = try prover(size: signed.size).inclusion(of: position)
    return InclusionProofNote(entry: entry, position: position, path: path, note: note).text
  }

  /// Full tiles of a level.
  func fullTiles(level: Int) -> UInt64 {
    Self.count { FileManager.default.fileExists(atPath: path + "/" + TilePath.hashes(level: level, index: $0)) }
  }

  /// How many of 0, 1, 2, ... are there, where those that are come first.
  static func count(_ isThere: (UInt64) -> Bool) -> UInt64 {
    guard isThere(0) else { return 0 }
    var low: UInt64 = 0
    var high: UInt64 = 1
    while isThere(high) {
      low = high
      high *= 2
    }
    while high - low > 1 {
      let middle = (low + high) / 2
      if isThere(middle) { low = middle } else { high = middle }
    }
    return high
  }

  // MARK: Files

  private func missing(_ level: Int, _ index: UInt64) -> VaultError {
    VaultError("journal", path + "/" + TilePath.hashes(level: level, index: index), "is not there, or too short")
  }

  /// Nil where there is no such file; any other failure is one.
  private func bytes(_ name: String, _ limit: Int) throws -> [UInt8]? {
    do throws(VaultError) { return try Directories.read(path + "/" + name, limit: limit) } catch {
      if error.number == ENOENT || error.number == ENOTDIR { return nil }
      throw error
    }
  }

  private func text(_ name: String) throws -> String? {
    try bytes(name, Self.maximumNote_bytes).flatMap { String(validating: $0, as: UTF8.self) }
  }

  /// Lines of an entry's position, a space, and its bytes.
  private static func parse(_ path: String) throws -> (entries: [UInt64: [Int: [UInt8]]], disorder: [UInt64]) {
    var out: [UInt64: [Int: [UInt8]]] = [:]
    var disorder: [UInt64] = []
    var last: UInt64?
    let raw = try Directories.read(path, limit: 1 << 34)
    for (number, line) in raw.split(separator: 0x0A).enumerated() {
      guard let space = line.firstIndex(of: 0x20),
        let position = UInt64(String(decoding: line[..<space], as: UTF8.self))
      else { throw VaultError("journal", path, "line \(number + 1) is not a position and an entry") }
      if let last, position <= last { disorder.append(position) }
      last = max(last ?? 0, position)
      out[position / 256, default: [:]][Int(position % 256)] = Array(line[(space + 1)...])
    }
    return (out, disorder)
  }
}
