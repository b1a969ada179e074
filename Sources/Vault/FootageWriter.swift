package import Crypto
package import Footage
internal import Foundation
internal import Glibc
internal import Synchronization

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

/// What the writer tells of its work, on its own thread, in order.
package enum FootageOutcome: Sendable {
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
}

/// The one thread that writes footage: it seals, chains, appends, and flushes for all cameras together.
///
/// Group commit: chunks are written as they come and flushed together, at most ``interval_ms`` later; only then are
/// they told as committed. The waiting line is bounded in bytes; past it ``submit(_:)`` is refused, and the
/// caller stops reading its sockets, so that the transport holds back and nothing is dropped.
// P5, REC-11.
package final class FootageWriter: Sendable {
  /// Chunks that wait for the continuation of a broken file: half a minute of a camera.
  static let maximumOrphans = 64
  /// Chunks end at 500 ms, so what was received is durable well inside a second.
  package static let interval_ms = 200
  /// A minute of 200 cameras at 2 Mbit/s waits for a stalled disk before the sockets do.
  package static let capacity_bytes = 256 << 20

  private let shared: Shared
  private let finished: DispatchSemaphore
  /// The disks it writes to.
  package let volumes: Volumes

  package init(root: String, outcome: @escaping @Sendable (FootageOutcome) -> Void) {
    let shared = Shared()
    let finished = DispatchSemaphore(value: 0)
    let volumes = Volumes(root: root)
    self.shared = shared
    self.finished = finished
    self.volumes = volumes
    let thread = Thread {
      var loop = Loop(root: root, shared: shared, volumes: volumes, outcome: outcome)
      loop.run()
      finished.signal()
    }
    thread.name = "footage-writer"
    thread.start()
  }

  /// Hands over a command; false when the line is full: try again, do not drop.
  package func submit(_ command: FootageCommand) -> Bool { shared.append(command) }

  /// Whether the line has room for a good while.
  package var hasRoom: Bool { shared.waiting_bytes < Self.capacity_bytes / 2 }

  /// Writes what waits, flushes, and ends the thread.
  package func stop() {
    shared.close()
    finished.wait()
  }

  /// The waiting line.
  private final class Shared: Sendable {
    private struct State {
      var commands: [FootageCommand] = []
      var bytes = 0
      var closed = false
    }

    private let state = Mutex(State())
    /// Counts what was appended; its waits are on a clock that nobody can set.
    private let arrivals = DispatchSemaphore(value: 0)

    var waiting_bytes: Int { state.withLock { $0.bytes } }

    func append(_ command: FootageCommand) -> Bool {
      let accepted = state.withLock { state in
        guard state.bytes < FootageWriter.capacity_bytes else { return false }
        state.commands.append(command)
        state.bytes += command.weight_bytes
        return true
      }
      if accepted { arrivals.signal() }
      return accepted
    }

    func close() {
      state.withLock { $0.closed = true }
      arrivals.signal()
    }

    /// Waits for commands until `deadline`; the second value is false once closed and empty.
    func take(until deadline: DispatchTime) -> ([FootageCommand], Bool) {
      _ = arrivals.wait(timeout: deadline)
      return state.withLock { state in
        let taken = state.commands
        state.commands.removeAll(keepingCapacity: true)
        state.bytes = 0
        return (taken, !(state.closed && taken.isEmpty))
      }
    }
  }

  /// A file that is to be made, or taken up after a recovery.
  private struct Unopened {
    enum Kind {
      case new(PartHeader)
      case recovered(ChainState)
    }

    var path: String
    var kind: Kind
    var key: SymmetricKey
    var since_us: Int64?
  }

  /// A disk that is full goes on as soon as there is room; any other failure is the file's end.
  private static func isForWantOfSpace(_ error: VaultError) -> Bool {
    error.number == ENOSPC || error.number == EDQUOT || error.number == EFBIG
  }

  private struct OpenPart {
    var writer: PartFile
    var path: String
    var dirty = false
    /// What is written and not committed yet, to be written elsewhere if the disk fails: one interval's.
    var uncommitted: [ChunkContent] = []
    /// Chunks and bytes up to the last commit.
    var committed: (count: UInt64, head: [UInt8], length: Int64)
  }

  /// A file with its chain and key: a class, as the file cannot be copied.
  private final class PartFile {
    var file: DurableFile
    var chain: ChainState
    let key: SymmetricKey
    var failingSince_us: Int64?

    init(file: consuming DurableFile, chain: ChainState, key: SymmetricKey) {
      self.file = file
      self.chain = chain
      self.key = key
    }
  }

  private struct Loop {
    let root: String
    let shared: Shared
    let volumes: Volumes
    let outcome: @Sendable (FootageOutcome) -> Void
    var parts: [String: OpenPart] = [:]
    var lastHeads: [String: [UInt8]] = [:]
    var uncommitted: [CommittedChunk] = []
    var closing: [(part: String, chunkCount: UInt64, head: [UInt8], file_bytes: Int64)] = []
    /// Files that could not be made: tried again with every chunk, the time between becomes a gap.
    var unopened: [String: Unopened] = [:]
    /// Close chunks that could not be written: tried again at every flush.
    var unclosed: [String: ChunkContent] = [:]
    /// What broken files did not take, until their continuation is opened.
    var orphans: [String: [ChunkContent]] = [:]
    /// Files whose disk failed in this interval: left behind at the next commit.
    var broken: [String: VaultError] = [:]
    var commits = 0
    /// Commits between two looks at the disks.
    static let commitsPerLook = 25

    mutating func run() {
      var goesOn = true
      while goesOn {
        let deadline = DispatchTime.now() + .milliseconds(FootageWriter.interval_ms)
        // Gather for one interval, writing as chunks come, then flush once.
        repeat {
          let (commands, more) = shared.take(until: deadline)
          for command in commands { perform(command) }
          goesOn = more
        } while goesOn && DispatchTime.now() < deadline
        commit()
        commits += 1
        if commits % Self.commitsPerLook == 0 { volumes.refresh() }
      }
    }

    private mutating func perform(_ command: FootageCommand) {
      switch command {
      case .open(let part, let path, var header, let key, let after):
        if let after {
          header.previousHead = parts[after]?.writer.chain.head ?? lastHeads[after] ?? header.previousHead
        }
        unopened[part] = Unopened(path: path, kind: .new(header), key: key)
        openFile(part)
        if let after, let left = orphans.removeValue(forKey: after) {
          for content in left { write(content, to: part) }
        }
      case .resume(let part, let path, let chain, let key):
        unopened[part] = Unopened(path: path, kind: .recovered(chain), key: key)
        openFile(part)
      case .append(let part, let content):
        write(content, to: part)
      case .close(let part, let content):
        close(part, content)
      case .abandon(let part):
        orphans[part] = nil
        unclosed[part] = nil
      }
    }

    /// Makes or takes up the file of a part that has none open yet.
    private mutating func openFile(_ part: String) {
      guard let wanted = unopened[part] else { return }
      do throws(VaultError) {
        let writer = try file(for: wanted)
        writer.failingSince_us = wanted.since_us
        parts[part] = OpenPart(
          writer: writer, path: wanted.path, dirty: true,
          committed: (writer.chain.nextIndex, writer.chain.head, writer.file.length))
        unopened[part] = nil
        if case .new = wanted.kind { outcome(.opened(part: part, path: wanted.path)) }
      } catch {
        if !FootageWriter.isForWantOfSpace(error) { volumes.failed(wanted.path) }
        outcome(.failing(part: part, error))
      }
    }

    private func file(for wanted: Unopened) throws(VaultError) -> PartFile {
      let full = root + "/" + wanted.path
      switch wanted.kind {
      case .recovered(let chain):
        return PartFile(file: try DurableFile.append(full), chain: chain, key: wanted.key)
      case .new(let header):
        // The keeper, in the same group, erases here; the console reads.
        try Directories.make(Directories.parent(of: full), mode: 0o770)
        var file = try DurableFile.create(full)
        do throws(VaultError) {
          try file.append(header.encoded)
        } catch {
          // Nothing half made is left behind: the next try makes it anew.
          try? Directories.remove(full)
          throw error
        }
        return PartFile(file: file, chain: ChainState(header: header), key: wanted.key)
      }
    }

    /// Appends the close chunk; the part is closed only once that is in the file.
    private mutating func close(_ part: String, _ content: ChunkContent) {
      guard write(content, to: part), let open = parts[part] else {
        unclosed[part] = content
        return
      }
      unclosed[part] = nil
      let state = open.writer
      lastHeads[part] = state.chain.head
      if lastHeads.count > 4096 { lastHeads.removeAll() }
      closing.append((part, state.chain.nextIndex, state.chain.head, state.file.length))
    }

    /// Whether the chunk is in the file; one that is not becomes part of a gap.
    @discardableResult
    private mutating func write(_ content: ChunkContent, to part: String) -> Bool {
      if let waiting = orphans[part] {
        // Its continuation is on its way: a tick, or a grant that is fetched; bounded like the line itself.
        guard content.kind != .close, waiting.count < FootageWriter.maximumOrphans else { return false }
        orphans[part]?.append(content)
        return true
      }
      if unopened[part] != nil {
        openFile(part)
        if parts[part] == nil, unopened[part]?.since_us == nil { unopened[part]?.since_us = content.firstArrival_us }
      }
      guard let open = parts[part] else { return false }
      let state = open.writer
      do {
        if let since = state.failingSince_us {
          let until = max(since, content.firstArrival_us)
          let gap = GapNote(from_us: since, to_us: until, cause: "no-space")
          // In one write: a disk with room for the gap alone is as full as before.
          try append(
            [
              ChunkContent(
                kind: .gap, epoch: content.epoch, firstArrival_us: since, lastArrival_us: until,
                plaintext: gap.encoded), content,
            ], to: part, state)
          state.failingSince_us = nil
          outcome(.mended(part: part))
        } else {
          try append([content], to: part, state)
        }
        parts[part]?.dirty = true
        parts[part]?.uncommitted.append(content)
        return true
      } catch {
        let reason = error as? VaultError ?? VaultError("seal", part, "\(error)")
        if reason.number == EIO {
          broken[part] = reason
          orphans[part] = open.uncommitted + (content.kind == .close ? [] : [content])
        } else if state.failingSince_us == nil {
          state.failingSince_us = content.firstArrival_us
          outcome(.failing(part: part, reason))
        }
        return false
      }
    }

    private mutating func append(_ contents: [ChunkContent], to part: String, _ state: PartFile) throws {
      // The chain moves only once the bytes are in the file, all of them.
      var chain = state.chain
      var offset = state.file.length
      var bytes: [UInt8] = []
      var written: [CommittedChunk] = []
      for content in contents {
        let sealed = try chain.seal(content, key: state.key)
        guard let header = try ChunkHeader.decode(sealed[...], fileOffset: Int(offset)) else { continue }
        let note = content.kind == .gap || content.kind == .close ? content.plaintext : nil
        written.append(
          CommittedChunk(part: part, header: header, fileOffset: offset, head: chain.head, note: note))
        offset += Int64(sealed.count)
        if bytes.isEmpty { bytes = sealed } else { bytes += sealed }
      }
      try state.file.append(bytes)
      state.chain = chain
      uncommitted += written
    }

    private mutating func commit() {
      for (part, content) in unclosed { close(part, content) }
      var failed: Set<String> = []
      // First, so that nothing of theirs is committed here and written again elsewhere.
      for (part, error) in broken {
        failed.insert(part)
        if let open = parts[part] { giveUp(part, open, error) }
      }
      broken.removeAll()
      // All are begun before the first is waited for: docs/design/durability.md.
      for open in parts.values where open.dirty { open.writer.file.beginWriting() }
      for (part, open) in parts where open.dirty {
        do throws(VaultError) {
          try open.writer.file.flush()
          parts[part]?.dirty = false
          parts[part]?.uncommitted = []
          parts[part]?.committed = (open.writer.chain.nextIndex, open.writer.chain.head, open.writer.file.length)
        } catch {
          failed.insert(part)
          giveUp(part, open, error)
        }
      }
      let done = uncommitted.filter { !failed.contains($0.part) }
      uncommitted.removeAll()
      if !done.isEmpty { outcome(.committed(done)) }
      for end in closing where !failed.contains(end.part) {
        parts[end.part] = nil
        outcome(.closed(part: end.part, chunkCount: end.chunkCount, head: end.head, file_bytes: end.file_bytes))
      }
      closing.removeAll()
    }

    /// A flush failed: the kernel may have dropped what it could not write, and a second flush would lie about it.
    ///
    /// The file is left behind at its last commit; what came after goes into a continuation.
    private mutating func giveUp(_ part: String, _ open: OpenPart, _ error: VaultError) {
      parts[part] = nil
      // What is not committed is written again elsewhere: it should not stand in both. The index says where this one ends,
      // whether or not it can be cut.
      try? open.writer.file.truncate(to: open.committed.length)
      volumes.failed(open.path)
      lastHeads[part] = open.committed.head
      if orphans[part] == nil { orphans[part] = open.uncommitted.filter { $0.kind != .close } }
      outcome(.broken(part: part, error))
      outcome(
        .closed(
          part: part, chunkCount: open.committed.count, head: open.committed.head, file_bytes: open.committed.length))
    }
  }
}

extension FootageCommand {
  fileprivate var weight_bytes: Int {
    switch self {
    case .append(_, let content), .close(_, let content): content.plaintext.count + 256
    case .open, .resume, .abandon: 1024
    }
  }
}

/// The sealed body of a gap chunk. Specification: docs/footage-format.md.
package struct GapNote: Equatable, Sendable, Codable {
  package var from_us: Int64
  package var to_us: Int64
  package var cause: String

  package init(from_us: Int64, to_us: Int64, cause: String) {
    self.from_us = from_us
    self.to_us = to_us
    self.cause = cause
  }

  package var encoded: [UInt8] {
    Array("{\"cause\":\"\(cause)\",\"from_us\":\(from_us),\"to_us\":\(to_us)}".utf8)
  }

  package static func decode(_ bytes: [UInt8]) -> GapNote? {
    try? JSONDecoder().decode(GapNote.self, from: Data(bytes))
  }
}
