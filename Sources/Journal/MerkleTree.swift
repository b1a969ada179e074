import Crypto

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
