internal import Doctrine
internal import Extraction
internal import Foundation
internal import Logging
internal import ObjectStore
internal import Seams
internal import Vault

/// Reads every closed master again at least monthly, slowly, and tells the keeper what disagrees.
///
/// Without any key: the chain says whether a byte was changed. See docs/design/durability.md for the invariants.
// INT-5.
struct FootageChecker: Sendable {
  /// Between looks for a master to check.
  static let pause: Duration = .seconds(10)
  /// A store that did not answer is asked again after so long.
  static let storePause: Duration = .seconds(600)
  /// Bytes read a second at the most, so that nobody's live or replay waits for the disk.
  static let rate_bytes: Int64 = 50 << 20

  let keeper: ConsoleKeeper
  let footage: FootagePlaces
  let logger: Logger

  func run() async {
    var storeIsAwayUntil = ContinuousClock.now
    while !Task.isCancelled {
      var wait = Self.pause
      do throws(Problem) {
        if case .footageToCheck(let facts?) = try await keeper.call(
          .nextFootageCheck(onDisksOnly: .now < storeIsAwayUntil))
        {
          let findings = await check(facts)
          // A store that does not answer says nothing of what it holds.
          if facts.place == .object, let first = findings.first, first.code == "unreadable",
            !first.sentence.contains(ObjectStoreError.Code.notFound.rawValue)
          {
            logger.warning("the object store could not be read: disks are read meanwhile")
            storeIsAwayUntil = .now + Self.storePause
            continue
          }
          if let first = findings.first {
            logger.critical(
              "a master is not as it was written", metadata: ["part": "\(facts.part)", "finding": "\(first.code)"])
          }
          _ = try await keeper.call(
            .footageChecked(facts.part, finding: findings.first.map { "\($0.code): \($0.sentence)" }))
          wait = .milliseconds(1000 * facts.file_bytes / Self.rate_bytes + 20)
        }
      } catch {
        logger.debug("no footage check", metadata: ["problem": "\(error.code)"])
      }
      try? await Task.sleep(for: wait)
    }
  }

  private func check(_ facts: PartIndexFacts) async -> [FootageFinding] {
    let footage = self.footage
    return await BlockingWork.run(isUrgent: false) { FootageCheck.check(IndexedPart(facts), open: footage.open) }
  }
}

extension IndexedPart {
  init(_ facts: PartIndexFacts) {
    self.init(
      part: facts.part.rawValue, recording: facts.recording.rawValue, path: facts.path,
      isInObjectStore: facts.place == .object, isClosed: facts.state == "closed",
      chunkCount: facts.chunkCount, chainHead: facts.chainHead.bytes, file_bytes: facts.file_bytes,
      media_bytes: facts.media_bytes, isContinued: facts.isContinued)
  }
}
