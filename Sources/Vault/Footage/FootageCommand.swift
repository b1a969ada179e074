package import Crypto
package import Footage

/// A chunk that is on the disk and flushed.
package struct CommittedChunk: Sendable {
  package var part: String
  package var header: ChunkHeader
  package var fileOffset: Int64
  /// Chain hash after the chunk.
  package var head: [UInt8]
  /// The plaintext of a gap or close chunk.
  package var note: [UInt8]?
}

/// What the writer is asked to do with a part.
package enum FootageCommand: Sendable {
  /// Makes the file. `after` names the part whose chain head goes into the header.
  case open(part: String, path: String, header: PartHeader, key: SymmetricKey, after: String?)
  /// A broken part has no continuation: what it did not take is dropped.
  case abandon(part: String)
  /// Takes up a recovered file.
  case resume(part: String, path: String, chain: ChainState, key: SymmetricKey)
  case append(part: String, ChunkContent)
  /// Appends the close chunk, flushes and lets go of the file and its key.
  case close(part: String, ChunkContent)

  /// What it counts for in the line's bound.
  var weight_bytes: Int {
    switch self {
    case .append(_, let content), .close(_, let content): content.weight_bytes
    case .open, .resume, .abandon: 1024
    }
  }
}

extension ChunkContent {
  var weight_bytes: Int { plaintext.count + 256 }
}

/// What the writer tells of its work, on its own thread, in order.
package enum FootageOutcome: Sendable {
  /// The file is there and its name is durable.
  case opened(part: String, path: String)
  case committed([CommittedChunk])
  case closed(part: String, chunkCount: UInt64, head: [UInt8], file_bytes: Int64)
  /// Writing a part fails now; chunks are dropped and become a gap until it works again.
  case failing(part: String, VaultError)
  /// It works again.
  case mended(part: String)
  /// The disk did not take what was written: the file stays as it is up to its last committed chunk, and what was not
  /// committed is written first thing into the part that is opened after it.
  case broken(part: String, VaultError)
}
