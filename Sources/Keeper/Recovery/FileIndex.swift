internal import Crypto
internal import Doctrine
internal import Footage
internal import Foundation
internal import Seams
internal import Vault

/// What a part's file says of itself: the rows of its index, how far it goes, how it was closed.
struct FileIndex: Sendable {
  /// The body of a close chunk. Specification: docs/footage-format.md.
  struct Close: Decodable, Sendable {
    var cause: String
    var closed_us: Int64
  }

  private(set) var rows = IndexRows()
  private(set) var progress: PartProgress
  private(set) var close: Close?
  /// Media chunks that are not whole transport stream packets.
  private(set) var damage: Int64 = 0

  /// Reads a whole file, authenticating each chunk. Blocking.
  ///
  /// - Parameter proving: what is known of it already: a file that says otherwise is not believed.
  init(path: String, part: PartID, recording: RecordingID, key: SymmetricKey, proving known: PartProgress?) throws {
    var reader = try PartReader(path: path, key: key)
    var indexer = SegmentIndexer(part: part, recording: recording)
    var isProven = known.map { $0.chunkCount == 0 } ?? true
    progress = PartProgress(part: part, chunkCount: 0, chainHead: [], file_bytes: 0)
    while let items = try reader.next() {
      for item in items {
        let index = Int64(item.header.index)
        if let known, index + 1 == known.chunkCount { isProven = item.chainHead == known.chainHead }
        if let segment = indexer.committed(item.header, fileOffset: Int64(item.fileOffset), head: item.chainHead) {
          rows.segments.append(segment)
        }
        switch item.header.kind {
        case .gap:
          if let note = item.plaintext.flatMap(GapNote.decode), let cause = GapCause(rawValue: note.cause) {
            rows.gaps.append(
              GapEntry(
                part: part, chunk: index, from: UTCTime(microseconds: note.from_us),
                to: UTCTime(microseconds: note.to_us), cause: cause, missing: Int64(item.header.packetCount)))
          }
        case .close: close = item.plaintext.flatMap { try? JSONDecoder().decode(Close.self, from: Data($0)) }
        case .media, .fill: if item.header.plaintextLength % 188 != 0 { damage += 1 }
        case .epoch: break
        }
      }
    }
    if let segment = indexer.finish() { rows.segments.append(segment) }
    guard isProven else {
      throw VaultError("index", path, "its chain is not the one that the register knows: run plastron footage check")
    }
    guard let chain = reader.state.chain else { throw VaultError("index", path, "the file has no whole header") }
    progress = PartProgress(
      part: part, chunkCount: Int64(chain.nextIndex), chainHead: chain.head,
      file_bytes: Int64(reader.state.validLength))
  }
}
