package import Doctrine
internal import Foundation
package import Journal
package import Logging
internal import Synchronization
package import Vault

/// The entries that one call has written: if it fails after them, the journal says that too.
final class ActTrace: Sendable {
  @TaskLocal static var current: ActTrace?

  private let entries = Mutex<
    [(position: UInt64, kind: JournalEntry.Kind, act: String, author: String, service: ServiceID?)]
  >([])

  func add(_ position: UInt64, _ kind: JournalEntry.Kind, _ act: String, _ author: String, _ service: ServiceID?) {
    entries.withLock { $0.append((position, kind, act, author, service)) }
  }

  /// What was journalled as done; refusals were, and stay so.
  var acts: [(position: UInt64, kind: JournalEntry.Kind, act: String, author: String, service: ServiceID?)] {
    entries.withLock { $0.filter { !$0.act.hasSuffix(".refused") && !$0.act.hasSuffix(".failed") } }
  }
}

/// Writes acts into the journal, files first, and brings the index in PostgreSQL along behind.
// P7, LOG-1.
package final class Scribe: Sendable {
  private let file: JournalFile
  private let clock: @Sendable () -> UTCTime
  private let logger: Logger
  /// Bytes of one text of an entry at the most.
  static let maximumText_bytes = 2048
  /// Entries of the index's next batch at the most.
  static let batch: UInt64 = 500

  private struct Index {
    /// The first position that is not indexed, once it is known.
    var next: UInt64?
    /// How far it ever was.
    var furthest: UInt64 = 0
    /// The database came back with fewer entries than it had: from here on its rows are lost.
    var lostFrom: UInt64?
    /// The database was never asked since the start: rows of the register may be missing.
    var isHeld = false
    /// Losses of a connection when it was last asked.
    var losses = 0
  }

  private let indexed = Mutex(Index())

  package init(file: JournalFile, clock: @escaping @Sendable () -> UTCTime, logger: Logger) {
    self.file = file
    self.clock = clock
    self.logger = logger
  }

  package var folder: JournalFolder { file.folder }

  /// Replaces the key that signs checkpoints; the entry that says so is under the old one.
  func rotateKey(by author: String) async throws {
    let time = clock().microseconds
    _ = try await file.rotateKey { old, new in
      JournalEntry(
        kind: .statement, act: JournalRotation.act, time_us: time, author: author.printable, service: nil,
        facts: JournalRotation.facts(old: old, new: new), salt: Self.salt())
    }
  }

  /// Purges bodies older than three years; returns how many entries have none by now (LOG-5).
  func purge(by author: String) async throws -> UInt64 {
    let now = clock().microseconds
    // A day more than three years may have.
    return try await file.purge(before_us: now - JournalVerifier.bodiesKept_us - 86_400_000_000) { purge in
      JournalEntry(
        kind: .erasure, act: JournalPurge.act, time_us: now, author: author.printable, service: nil,
        facts: purge.facts, salt: Self.salt())
    }
  }

  /// Days beyond three years after which somebody is reminded that nobody purged: the timer is monthly.
  private static let purgeGrace_days: Int64 = 45

  /// Whether bodies are there that should have been purged long since.
  func isPurgeOverdue() -> Bool {
    let latest = clock().microseconds - JournalVerifier.bodiesKept_us - Self.purgeGrace_days * 86_400_000_000
    return (try? file.isPurgeDue(before_us: latest)) ?? false
  }

  package var mark: (size: UInt64, root: [UInt8]) { file.mark }

  /// Returns once the entry is durable: only then may the act happen.
  @discardableResult
  package func write(
    _ kind: JournalEntry.Kind, _ act: String, author: String, service: ServiceID?,
    _ facts: [String: CanonicalJSON]
  ) async throws -> UInt64 {
    let entry = JournalEntry(
      kind: kind, act: act, time_us: clock().microseconds, author: author.printable, service: service?.rawValue,
      facts: facts.mapValues(\.printable), salt: Self.salt())
    do {
      let position = try await file.append(entry).position
      ActTrace.current?.add(position, kind, act, author, service)
      return position
    } catch let error as VaultError {
      if file.isStopped {
        logger.debug("the server stops: an act is refused", metadata: ["act": "\(act)"])
      } else {
        logger.critical("the journal cannot be written; acts are refused", metadata: ["error": "\(error)"])
      }
      throw error
    }
  }

  /// Runs an act; where it fails after its entry, an entry of its own says so.
  func tracing<R: Sendable>(
    isolation: isolated (any _Concurrency.Actor)? = #isolation, _ body: () async throws -> R
  ) async throws -> R {
    let trace = ActTrace()
    do { return try await ActTrace.$current.withValue(trace, operation: body) } catch {
      for entry in trace.acts {
        _ = try? await write(
          entry.kind, entry.act + ".failed", author: entry.author, service: entry.service,
          ["entry": .integer(Int64(clamping: entry.position)), "result": .string("failed")])
      }
      throw error
    }
  }

  /// Brings the index to where the files are; returns the first position that is not indexed.
  ///
  /// The index has no holes: it is filled from the files, in order, from the first entry that it has not.
  @discardableResult
  package func bringIndexUp(_ store: any KeeperStore) async throws -> UInt64 {
    var next = try await firstUnindexed(store)
    // What was lost with them is brought forward first.
    while next < file.mark.size, !hasLost {
      let end = min(next + Self.batch, file.mark.size)
      var rows: [JournalIndexRow] = []
      for bundle in (next / 256)...((end - 1) / 256) {
        for (place, bytes) in try file.folder.bundle(bundle).enumerated() {
          let position = bundle * 256 + UInt64(place)
          guard (next..<end).contains(position), let entry = JournalEntry(canonical: bytes) else { continue }
          rows.append(
            (
              position: position, time_us: entry.time_us, kind: entry.kind.rawValue, act: entry.act,
              author: entry.author, service: entry.service, text: String(decoding: bytes, as: UTF8.self),
              leaf: MerkleHash.leaf(bytes)
            ))
        }
      }
      // Only what was purged may be missing: whole bundles of full tiles.
      guard rows.count == Int(end - next) || rows.isEmpty || next / 256 < (end - 1) / 256 else {
        throw VaultError("journal", file.folder.path, "entries from \(next) to \(end) cannot be read")
      }
      do { try await store.indexJournal(rows) } catch {
        // It may come back as another that is behind: asked anew.
        indexed.withLock { $0.next = nil }
        throw error
      }
      next = end
      // Whoever else brings it up meanwhile is not set back.
      indexed.withLock { index in
        index.next = max(index.next ?? 0, end)
        index.furthest = max(index.furthest, end)
      }
    }
    return next
  }

  private func firstUnindexed(_ store: any KeeperStore) async throws -> UInt64 {
    let losses = store.connectionLosses
    // Behind a new connection there may be another database, which is behind.
    if let known = indexed.withLock({ $0.losses == losses ? $0.next : nil }) { return known }
    let size = try await store.journalIndexSize()
    indexed.withLock { index in
      index.next = size
      index.losses = losses
      if size < index.furthest { index.lostFrom = min(index.lostFrom ?? size, size) }
      index.furthest = max(index.furthest, size)
    }
    return size
  }

  /// Whether rows of the register are known to be lost and were not brought forward yet.
  var hasLost: Bool { indexed.withLock { $0.lostFrom != nil || $0.isHeld } }

  /// Keeps the index of the journal where it is until ``foundAgain()``: what is behind it is brought forward first.
  func hold() { indexed.withLock { $0.isHeld = true } }

  /// The first entry whose rows are lost; nil where none are.
  func lostFrom(_ store: any KeeperStore) async throws -> UInt64? {
    _ = try await firstUnindexed(store)
    return indexed.withLock { $0.lostFrom }
  }

  /// The register has by now what it had lost.
  func foundAgain() {
    indexed.withLock { index in
      index.lostFrom = nil
      index.isHeld = false
      index.furthest = index.next ?? 0
    }
  }

  /// Keeps the index where the files are, for as long as the keeper runs.
  func bringIndexAlong(_ store: any KeeperStore) async {
    while !Task.isCancelled {
      do {
        try await bringIndexUp(store)
        try? await Task.sleep(for: .milliseconds(50))
      } catch {
        logger.warning("the journal's index waits for the database", metadata: ["error": "\(error)"])
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// Runs what is done beside an act: an act that fails does not take its entries back.
  static func beside<R>(
    isolation: isolated (any _Concurrency.Actor)? = #isolation, _ body: () async throws -> R
  ) async throws -> R {
    try await ActTrace.$current.withValue(nil, operation: body)
  }

  private static func salt() -> String {
    (0..<16).map { _ in UInt8.random(in: .min ... .max) }.hexadecimal
  }
}

extension String {
  /// Without control characters, which no name has and the register's text does not take.
  fileprivate var printable: String {
    var out = String.UnicodeScalarView()
    var size = 0
    for scalar in unicodeScalars where scalar.value >= 0x20 && scalar.value != 0x7F {
      size += UTF8.width(scalar)
      // No fact of an act is longer; what a stranger sends must not fill the journal.
      guard size <= Scribe.maximumText_bytes else { break }
      out.append(scalar)
    }
    return String(out)
  }
}

extension CanonicalJSON {
  fileprivate var printable: CanonicalJSON {
    switch self {
    case .string(let text): .string(text.printable)
    case .array(let values): .array(values.map(\.printable))
    case .object(let members): .object(members.mapValues(\.printable))
    case .null, .bool, .integer: self
    }
  }
}
