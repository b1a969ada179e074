internal import Crypto
internal import Footage

/// A part that is being written: its file, chain and key, and what of it is not durable yet.
///
/// Invariant: what is durable (`committed`), what a flush was asked for (`inFlight`) and what came after (`written`) follow
/// each other without a hole; only the first is ever told.
final class OpenPart {
  /// A chunk that is not durable yet, kept so that it can be written elsewhere if the disk fails.
  struct Undurable {
    var content: ChunkContent
    /// Nil where it never reached the file.
    var chunk: CommittedChunk?
  }

  /// A place in the file.
  struct Mark {
    var chunkCount: UInt64
    var head: [UInt8]
    var length: Int64
    /// The close chunk is before it.
    var isClosed: Bool
  }

  let name: String
  let path: String
  let key: SymmetricKey
  var file: DurableFile
  var chain: ChainState
  var written: [Undurable] = []
  var inFlight: [Undurable] = []
  /// Where the file ended when the flush that is under way was asked for.
  var flushing: Mark?
  var committed: Mark
  /// Folders whose new names are not durable yet.
  var newFolders: [String]
  /// Nobody was told of it yet.
  var isUntold: Bool
  var hasClose = false
  /// Since when chunks are dropped for want of space.
  var failingSince_us: Int64?
  /// Its disk refused a write: it takes nothing more, and is given up once no flush is under way.
  var brokenBy: VaultError?

  init(
    name: String, path: String, key: SymmetricKey, file: consuming DurableFile, chain: ChainState, newFolders: [String],
    isUntold: Bool
  ) {
    self.name = name
    self.path = path
    self.key = key
    self.chain = chain
    self.newFolders = newFolders
    self.isUntold = isUntold
    committed = Mark(chunkCount: chain.nextIndex, head: chain.head, length: file.length, isClosed: false)
    self.file = file
  }

  var mark: Mark {
    Mark(chunkCount: chain.nextIndex, head: chain.head, length: file.length, isClosed: hasClose)
  }

  var isDirty: Bool { !written.isEmpty || isUntold }

  /// What is to be written elsewhere if this file is given up; its close is not: it has not ended.
  var orphans: [ChunkContent] { (inFlight + written).map(\.content).filter { $0.kind != .close } }

  /// Seals and appends, all of it or nothing.
  ///
  /// - Throws: ``VaultError`` where the disk takes nothing; file and chain are then as they were.
  ///
  /// - Parameter scratch: memory for the sealed bytes, kept by the caller from one chunk to the next.
  func append(_ contents: [ChunkContent], scratch: inout [UInt8]) throws {
    var chain = self.chain
    var offset = file.length
    var added: [Undurable] = []
    scratch.removeAll(keepingCapacity: true)
    for content in contents {
      let header = try chain.seal(content, key: key, into: &scratch)
      let note = content.kind == .gap || content.kind == .close ? content.plaintext : nil
      added.append(
        Undurable(
          content: content,
          chunk: CommittedChunk(part: name, header: header, fileOffset: offset, head: chain.head, note: note)))
      offset += Int64(header.chunkLength)
    }
    try file.append(scratch)
    self.chain = chain
    written += added
    if contents.contains(where: { $0.kind == .close }) { hasClose = true }
  }
}
