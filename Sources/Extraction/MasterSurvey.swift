internal import Crypto
internal import Footage
internal import Vault

/// A chunk of a master that is not what was written.
package struct AlteredChunk: Equatable, Sendable {
  package var part: String
  /// Its index in the part; the index at which reading went on, where its header is not readable either.
  package var chunk: UInt64
  package var sentence: String
}

/// Where the media of a part lies in its file, and what of it is altered.
struct MasterSurvey: Sendable {
  private(set) var places: [(header: ChunkHeader, offset: Int)] = []
  private(set) var altered: [AlteredChunk] = []

  /// Reads a whole file: by its chain, which needs no opening; where that is broken, by what the key authenticates.
  init(_ part: MasterPart) throws {
    do { try survey(part, key: nil) } catch is FootageError {
      // The chain says that something was altered, the key says what.
      places = []
      do { try survey(part, key: part.key) } catch let error as Broken {
        altered.append(AlteredChunk(part: part.name, chunk: error.chunk, sentence: "\(error.cause)"))
        try salvage(part, from: error.offset, after: error.chunk)
      }
    }
    places.removeAll { $0.header.index >= UInt64(clamping: part.chunkCount) }
  }

  /// Where a reading with the key came to its end.
  private struct Broken: Error {
    var chunk: UInt64
    var offset: Int
    var cause: FootageError
  }

  private mutating func survey(_ part: MasterPart, key: SymmetricKey?) throws {
    var reader = PartReader(part.source, key: key)
    do {
      while let items = try reader.next() { for item in items { add(item.header, item.fileOffset) } }
    } catch let error as FootageError {
      let state = reader.state
      guard key != nil, let chain = state.chain else { throw error }
      throw Broken(chunk: chain.nextIndex, offset: state.validLength, cause: error)
    }
  }

  private mutating func add(_ header: ChunkHeader, _ offset: Int) {
    if header.kind == .media || header.kind == .fill { places.append((header, offset)) }
  }

  /// Goes on behind an altered chunk: each further one must be authentic under the part's key, and later in the chain.
  private mutating func salvage(_ part: MasterPart, from start: Int, after index: UInt64) throws {
    let file = ChunkFile(part.source)
    var offset = start
    var next = index
    // Behind a chunk that does not open, its own bytes are passed over.
    var isInside = true
    while let found = try file.nextMagic(from: offset) {
      if found > offset, !isInside, altered.last?.chunk != next {
        altered.append(AlteredChunk(part: part.name, chunk: next, sentence: "bytes \(offset) to \(found) are no chunk"))
      }
      guard let header = try file.header(at: found), header.index >= next,
        let sealed = try? file.sealed(header, at: found)
      else {
        isInside = true
        offset = found + 1
        continue
      }
      if (try? header.open(sealed, key: part.key, fileOffset: found)) != nil {
        add(header, found)
        next = header.index + 1
        isInside = false
        offset = found + header.chunkLength
      } else {
        if altered.last?.chunk != header.index {
          altered.append(
            AlteredChunk(part: part.name, chunk: header.index, sentence: "chunk \(header.index) was altered"))
        }
        next = header.index + 1
        isInside = true
        offset = found + 1
      }
    }
  }
}
