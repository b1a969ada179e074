internal import Crypto

/// SHA-256 hashes of a Merkle tree.
///
/// Specification: RFC 6962, 2.1: leaf = H(00 ‖ entry), node = H(01 ‖ left ‖ right), empty = H().
package enum MerkleHash {
  package static func leaf(_ entry: some Sequence<UInt8>) -> [UInt8] {
    var hash = SHA256()
    hash.update(data: [0x00])
    hash.update(data: Array(entry))
    return Array(hash.finalize())
  }

  package static func node(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(data: [0x01])
    hash.update(data: left)
    hash.update(data: right)
    return Array(hash.finalize())
  }

  package static var empty: [UInt8] { Array(SHA256().finalize()) }

  /// Root over consecutive leaves, or over consecutive roots of equally large perfect subtrees.
  package static func root(of hashes: some Collection<[UInt8]>) -> [UInt8] {
    var frontier = MerkleFrontier()
    for hash in hashes { frontier.append(leaf: hash) }
    return frontier.root
  }
}

/// The right edge of a growing tree: enough to append and to tell the root, in logarithmic space.
package struct MerkleFrontier: Equatable, Sendable {
  /// Number of leaves.
  package private(set) var size: UInt64 = 0
  /// Roots of the perfect subtrees, largest first; their sizes are the set bits of `size`.
  private var peaks: [[UInt8]] = []

  package init() {}

  package mutating func append(leaf: [UInt8]) {
    var hash = leaf
    var bit = size
    while bit & 1 == 1, let left = peaks.popLast() {
      hash = MerkleHash.node(left, hash)
      bit >>= 1
    }
    peaks.append(hash)
    size += 1
  }

  package var root: [UInt8] {
    guard var hash = peaks.last else { return MerkleHash.empty }
    for peak in peaks.dropLast().reversed() { hash = MerkleHash.node(peak, hash) }
    return hash
  }
}

/// The tiles of a growing tree: what is full is handed out once, what is not yet is kept.
package struct TileTree: Equatable, Sendable {
  package struct FullTile: Equatable, Sendable {
    package var level: Int
    package var index: UInt64
    package var hashes: [[UInt8]]

    package init(level: Int, index: UInt64, hashes: [[UInt8]]) {
      self.level = level
      self.index = index
      self.hashes = hashes
    }

    package var bytes: [UInt8] { hashes.flatMap { $0 } }
  }

  /// Number of leaves.
  package private(set) var size: UInt64
  /// The hashes of each level's tile that is not full, lowest level first.
  private var partial: [[[UInt8]]]

  package init() {
    size = 0
    partial = [[]]
  }

  /// Takes up a tree of which only the tiles that are not full are given, lowest level first.
  package init(size: UInt64, partial: [[[UInt8]]]) {
    self.size = size
    self.partial = partial.isEmpty ? [[]] : partial
  }

  /// Appends a leaf; returns the tiles that are full by it, lowest level first.
  package mutating func append(leaf: [UInt8]) -> [FullTile] {
    size += 1
    var full: [FullTile] = []
    var hash = leaf
    var level = 0
    var count = size
    while true {
      if level == partial.count { partial.append([]) }
      partial[level].append(hash)
      guard partial[level].count == TilePath.width else { return full }
      count /= UInt64(TilePath.width)
      full.append(FullTile(level: level, index: count - 1, hashes: partial[level]))
      hash = MerkleHash.root(of: partial[level])
      partial[level] = []
      level += 1
    }
  }

  package var root: [UInt8] {
    var hash: [UInt8]?
    for tile in partial where !tile.isEmpty {
      // A level's hashes are perfect subtrees, each left of and larger than all that lies below.
      var frontier: [(hash: [UInt8], count: Int)] = []
      var rest = tile[...]
      while !rest.isEmpty {
        var take = 1
        while take * 2 <= rest.count { take *= 2 }
        frontier.append((MerkleHash.root(of: rest.prefix(take)), take))
        rest = rest.dropFirst(take)
      }
      for peak in frontier.reversed() { hash = hash.map { MerkleHash.node(peak.hash, $0) } ?? peak.hash }
    }
    return hash ?? MerkleHash.empty
  }
}
