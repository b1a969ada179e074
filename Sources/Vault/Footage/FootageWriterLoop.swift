internal import Crypto
internal import Dispatch
internal import Footage
internal import Glibc

/// The writer's thread: its parts, and its turns.
struct FootageWriterLoop {
  /// A file that is to be made, or taken up after a recovery.
  private struct Unopened {
    enum Kind {
      case new(PartHeader)
      case recovered(ChainState)
    }

    var path: String
    var kind: Kind
    var key: SymmetricKey
    /// Since when it could not be made.
    var since_us: Int64?
  }

  private struct Orphans {
    var contents: [ChunkContent]
    var droppedSince_us: Int64?
  }

  /// Commits between two looks at the disks.
  private static let commitsPerLook = 25
  /// Chain heads of ended parts that are remembered for the part that follows.
  private static let maximumHeads = 4096
  /// Commits at the end: what waits, and what a failing disk left over.
  private static let lastCommits = 3

  private let root: String
  private let line: FootageLine
  private let volumes: Volumes
  private let flusher: Flusher
  private let outcome: @Sendable (FootageOutcome) -> Void
  private var parts: [String: OpenPart] = [:]
  private var lastHeads: [String: [UInt8]] = [:]
  /// Files that could not be made: tried again with every chunk, the time between becomes a gap.
  private var unopened: [String: Unopened] = [:]
  /// Close chunks that could not be written: tried again at every commit.
  private var unclosed: [String: ChunkContent] = [:]
  /// What broken files did not take, until their continuation is opened.
  private var orphans: [String: Orphans] = [:]
  /// Of what is held here and not durable.
  private var held_bytes = 0
  private var isFlushing = false
  private var commits = 0
  /// The sealed bytes of the chunk that is being written.
  private var scratch: [UInt8] = []

  init(
    root: String, line: FootageLine, volumes: Volumes, outcome: @escaping @Sendable (FootageOutcome) -> Void
  ) {
    self.root = root
    self.line = line
    self.volumes = volumes
    self.outcome = outcome
    flusher = Flusher { line.deliver($0) }
  }

  mutating func run() {
    let interval = DispatchTimeInterval.milliseconds(FootageWriter.interval_ms)
    var deadline = DispatchTime.now() + interval
    var left = Self.lastCommits
    while true {
      let taken = line.take(
        until: isFlushing ? .now() + interval : deadline, held_bytes: held_bytes, oldest_us: oldest_us)
      for command in taken.commands { perform(command) }
      if let flushed = taken.flushed { settle(flushed) }
      guard !isFlushing else { continue }
      if taken.isClosed, taken.commands.isEmpty {
        guard left > 0, hasUndurable else { return }
        left -= 1
        commit()
      } else if DispatchTime.now() >= deadline {
        commit()
        deadline = .now() + interval
      }
    }
  }

  private var hasUndurable: Bool { !unclosed.isEmpty || parts.values.contains { $0.isDirty || $0.brokenBy != nil } }

  // MARK: Commands

  private mutating func perform(_ command: FootageCommand) {
    switch command {
    case .open(let part, let path, var header, let key, let after):
      if let after { header.previousHead = parts[after]?.chain.head ?? lastHeads[after] ?? header.previousHead }
      unopened[part] = Unopened(path: path, kind: .new(header), key: key)
      openFile(part)
      if let after, let left = orphans.removeValue(forKey: after) {
        unclosed[after] = nil
        for content in left.contents {
          held_bytes -= content.weight_bytes
          write(content, to: part)
        }
        // What the old file had dropped for want of space by then is this one's gap.
        if let since = left.droppedSince_us { dropped(since: since, from: part) }
      }
    case .resume(let part, let path, let chain, let key):
      unopened[part] = Unopened(path: path, kind: .recovered(chain), key: key)
      openFile(part)
    case .append(let part, let content):
      write(content, to: part)
    case .close(let part, let content):
      close(part, content)
    case .abandon(let part):
      for content in orphans.removeValue(forKey: part)?.contents ?? [] { held_bytes -= content.weight_bytes }
      unclosed[part] = nil
    }
  }

  /// Makes or takes up the file of a part that has none open yet.
  private mutating func openFile(_ name: String) {
    guard let wanted = unopened[name] else { return }
    do throws(VaultError) {
      let part = try open(name, wanted)
      part.failingSince_us = wanted.since_us
      parts[name] = part
      unopened[name] = nil
    } catch {
      outcome(.failing(part: name, error))
      guard !Self.isForWantOfSpace(error), case .new = wanted.kind else { return }
      // The next try goes to another disk, where there is one that works.
      volumes.failed(wanted.path)
      unopened[name]?.path = volumes.moved(wanted.path)
    }
  }

  private func open(_ name: String, _ wanted: Unopened) throws(VaultError) -> OpenPart {
    let full = root + "/" + wanted.path
    switch wanted.kind {
    case .recovered(let chain):
      return OpenPart(
        name: name, path: wanted.path, key: wanted.key, file: try DurableFile.append(full), chain: chain,
        newFolders: [],
        isUntold: false)
    case .new(let header):
      // The keeper, in the same group, erases here; the console reads. Names are made durable by the first flush.
      let folder = Directories.parent(of: full)
      let folders = try Directories.makeUnflushed(folder, mode: 0o770)
      var file = try DurableFile.create(full, flushesName: false)
      do throws(VaultError) {
        try file.append(header.encoded)
      } catch {
        // Nothing half made is left behind: the next try makes it anew.
        try? Directories.remove(full)
        throw error
      }
      return OpenPart(
        name: name, path: wanted.path, key: wanted.key, file: file, chain: ChainState(header: header),
        newFolders: folders + [folder], isUntold: true)
    }
  }

  /// Appends the close chunk; the part is closed only once that is durable.
  private mutating func close(_ name: String, _ content: ChunkContent) {
    guard write(content, to: name), let part = parts[name] else {
      unclosed[name] = content
      return
    }
    unclosed[name] = nil
    remember(part.chain.head, of: name)
  }

  /// Chunks are missing before what comes next.
  private func dropped(since: Int64, from name: String) {
    guard let part = parts[name], part.failingSince_us == nil else { return }
    part.failingSince_us = since
    outcome(.failing(part: name, VaultError("write", part.path, "what came before was not written")))
  }

  /// When the oldest chunk came that a flush is under way for.
  private var oldest_us: Int64? {
    guard isFlushing else { return nil }
    return parts.values.lazy.compactMap { part in
      part.inFlight.first { $0.content.kind == .media }?.content.firstArrival_us
    }.min()
  }

  private mutating func remember(_ head: [UInt8], of name: String) {
    if lastHeads.count >= Self.maximumHeads { lastHeads.removeAll() }
    lastHeads[name] = head
  }

  /// Whether the chunk is in the file; one that is not becomes part of a gap, or waits for the file that goes on.
  @discardableResult
  private mutating func write(_ content: ChunkContent, to name: String) -> Bool {
    if orphans[name] != nil {
      // Its continuation is on its way; what is held counts against the line's bound.
      guard content.kind != .close else { return false }
      orphans[name]?.contents.append(content)
      held_bytes += content.weight_bytes
      return true
    }
    if unopened[name] != nil {
      openFile(name)
      if parts[name] == nil, unopened[name]?.since_us == nil { unopened[name]?.since_us = content.firstArrival_us }
    }
    guard let part = parts[name] else { return false }
    if part.brokenBy != nil { return keep(content, for: part) }
    do {
      if let since = part.failingSince_us {
        let until = max(since, content.firstArrival_us)
        let gap = ChunkContent(
          kind: .gap, epoch: content.epoch, firstArrival_us: since, lastArrival_us: until,
          plaintext: GapNote(from_us: since, to_us: until, cause: "no-space").encoded)
        // In one write: a disk with room for the gap alone is as full as before.
        try part.append([gap, content], scratch: &scratch)
        held_bytes += gap.weight_bytes
        part.failingSince_us = nil
        outcome(.mended(part: name))
      } else {
        try part.append([content], scratch: &scratch)
      }
      held_bytes += content.weight_bytes
      return true
    } catch {
      let reason = error as? VaultError ?? VaultError("seal", name, "\(error)")
      if !Self.isForWantOfSpace(reason), reason.number != 0 {
        part.brokenBy = reason
        return keep(content, for: part)
      }
      if part.failingSince_us == nil {
        part.failingSince_us = content.firstArrival_us
        outcome(.failing(part: name, reason))
      }
      return false
    }
  }

  /// Keeps a chunk that the file no longer takes for the one that goes on.
  private mutating func keep(_ content: ChunkContent, for part: OpenPart) -> Bool {
    guard content.kind != .close else { return false }
    part.written.append(OpenPart.Undurable(content: content, chunk: nil))
    held_bytes += content.weight_bytes
    return true
  }

  /// A disk that is full goes on as soon as there is room; any other failure is the file's end.
  private static func isForWantOfSpace(_ error: VaultError) -> Bool {
    error.number == ENOSPC || error.number == EDQUOT || error.number == EFBIG
  }

  // MARK: Commits

  /// Gives everything that is written and not durable to the flusher.
  private mutating func commit() {
    for (name, content) in unclosed { close(name, content) }
    // First, so that nothing of theirs is committed here and written again elsewhere.
    for part in parts.values { if let error = part.brokenBy { giveUp(part, error) } }
    commits += 1
    let looks = commits % Self.commitsPerLook == 0
    var batch: [FlushItem] = []
    for part in parts.values where part.isDirty {
      batch.append(FlushItem(part: part.name, file: part.file.flusher, folders: part.newFolders))
      part.inFlight = part.written
      part.written = []
      part.flushing = part.mark
    }
    guard looks || !batch.isEmpty else { return }
    isFlushing = true
    flusher.flush(batch) { [volumes] in if looks { volumes.refresh() } }
  }

  /// Tells what is durable now, and leaves the files whose disk did not take it.
  private mutating func settle(_ results: [FlushResult]) {
    isFlushing = false
    var durable: [CommittedChunk] = []
    var ended: [OpenPart] = []
    for result in results {
      guard let part = parts[result.part], let mark = part.flushing else { continue }
      if let failure = result.failure {
        giveUp(part, failure)
        continue
      }
      tellOpened(part)
      for undurable in part.inFlight {
        held_bytes -= undurable.content.weight_bytes
        if let chunk = undurable.chunk { durable.append(chunk) }
      }
      part.inFlight = []
      part.newFolders = []
      part.flushing = nil
      part.committed = mark
      if mark.isClosed { ended.append(part) }
    }
    if !durable.isEmpty { outcome(.committed(durable)) }
    for part in ended {
      parts[part.name] = nil
      tellClosed(part)
    }
  }

  /// A flush failed: the kernel may have dropped what it could not write, and a second flush would lie about it.
  ///
  /// The file is left behind at its last commit; what came after goes into a continuation.
  private mutating func giveUp(_ part: OpenPart, _ error: VaultError) {
    parts[part.name] = nil
    // What is not committed is written again elsewhere: it should not stand in both. The index says where this one ends,
    // whether or not it can be cut.
    try? part.file.truncate(to: part.committed.length)
    volumes.failed(part.path)
    remember(part.committed.head, of: part.name)
    let left = part.orphans
    let droppedSince_us = part.failingSince_us
    for undurable in part.inFlight + part.written { held_bytes -= undurable.content.weight_bytes }
    for content in left { held_bytes += content.weight_bytes }
    orphans[part.name] = Orphans(contents: left, droppedSince_us: droppedSince_us)
    tellOpened(part)
    outcome(.broken(part: part.name, error))
    tellClosed(part)
  }

  private func tellOpened(_ part: OpenPart) {
    guard part.isUntold else { return }
    part.isUntold = false
    outcome(.opened(part: part.name, path: part.path))
  }

  private func tellClosed(_ part: OpenPart) {
    outcome(
      .closed(
        part: part.name, chunkCount: part.committed.chunkCount, head: part.committed.head,
        file_bytes: part.committed.length))
  }
}
