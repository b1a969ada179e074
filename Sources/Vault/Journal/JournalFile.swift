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

/// The journal's append-only files and its signed checkpoint; one sequencer thread.
///
/// Invariants: (a) an entry that was acknowledged is in its bundle and flushed; (b) a tile on disk follows from
/// entries on disk; (c) a tree smaller than the last signed one is never signed.
/// Procedure for a batch: (1) append the entries that fit the bundle, (2) one flush, (3) extend the tree, (4) tell
/// their writers their positions; an act waits for (4). (5) A full bundle gets its tile, and the next begins.
/// (6) At most once a second the tree is signed.
// P7, LOG-1, LOG-6.
package final class JournalFile: Sendable {
  /// Entries that wait; more means the disk does not keep up, and acts are refused.
  package static let maximumWaiting = 8192
  /// Between checkpoints while entries come.
  static let signingInterval_s = 1.0

  enum Work: Sendable {
    case entry(JournalEntry, done: @Sendable (Result<CommittedEntry, VaultError>) -> Void)
    case rotate(
      make: @Sendable (_ old: VerifierKey, _ new: VerifierKey) -> JournalEntry,
      done: @Sendable (Result<CommittedEntry, VaultError>) -> Void)
  }

  final class Shared: @unchecked Sendable {
    // Safety: touched only while `condition` is locked.
    let condition = NSCondition()
    var waiting: [Work] = []
    var closed = false
    var size: UInt64 = 0
    var root: [UInt8] = MerkleHash.empty
  }

  package let folder: JournalFolder
  private let lock: FolderLock
  private let shared = Shared()
  private let finished = DispatchSemaphore(value: 0)

  /// - Parameters:
  ///   - folder: see ``JournalFolder``.
  ///   - signingKeyPath: 32 raw bytes of an Ed25519 key; made where there is none.
  package init(folder: String, origin: String, signingKeyPath: String) throws {
    try Directories.make(folder, mode: 0o750)
    // Two writers would make a journal that neither of them signed.
    lock = try FolderLock(path: folder + "/lock")
    try JournalUpgrade.run(folder)
    self.folder = try JournalFolder(path: folder)
    let key = try SigningKey.load(signingKeyPath, folder: self.folder)
    let verifier = VerifierKey(name: origin, publicKey: Array(key.publicKey.rawRepresentation))
    try Directories.replace(folder + "/public-key", with: Array((verifier.text + "\n").utf8))
    // The key that everything is verified by, for good: each later one is introduced by the one before.
    if !FileManager.default.fileExists(atPath: folder + "/first-public-key"),
      Directories.names(in: folder + "/rotations").isEmpty
    {
      try Directories.replace(folder + "/first-public-key", with: Array((verifier.text + "\n").utf8))
    }
    let loop = try JournalSequencer(
      folder: self.folder, key: key, keyPath: signingKeyPath, origin: origin, shared: shared)
    let finished = self.finished
    // Handed to the one thread that uses it from here on.
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

  /// Whether it was stopped: nothing is wrong with it, and nothing is taken any more.
  package var isStopped: Bool {
    shared.condition.lock()
    defer { shared.condition.unlock() }
    return shared.closed
  }

  /// Appends an entry and returns once it is durable.
  package func append(_ entry: JournalEntry) async throws -> CommittedEntry {
    try await enqueue { .entry(entry, done: $0) }
  }

  /// Replaces the signing key; `make` writes the entry that introduces the new one under the old.
  package func rotateKey(
    _ make: @escaping @Sendable (_ old: VerifierKey, _ new: VerifierKey) -> JournalEntry
  ) async throws -> CommittedEntry {
    try await enqueue { .rotate(make: make, done: $0) }
  }

  /// Purges the bodies of whole bundles older than `before_us`; returns how many entries are purged by now.
  ///
  /// - Parameter make: writes the entry that says so, which is durable before anything is lost.
  // LOG-5.
  package func purge(
    before_us: Int64, _ make: @Sendable (JournalPurge) -> JournalEntry
  ) async throws -> UInt64 {
    let full = mark.size / 256
    var bundle = firstBundle(below: full)
    let first = bundle
    while bundle < full, try isOlder(bundle, before_us) { bundle += 1 }
    guard bundle > first else { return first * 256 }
    _ = try await append(make(JournalPurge(entries: bundle * 256, before_us: before_us)))
    for index in first..<bundle { try Directories.remove(folder.path + "/" + TilePath.entries(index: index)) }
    return bundle * 256
  }

  /// Whether a purge would take anything.
  package func isPurgeDue(before_us: Int64) throws -> Bool {
    let full = mark.size / 256
    let first = firstBundle(below: full)
    return try first < full && isOlder(first, before_us)
  }

  /// The first bundle whose bodies are there.
  private func firstBundle(below full: UInt64) -> UInt64 {
    let files = FileManager.default
    return JournalFolder.count {
      $0 < full && !files.fileExists(atPath: folder.path + "/" + TilePath.entries(index: $0))
    }
  }

  /// Whether all of a bundle is older and its hashes are kept elsewhere.
  private func isOlder(_ bundle: UInt64, _ before_us: Int64) throws -> Bool {
    guard try folder.tile(level: 0, index: bundle, width: 256)?.count == 256 * TilePath.hash_bytes else { return false }
    let times = try folder.bundle(bundle).map { JournalEntry(canonical: $0)?.time_us ?? .max }
    return times.count == 256 && times.allSatisfy { $0 < before_us }
  }

  private func enqueue(
    _ work: (@escaping @Sendable (Result<CommittedEntry, VaultError>) -> Void) -> Work
  ) async throws -> CommittedEntry {
    try await withCheckedThrowingContinuation { continuation in
      shared.condition.lock()
      let accepted = !shared.closed && shared.waiting.count < Self.maximumWaiting
      if accepted {
        shared.waiting.append(work { continuation.resume(with: $0.mapError { $0 as any Error }) })
        shared.condition.signal()
      }
      shared.condition.unlock()
      if !accepted {
        continuation.resume(throwing: VaultError("journal", "entries", "the sequencer is full or stopped"))
      }
    }
  }

  /// Writes what waits, signs it, and ends the thread.
  package func stop() {
    shared.condition.lock()
    shared.closed = true
    shared.condition.signal()
    shared.condition.unlock()
    finished.wait()
  }
}

/// The key that signs checkpoints, and the procedure of its change.
///
/// (1) the next key is durable beside the key; (2) its entry is in the journal; (3) that entry's proof, signed by
/// the key, is in `rotations/`; (4) the next key takes the key's name. A stop before (3) leaves the key as it was.
enum SigningKey {
  static func load(_ path: String, folder: JournalFolder) throws -> Curve25519.Signing.PrivateKey {
    if let next = try? Directories.read(path + ".next", limit: 64) {
      let candidate = try Curve25519.Signing.PrivateKey(rawRepresentation: next)
      let introduced = try folder.rotations().last.flatMap { InclusionProofNote($0) }
        .flatMap { JournalEntry(canonical: $0.entry) }?.facts["new"]?.string.flatMap { VerifierKey($0) }
      if introduced?.publicKey == Array(candidate.publicKey.rawRepresentation) {
        try Directories.rename(path + ".next", to: path)
        return candidate
      }
      try Directories.remove(path + ".next")
    }
    if let raw = try? Directories.read(path, limit: 64) {
      return try Curve25519.Signing.PrivateKey(rawRepresentation: raw)
    }
    let key = Curve25519.Signing.PrivateKey()
    try Directories.replace(path, with: Array(key.rawRepresentation), mode: 0o600)
    return key
  }
}

/// Brings a journal of one `entries` file, as the first version wrote it, into bundles and tiles.
enum JournalUpgrade {
  /// Resumable: the old file goes last.
  static func run(_ folder: String) throws {
    let old = folder + "/entries"
    guard FileManager.default.fileExists(atPath: old) else { return }
    let entries = EntryBundle.parse(try Directories.read(old, limit: 1 << 34)).entries
    var tree = TileTree()
    for start in stride(from: 0, to: entries.count, by: TilePath.width) {
      let bundle = entries[start..<min(start + TilePath.width, entries.count)]
      let path = folder + "/" + TilePath.entries(index: UInt64(start / TilePath.width))
      try Directories.make(Directories.parent(of: path))
      try Directories.replace(path, with: bundle.flatMap(EntryBundle.record))
      for tile in bundle.flatMap({ tree.append(leaf: MerkleHash.leaf($0)) }) {
        let path = folder + "/" + TilePath.hashes(level: tile.level, index: tile.index)
        try Directories.make(Directories.parent(of: path))
        try Directories.replace(path, with: tile.bytes)
      }
    }
    try Directories.remove(old)
  }
}
