internal import Footage
package import Vault

/// What the index says of a part.
package struct IndexedPart: Sendable {
  package var part: String
  package var recording: String
  package var path: String
  package var isInObjectStore: Bool
  package var isClosed: Bool
  package var chunkCount: Int64
  package var chainHead: [UInt8]
  package var file_bytes: Int64
  package var media_bytes: Int64
  /// A disk failed under it: it ends at its count of chunks without a close, and another part goes on.
  package var isContinued: Bool

  package init(
    part: String, recording: String, path: String, isInObjectStore: Bool, isClosed: Bool, chunkCount: Int64,
    chainHead: [UInt8],
    file_bytes: Int64, media_bytes: Int64, isContinued: Bool
  ) {
    self.part = part
    self.recording = recording
    self.path = path
    self.isInObjectStore = isInObjectStore
    self.isClosed = isClosed
    self.chunkCount = chunkCount
    self.chainHead = chainHead
    self.file_bytes = file_bytes
    self.media_bytes = media_bytes
    self.isContinued = isContinued
  }
}

/// A disagreement between footage and index, or inside the footage.
package struct FootageFinding: Equatable, Sendable, Codable {
  package var recording: String
  package var part: String
  package var code: String
  package var sentence: String
}

/// Walks files and index and reports any disagreement. Needs no key.
///
/// Invariants: (1) a closed part's chain is whole, ends with a close chunk, and its end is what the index
/// says; (2) an open part's file holds at least what is indexed, under the same hash; (3) every file
/// belongs to an indexed part; (4) the media bytes of a closed part are those of its segments.
// INT-1, INT-5.
package enum FootageCheck {
  /// - Parameter open: opens the file, wherever it lies.
  package static func check(
    _ part: IndexedPart, open: (IndexedPart) throws -> any ByteSource
  ) -> [FootageFinding] {
    do { return check(part, in: try open(part)) } catch {
      return [
        FootageFinding(recording: part.recording, part: part.part, code: "unreadable", sentence: "\(error)")
      ]
    }
  }

  package static func check(_ part: IndexedPart, in source: any ByteSource) -> [FootageFinding] {
    func finding(_ code: String, _ sentence: String) -> [FootageFinding] {
      [FootageFinding(recording: part.recording, part: part.part, code: code, sentence: sentence)]
    }
    do {
      var reader = PartReader(source, key: nil)
      var media: Int64 = 0
      var headAtIndex: [UInt8] = []
      do {
        while let items = try reader.next() {
          for item in items {
            if item.header.kind == .media || item.header.kind == .fill { media += Int64(item.header.plaintextLength) }
            if Int64(item.header.index) + 1 == part.chunkCount { headAtIndex = item.chainHead }
          }
        }
      } catch let error as FootageError {
        let state = reader.state
        let due = state.chain?.nextIndex ?? 0
        let chunk = try error.code == .chainBroken ? altered(before: due, at: state.validLength, part, source) : due
        return finding("altered", "chunk \(chunk): \(error)")
      }
      let state = reader.state
      guard let chain = state.chain else { return finding("no-header", "the file has no whole header") }
      if Int64(chain.nextIndex) < part.chunkCount {
        return finding("truncated", "the file holds \(chain.nextIndex) chunks, the index \(part.chunkCount)")
      }
      if part.chunkCount > 0, headAtIndex != part.chainHead {
        return finding("other-chain", "after chunk \(part.chunkCount - 1) the file's chain hash is not the index's")
      }
      guard part.isClosed, !part.isContinued else { return [] }
      if !state.isClosed { return finding("no-close", "the index says closed, the file has no close chunk") }
      if Int64(chain.nextIndex) != part.chunkCount {
        return finding("unindexed", "the file holds \(chain.nextIndex) chunks, the index \(part.chunkCount)")
      }
      if state.pending_bytes > 0 { return finding("trailing", "\(state.pending_bytes) bytes follow the close chunk") }
      if media != part.media_bytes {
        return finding("segments", "the file holds \(media) media bytes, the segments \(part.media_bytes)")
      }
      return []
    } catch {
      return finding("unreadable", "\(error)")
    }
  }

  /// Which of two chunks was altered, where the second does not follow the first: the second is whole if what comes after
  /// it follows it.
  private static func altered(
    before index: UInt64, at offset: Int, _ part: IndexedPart, _ source: any ByteSource
  ) throws -> UInt64 {
    let file = ChunkFile(source)
    guard index > 0, let second = try file.header(at: offset) else { return index }
    let head = second.chainHash(sealed: try file.sealed(second, at: offset))
    let following = try file.header(at: offset + second.chunkLength)?.previous ?? part.chainHead
    return following == head ? index - 1 : index
  }

  /// Files below the footage folder that no indexed part claims; torn ends set aside are not among them.
  package static func strays(root: String, known: Set<String>) -> [String] {
    var strays: [String] = []
    FootageTree.walk(root) { path in
      if !known.contains(path) { strays.append(path) }
    }
    return strays
  }
}
