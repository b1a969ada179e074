package import Crypto
internal import Footage
internal import Vault

/// One part to be read: its file and its key.
package struct MasterPart: Sendable {
  package var path: String
  package var key: SymmetricKey

  package init(path: String, key: SymmetricKey) {
    self.path = path
    self.key = key
  }
}

/// Reads what the camera sent out of a recording's parts, in its order, byte for byte.
///
/// Two passes over each file: the first checks the chain and learns the order, the second opens the chunks by
/// (epoch, first sequence). Memory: one chunk, and the headers.
// P4, INT-4, INT-5.
package enum MasterReader {
  package static func read(_ parts: [MasterPart], _ body: ([UInt8]) async throws -> Void) async throws {
    for part in parts {
      let places = try chunks(of: part)
      let file = try ChunkFile(path: part.path)
      for place in places {
        let sealed = try file.sealed(place.header, at: place.offset)
        try await body(try place.header.open(sealed, key: part.key, fileOffset: place.offset))
      }
    }
  }

  /// The media of a part in the camera's order.
  private static func chunks(of part: MasterPart) throws -> [(header: ChunkHeader, offset: Int)] {
    var reader = try PartReader(path: part.path, key: nil)
    var places: [(header: ChunkHeader, offset: Int)] = []
    while let items = try reader.next() {
      for item in items where item.header.kind == .media || item.header.kind == .fill {
        places.append((item.header, item.fileOffset))
      }
    }
    return places.sorted {
      ($0.header.epoch, $0.header.firstSequence) < ($1.header.epoch, $1.header.firstSequence)
    }
  }
}
