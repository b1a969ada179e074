/// Proofs over a tree whose hashes are looked up, a tile at a time.
///
/// Specification: RFC 6962, 2.1.1 and 2.1.2; verification as in RFC 9162, 2.1.3.2 and 2.1.4.2.
package struct MerkleProver {
  package enum Failure: Error, Equatable, Sendable { case outOfRange }

  /// The hashes of a tile, at least `width` of them; level 0 has the leaves.
  package typealias Tiles = (_ level: Int, _ index: UInt64, _ width: Int) throws -> [[UInt8]]

  private let size: UInt64
  private let tiles: Tiles

  /// - Parameter size: leaves of the tree that the proofs are for.
  package init(size: UInt64, tiles: @escaping Tiles) {
    self.size = size
    self.tiles = tiles
  }

  package func root() throws -> [UInt8] { size == 0 ? MerkleHash.empty : try subtree(0, size) }

  /// The audit path of a leaf.
  package func inclusion(of position: UInt64) throws -> [[UInt8]] {
    guard position < size else { throw Failure.outOfRange }
    return try path(position, 0, size)
  }

  /// That the first `old` leaves are those of the tree of that size.
  package func consistency(from old: UInt64) throws -> [[UInt8]] {
    guard old <= size else { throw Failure.outOfRange }
    guard old > 0, old < size else { return [] }
    return try proof(old, 0, size, isWhole: true)
  }

  private func path(_ position: UInt64, _ low: UInt64, _ high: UInt64) throws -> [[UInt8]] {
    guard high - low > 1 else { return [] }
    let middle = low + Self.split(high - low)
    return position < middle
      ? try path(position, low, middle) + [try subtree(middle, high)]
      : try path(position, middle, high) + [try subtree(low, middle)]
  }

  private func proof(_ old: UInt64, _ low: UInt64, _ high: UInt64, isWhole: Bool) throws -> [[UInt8]] {
    if old == high { return isWhole ? [] : [try subtree(low, high)] }
    let middle = low + Self.split(high - low)
    return old <= middle
      ? try proof(old, low, middle, isWhole: isWhole) + [try subtree(middle, high)]
      : try proof(old, middle, high, isWhole: false) + [try subtree(low, middle)]
  }

  /// Largest power of two below `count`.
  private static func split(_ count: UInt64) -> UInt64 { 1 << (63 - (count - 1).leadingZeroBitCount) }

  /// Root of the leaves from `low` to `high`; `low` is a multiple of the largest power of two in the range.
  private func subtree(_ low: UInt64, _ high: UInt64) throws -> [UInt8] {
    let count = high - low
    if count & (count - 1) == 0 { return try perfect(level: count.trailingZeroBitCount, index: low / count) }
    let middle = low + Self.split(count)
    return MerkleHash.node(try subtree(low, middle), try subtree(middle, high))
  }

  /// Root of a perfect subtree of 2^level leaves: a run of hashes of one tile.
  private func perfect(level: Int, index: UInt64) throws -> [UInt8] {
    let tileLevel = level / 8
    let run = 1 << (level % 8)
    let first = index * UInt64(run)
    let tile = first / UInt64(TilePath.width)
    let offset = Int(first % UInt64(TilePath.width))
    let hashes = try tiles(tileLevel, tile, offset + run)
    guard hashes.count >= offset + run else { throw Failure.outOfRange }
    return MerkleHash.root(of: hashes[offset..<(offset + run)])
  }
}

package enum MerkleProof {
  /// Whether a leaf is at `position` of the tree of `size` leaves with this root.
  package static func isIncluded(
    leaf: [UInt8], at position: UInt64, of size: UInt64, root: [UInt8], path: [[UInt8]]
  ) -> Bool {
    guard position < size else { return false }
    var node = position
    var last = size - 1
    var hash = leaf
    for sibling in path {
      guard last > 0 else { return false }
      if node & 1 == 1 || node == last {
        hash = MerkleHash.node(sibling, hash)
        while node & 1 == 0, node != 0 {
          node >>= 1
          last >>= 1
        }
      } else {
        hash = MerkleHash.node(hash, sibling)
      }
      node >>= 1
      last >>= 1
    }
    return last == 0 && hash == root
  }

  /// Whether the tree of `old` leaves is the beginning of the tree of `new` leaves.
  package static func isConsistent(
    old: UInt64, oldRoot: [UInt8], new: UInt64, newRoot: [UInt8], proof: [[UInt8]]
  ) -> Bool {
    guard old <= new else { return false }
    if old == new { return oldRoot == newRoot && proof.isEmpty }
    if old == 0 { return oldRoot == MerkleHash.empty && proof.isEmpty }
    var hashes = proof[...]
    if old & (old - 1) == 0 { hashes = ([oldRoot] + proof)[...] }
    guard var first = hashes.popFirst() else { return false }
    var second = first
    var node = old - 1
    var last = new - 1
    while node & 1 == 1 {
      node >>= 1
      last >>= 1
    }
    for hash in hashes {
      guard last > 0 else { return false }
      if node & 1 == 1 || node == last {
        first = MerkleHash.node(hash, first)
        second = MerkleHash.node(hash, second)
        while node & 1 == 0, node != 0 {
          node >>= 1
          last >>= 1
        }
      } else {
        second = MerkleHash.node(second, hash)
      }
      node >>= 1
      last >>= 1
    }
    return last == 0 && first == oldRoot && second == newRoot
  }
}

/// That one entry is in a signed tree, in one text that can be checked offline.
///
/// Specification: C2SP tlog-proof, version 1; `extra` carries the entry.
package struct InclusionProofNote: Equatable, Sendable {
  static let heading = "c2sp.org/tlog-proof@v1"

  package var entry: [UInt8]
  package var position: UInt64
  package var path: [[UInt8]]
  /// The signed checkpoint.
  package var note: String

  package init(entry: [UInt8], position: UInt64, path: [[UInt8]], note: String) {
    self.entry = entry
    self.position = position
    self.path = path
    self.note = note
  }

  package var text: String {
    let lines = [Self.heading, "extra \(Base64.encode(entry))", "index \(position)"] + path.map { Base64.encode($0) }
    return lines.joined(separator: "\n") + "\n\n" + note
  }

  package init?(_ text: String) {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
    guard lines.popFirst() == Self.heading[...], let extra = lines.popFirst(), extra.hasPrefix("extra "),
      let entry = Base64.decode(String(extra.dropFirst(6))), let index = lines.popFirst(), index.hasPrefix("index "),
      let position = UInt64(index.dropFirst(6))
    else { return nil }
    var path: [[UInt8]] = []
    while let line = lines.popFirst(), !line.isEmpty {
      guard let hash = Base64.decode(String(line)), hash.count == TilePath.hash_bytes, path.count < 64 else {
        return nil
      }
      path.append(hash)
    }
    self.init(entry: entry, position: position, path: path, note: lines.joined(separator: "\n"))
  }

  /// The checkpoint that the entry is in, where the proof and its signature hold.
  package func verified(by key: VerifierKey) -> Checkpoint? {
    guard let checkpoint = Checkpoint(note: note, key: key),
      MerkleProof.isIncluded(
        leaf: MerkleHash.leaf(entry), at: position, of: checkpoint.size, root: checkpoint.root, path: path)
    else { return nil }
    return checkpoint
  }
}
