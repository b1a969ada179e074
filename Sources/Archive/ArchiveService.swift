internal import Doctrine
internal import Extraction
internal import Foundation
package import Logging
package import ObjectStore
package import Seams
internal import Vault

/// The archive process: moves closed masters to an object store, and removes them there, as the keeper says.
///
/// It has the store's credentials and reads footage; it has no key, no journal, no database, and writes no footage.
/// Procedure: (1) the bucket is asked whether it keeps what is deleted; one that does is not used. (2) The keeper names a
/// closed part. (3) It is stored, and read back whole along its chain. (4) The keeper journals the move, changes the place
/// in the register, and only then removes the file. A stop anywhere begins again with the same part.
// STO-1, RET-4, INT-4.
package struct ArchiveService: Sendable {
  /// Between looks for work.
  static let pause: Duration = .seconds(1)
  /// After a failure: a store that is away is not hammered.
  static let pauseAfterFailure: Duration = .seconds(15)
  /// Between two checks of the bucket: somebody may switch versions on.
  static let checkEvery: Duration = .seconds(600)
  static let partsPerCall = 1000

  private let store: ObjectStore
  private let footageRoot: String
  private let keeper: SeamClient<ArchiveCall, ArchiveReply, ArchiveNotice>
  private let logger: Logger

  package init(
    store: ObjectStore, footageRoot: String, keeper: SeamClient<ArchiveCall, ArchiveReply, ArchiveNotice>,
    logger: Logger
  ) {
    self.store = store
    self.footageRoot = footageRoot
    self.keeper = keeper
    self.logger = logger
  }

  /// Runs until cancelled.
  package func run() async {
    var isTold = false
    var checkedUntil = ContinuousClock.now
    while !Task.isCancelled {
      do {
        if ContinuousClock.now >= checkedUntil {
          guard try await isUsable() else {
            try await Task.sleep(for: Self.pauseAfterFailure)
            continue
          }
          checkedUntil = .now + Self.checkEvery
        }
        if !isTold {
          try await tellFound()
          isTold = true
        }
        if try await !work() { try await Task.sleep(for: Self.pause) }
      } catch {
        logger.debug("no archive work", metadata: ["error": "\(error)"])
        try? await Task.sleep(for: Self.pauseAfterFailure)
      }
    }
    store.stop()
  }

  private func isUsable() async throws -> Bool {
    let store = self.store
    let refusal = await BlockingWork.run(isUrgent: false) { Self.failure { try store.checkBucket() } }
    // What a stop left half sent.
    if refusal == nil,
      let failure = await BlockingWork.run(isUrgent: false, { Self.failure { try store.abortUploads(of: "") } })
    {
      logger.warning("unfinished uploads were not ended", metadata: ["error": "\(failure)"])
    }
    if let refusal { logger.critical("the object store is not used", metadata: ["reason": "\(refusal)"]) }
    _ = try await keeper.call(.checked(refusal: refusal))
    return refusal == nil
  }

  /// Files that a stop between the move and the removal left behind.
  private func tellFound() async throws {
    let root = footageRoot
    let found: [PartID] = await BlockingWork.run(isUrgent: false) {
      var parts: [PartID] = []
      FootageTree.walk(root) { path in
        if let name = path.split(separator: "/").last { parts.append(PartID(String(name.dropLast(4)))) }
      }
      return parts
    }
    for start in stride(from: 0, to: found.count, by: Self.partsPerCall) {
      _ = try await keeper.call(.found(Array(found[start..<min(start + Self.partsPerCall, found.count)])))
    }
  }

  /// Does the next piece of work; false where there is none.
  private func work() async throws -> Bool {
    guard case .work(let work?) = try await keeper.call(.next) else { return false }
    let part =
      switch work {
      case .move(let facts): facts.part
      case .erase(let part, _, _): part
      }
    let (store, root) = (self.store, footageRoot)
    let failure = await BlockingWork.run(isUrgent: false) {
      Self.failure {
        switch work {
        case .move(let facts): try Self.move(facts, from: root, to: store)
        case .erase(_, let path, let location): try Self.erase(path, in: location, of: store)
        }
      }
    }
    if let failure {
      logger.error("archive work failed", metadata: ["part": "\(part)", "error": "\(failure)"])
      _ = try await keeper.call(.failed(part, reason: String(failure.prefix(300))))
      try await Task.sleep(for: Self.pauseAfterFailure)
      return true
    }
    switch work {
    case .move: _ = try await keeper.call(.moved(part, location: store.location.name))
    case .erase: _ = try await keeper.call(.erased(part))
    }
    return true
  }

  private static func erase(_ path: String, in location: String, of store: ObjectStore) throws {
    // Not being in this store says nothing of another.
    guard location.isEmpty || location == store.location.name else {
      throw ObjectStoreError(.configuration, "\(path) lies in \(location), and objects.url is \(store.location.name)")
    }
    try store.abortUploads(of: path)
    try store.remove(path)
  }

  private static func move(_ facts: PartIndexFacts, from root: String, to store: ObjectStore) throws {
    let indexed = IndexedPart(facts)
    if try isThere(indexed, in: store) { return }
    let source = try DiskSource(root + "/" + facts.path)
    try store.put(facts.path, from: source, size: Int(facts.file_bytes))
    guard try isThere(indexed, in: store) else {
      try? store.remove(facts.path)
      throw ObjectStoreError(.notWhatWasSent, "\(facts.path): what is stored is not the master")
    }
  }

  /// Whether the store has a part whole: every byte is read back along its chain, which needs no key.
  private static func isThere(_ part: IndexedPart, in store: ObjectStore) throws -> Bool {
    guard try store.contains(part.path) else { return false }
    return FootageCheck.check(part, in: try store.source(part.path)).isEmpty
  }

  /// What went wrong, in words; nil where nothing did.
  private static func failure(of body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch { return "\(error)" }
  }
}

extension IndexedPart {
  fileprivate init(_ facts: PartIndexFacts) {
    self.init(
      part: facts.part.rawValue, recording: facts.recording.rawValue, path: facts.path, isInObjectStore: true,
      isClosed: true, chunkCount: facts.chunkCount, chainHead: facts.chainHead.bytes, file_bytes: facts.file_bytes,
      media_bytes: facts.media_bytes, isContinued: facts.isContinued)
  }
}
