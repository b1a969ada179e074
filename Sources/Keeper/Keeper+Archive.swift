internal import Doctrine
internal import Foundation
internal import Journal
internal import Logging
package import Seams

/// Closed masters that lie in an object store: moved there, and erased there, by a process that has no keys.
// STO-1, RET-4.
extension Keeper {
  /// What failed is tried again after so long.
  private static let skip_s: Int64 = 600

  package func answer(_ call: ArchiveCall) async throws -> ArchiveReply {
    switch call {
    case .checked(let refusal):
      archiveProblem = refusal
      publishWall()
      return .done
    case .next: return .work(try await nextArchiveWork())
    case .moved(let part):
      try await moved(part)
      return .done
    case .erased(let part):
      objectsToErase[part] = nil
      erasedObjects.insert(part)
      // The sweeper has the certificates to write.
      if objectsToErase.isEmpty { Task { try? await self.sweep(orderedOnly: true) } }
      return .done
    case .failed(let part, let reason):
      logger.error("the archive could not do its work", metadata: ["part": "\(part)", "reason": "\(reason)"])
      // The others are not held up by it.
      archiveSkips.insert(part)
      objectsToErase[part] = nil
      return .done
    case .found(let parts):
      for part in parts {
        if let known = try await store.part(part), known.place == .object {
          try removeFiles(of: part, path: known.path)
        }
      }
      return .done
    }
  }

  /// Erasures first: their term has come.
  private func nextArchiveWork() async throws -> ArchiveWork? {
    if let (part, path) = objectsToErase.first { return .erase(part, path: path) }
    guard let days = settings.moveAfter_days, !isDatabaseAway else { return nil }
    let now = monotonic()
    if now.since(archiveSkipsSince) > Self.skip_s * 1_000_000 {
      archiveSkipsSince = now
      archiveSkips.removeAll()
    }
    let facts = try await store.nextToMove(
      recordedBy: calendar.day(of: clock()).adding(days: -days), except: Array(archiveSkips))
    guard let facts else { return nil }
    let known = try await known(facts.recording)
    guard case .granted = may(Actor(.archive), .moveFootage, try object(known), at: clock()) else { return nil }
    return .move(Self.facts(facts))
  }

  /// The journal first, then the register, then the file.
  private func moved(_ part: PartID) async throws {
    guard let known = try await store.part(part) else { return }
    if known.place == .disk {
      try await scribe.write(
        .modification, "footage.moved", author: "archive", service: known.service,
        [
          "recording": .string(known.recording.rawValue), "part": .string(part.rawValue),
          "place": .string(FootagePlace.object.rawValue),
        ])
      try await store.setPlace(part, .object)
    }
    // A hold, or an erasure, that came meanwhile is the register's word.
    guard try await store.part(part)?.place == .object else { return }
    try removeFiles(of: part, path: known.path)
  }
}
