internal import Crypto
internal import Foundation
package import Journal

/// An entry that is durable, with its place in the tree.
package struct CommittedEntry: Sendable {
  package var position: UInt64
  package var entry: JournalEntry
  package var bytes: [UInt8]
  package var leaf: [UInt8]
}

/// The journal's append-only file and its signed checkpoint; one sequencer thread.
///
/// Procedure for a batch: (1) append all entries, (2) one flush, (3) extend the tree and sign a checkpoint,
/// (4) only now tell every writer its position. An act waits for (4). A tree smaller than the last signed
/// one is never signed: opening such a journal fails.
// P7, LOG-1, LOG-6.
package final class JournalFile: Sendable {
  /// Entries that wait; more means the disk does not keep up, and acts are refused.
  package static let maximumWaiting = 8192
  package static let maximumEntry_bytes = 65_535

  private struct Waiting: Sendable {
    var entry: JournalEntry
    var done: @Sendable (Result<CommittedEntry, VaultError>) -> Void
  }

  private final class Shared: @unchecked Sendable {
    // Safety: touched only while `condition` is locked.
    let condition = NSCondition()
    var waiting: [Waiting] = []
    var closed = false
    var size: UInt64 = 0
    var root: [UInt8] = MerkleHash.empty
  }

  private let lock: FolderLock
  private let shared = Shared()
  private let finished = DispatchSemaphore(value: 0)

  /// - Parameters:
  ///   - folder: holds `entries` (each a 16-bit length and the canonical bytes) and `checkpoint`.
  ///   - signingKeyPath: 32 raw bytes of an Ed25519 key; made where there is none.
  ///   - replay: called with every entry already there, in order, before this returns.
  package init(
    folder: String, origin: String, signingKeyPath: String, replay: (UInt64, [UInt8]) -> Void = { _, _ in }
  ) throws {
    try Directories.make(folder, mode: 0o750)
    // Two writers would make a journal that neither of them signed.
    lock = try FolderLock(path: folder + "/lock")
    let key = try Self.signingKey(at: signingKeyPath)
    try Directories.replace(
      folder + "/public-key", with: Array((Base64.encode(Array(key.publicKey.rawRepresentation)) + "\n").utf8))
    let path = folder + "/entries"
    var signed: Checkpoint?
    if let note = try? Directories.read(folder + "/checkpoint", limit: 65_536) {
      signed = Checkpoint(note: String(decoding: note, as: UTF8.self), key: key.publicKey)
      guard signed != nil else { throw VaultError("checkpoint", folder, "is not signed by this node's key") }
    }
    var file = try DurableFile.append(path)
    var frontier = MerkleFrontier()
    var rootWhenSigned = frontier.root
    let valid = try Self.load(path, length: file.length) { bytes in
      replay(frontier.size, bytes)
      frontier.append(leaf: MerkleHash.leaf(bytes))
      if frontier.size == signed?.size { rootWhenSigned = frontier.root }
    }
    if let signed {
      guard frontier.size >= signed.size else {
        throw VaultError(
          "journal", folder,
          "holds \(frontier.size) entries, but \(signed.size) were signed: restore the journal's files before starting"
        )
      }
      guard rootWhenSigned == signed.root else {
        throw VaultError(
          "journal", folder,
          "its first \(signed.size) entries are not those that were signed: restore the journal's files")
      }
    }
    if valid < file.length { try file.truncate(to: valid) }
    shared.size = frontier.size
    shared.root = frontier.root
    let shared = self.shared
    let finished = self.finished
    // Handed to the one thread that uses them from here on.
    let loop = Loop(
      file: file, frontier: frontier, key: key, origin: origin, folder: folder, shared: shared)
    let thread = Thread {
      loop.run()
      finished.signal()
    }
    thread.name = "journal"
    thread.start()
  }

  /// Size and root of what is durable.
  package var mark: (size: UInt64, root: [UInt8]) {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return (shared.size, shared.root)
  }

  /// Appends an entry and returns once it is durable.
  package func append(_ entry: JournalEntry) async throws -> CommittedEntry {
    try await withCheckedThrowingContinuation { continuation in
      shared.condition.lock()
      let accepted = !shared.closed && shared.waiting.count < Self.maximumWaiting
      if accepted {
        shared.waiting.append(Waiting(entry: entry) { continuation.resume(with: $0.mapError { $0 as any Error }) })
        shared.condition.signal()
      }
      shared.condition.unlock()
      if !accepted {
        continuation.resume(throwing: VaultError("journal", "entries", "the sequencer is full or stopped"))
      }
    }
  }

  /// Writes what waits and ends the thread.
  package func stop() {
    shared.condition.lock()
    shared.closed = true
    shared.condition.signal()
    shared.condition.unlock()
    finished.wait()
  }

  /// Reads all whole entries; returns the length they take.
  private static func load(_ path: String, length: Int64, _ body: ([UInt8]) -> Void) throws -> Int64 {
    let bytes = try Directories.read(path, limit: Int(length) + 1)
    var offset = 0
    while offset + 2 <= bytes.count {
      let size = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
      // A tail of zeros is a write that a power cut left without its bytes.
      guard size > 0, offset + 2 + size <= bytes.count else { break }
      body(Array(bytes[(offset + 2)..<(offset + 2 + size)]))
      offset += 2 + size
    }
    return Int64(offset)
  }

  private static func signingKey(at path: String) throws -> Curve25519.Signing.PrivateKey {
    if let raw = try? Directories.read(path, limit: 64) {
      return try Curve25519.Signing.PrivateKey(rawRepresentation: raw)
    }
    let key = Curve25519.Signing.PrivateKey()
    try Directories.replace(path, with: Array(key.rawRepresentation), mode: 0o600)
    return key
  }

  private final class Loop: @unchecked Sendable {
    // Safety: made by one thread, then used by the sequencer's thread alone; `shared` guards itself.
    private var file: DurableFile
    private var frontier: MerkleFrontier
    private let key: Curve25519.Signing.PrivateKey
    private let origin: String
    private let folder: String
    private let shared: Shared

    init(
      file: consuming DurableFile, frontier: MerkleFrontier, key: Curve25519.Signing.PrivateKey,
      origin: String, folder: String, shared: Shared
    ) {
      self.file = file
      self.frontier = frontier
      self.key = key
      self.origin = origin
      self.folder = folder
      self.shared = shared
    }

    func run() {
      while true {
        shared.condition.lock()
        while shared.waiting.isEmpty, !shared.closed { shared.condition.wait() }
        let batch = shared.waiting
        shared.waiting = []
        let over = shared.closed && batch.isEmpty
        shared.condition.unlock()
        if over { return }
        commit(batch)
      }
    }

    private func commit(_ batch: [Waiting]) {
      var bytes: [UInt8] = []
      var accepted: [(waiting: Waiting, bytes: [UInt8])] = []
      for waiting in batch {
        let entry = waiting.entry.canonicalBytes
        guard entry.count <= JournalFile.maximumEntry_bytes else {
          waiting.done(
            .failure(
              VaultError(
                "journal", file.path,
                "entry of \(entry.count) bytes, at most \(JournalFile.maximumEntry_bytes)")))
          continue
        }
        bytes.append(UInt8(entry.count >> 8))
        bytes.append(UInt8(entry.count & 0xFF))
        bytes += entry
        accepted.append((waiting, entry))
      }
      let before = file.length
      do throws(VaultError) {
        try file.append(bytes)
        try file.flush()
      } catch {
        try? file.truncate(to: before)
        for item in accepted { item.waiting.done(.failure(error)) }
        return
      }
      var committed: [(Waiting, CommittedEntry)] = []
      for item in accepted {
        let leaf = MerkleHash.leaf(item.bytes)
        committed.append(
          (
            item.waiting,
            CommittedEntry(
              position: frontier.size, entry: item.waiting.entry, bytes: item.bytes, leaf: leaf)
          ))
        frontier.append(leaf: leaf)
      }
      // The entries are durable whether or not this checkpoint is: the next batch signs a larger one.
      let checkpoint = Checkpoint(origin: origin, size: frontier.size, root: frontier.root)
      if let note = try? checkpoint.signed(by: key) {
        try? Directories.replace(folder + "/checkpoint", with: Array(note.utf8))
      }
      shared.condition.lock()
      shared.size = frontier.size
      shared.root = frontier.root
      shared.condition.unlock()
      for (waiting, entry) in committed { waiting.done(.success(entry)) }
    }
  }
}
