package import Crypto
internal import Footage
package import Vault

/// One part to be read: where its bytes are, and its key.
package struct MasterPart: Sendable {
  /// Identifier of the part.
  package var name: String
  package var source: any ByteSource
  package var key: SymmetricKey
  /// Chunks beyond these are not the part's.
  package var chunkCount: Int64

  package init(name: String, source: any ByteSource, key: SymmetricKey, chunkCount: Int64) {
    self.name = name
    self.source = source
    self.key = key
    self.chunkCount = chunkCount
  }
}

/// Reads what the camera sent out of a recording's parts, in its order, byte for byte.
///
/// Two passes over each file: the first checks the chain and learns the order, before anything is handed out; the second
/// opens the chunks by (epoch, first sequence) over all parts together: what comes late for a hole before midnight lies in the
/// part after it. Memory: one chunk, and the headers.
// P4, INT-1, INT-4, INT-5.
package struct MasterReader: Sendable {
  private let parts: [(part: MasterPart, survey: MasterSurvey)]
  /// What is not as it was written, in order; none in an unharmed recording.
  package let altered: [AlteredChunk]

  /// Surveys every part: blocking, at the speed of the disk.
  init(_ parts: [MasterPart]) throws {
    self.parts = try parts.map { ($0, try MasterSurvey($0)) }
    altered = self.parts.flatMap(\.survey.altered)
  }

  /// Surveys on a thread of its own.
  package static func survey(_ parts: @escaping @Sendable () throws -> [MasterPart]) async throws -> MasterReader {
    try await BlockingWork.attempt { try MasterReader(try parts()) }
  }

  /// Gives every chunk that is as it was written.
  package func read(_ body: (MasterPiece) async throws -> Void) async throws {
    for (part, index) in order {
      let (part, survey) = parts[part]
      let place = survey.places[index]
      let piece = try await BlockingWork.attempt {
        let sealed = try ChunkFile(part.source).sealed(place.header, at: place.offset)
        return try place.header.open(sealed, key: part.key, fileOffset: place.offset)
      }
      try await body(
        MasterPiece(
          bytes: piece, firstArrival_us: place.header.firstArrival_us, lastArrival_us: place.header.lastArrival_us))
    }
  }

  /// The camera's order over all parts: part, and place in it.
  private var order: [(part: Int, place: Int)] {
    func key(_ at: (part: Int, place: Int)) -> (UInt32, UInt64, Int, Int) {
      let header = parts[at.part].survey.places[at.place].header
      return (header.epoch, header.firstSequence, at.part, at.place)
    }
    return parts.indices.flatMap { part in parts[part].survey.places.indices.map { (part, $0) } }
      .sorted { key($0) < key($1) }
  }
}
