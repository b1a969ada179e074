package import Crypto
internal import Footage
internal import Vault

/// One part to be read: its file and its key.
package struct MasterPart: Sendable {
  /// Identifier of the part.
  package var name: String
  package var path: String
  package var key: SymmetricKey
  /// Chunks beyond these are not the part's.
  package var chunkCount: Int64

  package init(name: String, path: String, key: SymmetricKey, chunkCount: Int64) {
    self.name = name
    self.path = path
    self.key = key
    self.chunkCount = chunkCount
  }
}

/// Reads what the camera sent out of a recording's parts, in its order, byte for byte.
///
/// Two passes over each file: the first checks the chain and learns the order, before anything is handed out; the second
/// opens the chunks by (epoch, first sequence). Memory: one chunk, and the headers.
// P4, INT-1, INT-4, INT-5.
package struct MasterReader {
  private let parts: [(part: MasterPart, survey: MasterSurvey)]
  /// What is not as it was written, in order; none in an unharmed recording.
  package let altered: [AlteredChunk]

  /// Surveys every part: blocking, at the speed of the disk.
  package init(_ parts: [MasterPart]) throws {
    self.parts = try parts.map { ($0, try MasterSurvey($0)) }
    altered = self.parts.flatMap(\.survey.altered)
  }

  /// Gives every chunk that is as it was written.
  package func read(_ body: ([UInt8]) async throws -> Void) async throws {
    for (part, survey) in parts {
      let file = try ChunkFile(path: part.path)
      for place in survey.places {
        let sealed = try file.sealed(place.header, at: place.offset)
        try await body(try place.header.open(sealed, key: part.key, fileOffset: place.offset))
      }
    }
  }
}
