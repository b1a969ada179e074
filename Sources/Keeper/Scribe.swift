package import Doctrine
internal import Foundation
package import Journal
package import Logging
internal import Synchronization
package import Vault

/// Writes acts into the journal, files first, and brings the index in PostgreSQL along behind.
// P7, LOG-1.
package final class Scribe: Sendable {
  private let file: JournalFile
  private let clock: @Sendable () -> UTCTime
  private let logger: Logger
  /// Entries that are durable and not indexed yet; bounded, as the file can be read again.
  private let unindexed = Mutex<[CommittedEntry]>([])
  private let behind = Mutex<Bool>(false)
  static let maximumUnindexed = 100_000

  package init(file: JournalFile, clock: @escaping @Sendable () -> UTCTime, logger: Logger) {
    self.file = file
    self.clock = clock
    self.logger = logger
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
    let committed = try await file.append(entry)
    unindexed.withLock { list in
      if list.count < Self.maximumUnindexed { list.append(committed) }
    }
    return committed.position
  }

  /// Sends what is not indexed yet to the register, for as long as the keeper runs.
  func bringIndexAlong(_ store: any KeeperStore) async {
    while !Task.isCancelled {
      let batch = unindexed.withLock { Array($0.prefix(500)) }
      if batch.isEmpty {
        try? await Task.sleep(for: .milliseconds(100))
        continue
      }
      do {
        try await index(batch, store)
        unindexed.withLock { $0.removeFirst(batch.count) }
      } catch {
        logger.warning("the journal's index waits for the database", metadata: ["error": "\(error)"])
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// Indexes a batch; where the database will not take it as a whole, entry by entry, passing over those it
  /// will never take: the file has them, and no single entry may stop the index.
  private func index(_ batch: [CommittedEntry], _ store: any KeeperStore) async throws {
    func row(_ item: CommittedEntry) -> JournalIndexRow {
      (
        position: item.position, time_us: item.entry.time_us, kind: item.entry.kind.rawValue, act: item.entry.act,
        author: item.entry.author, service: item.entry.service, text: String(decoding: item.bytes, as: UTF8.self),
        leaf: item.leaf
      )
    }
    do {
      try await store.indexJournal(batch.map(row))
    } catch  where !store.isTransient(error) {
      for item in batch {
        do {
          try await store.indexJournal([row(item)])
        } catch  where !store.isTransient(error) {
          logger.error("an entry is not indexed", metadata: ["position": "\(item.position)", "error": "\(error)"])
        }
      }
    }
  }

  private static func salt() -> String {
    (0..<16).map { _ in UInt8.random(in: .min ... .max) }.hexadecimal
  }
}

extension String {
  /// Without control characters, which no name has and the register's text does not take.
  fileprivate var printable: String {
    String(String.UnicodeScalarView(unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }))
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
