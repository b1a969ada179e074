internal import Doctrine
internal import Foundation
internal import Journal
internal import Logging
package import Seams
internal import Vault

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
    case .next: return .work(try await nextArchiveWork())
    case .moved(let part, let location): try await moved(part, to: location)
    case .erased(let part):
      objectsToErase[part] = nil
      erasedObjects.insert(part)
      // The sweeper has the certificates to write.
      if objectsToErase.isEmpty { sweepsSoon = true }
    case .failed(let part, let reason):
      logger.error("the archive could not do its work", metadata: ["part": "\(part)", "reason": "\(reason)"])
      // The others are not held up by it.
      archiveSkips.insert(part)
      movingPaths[part] = nil
    case .found(let parts):
      // Each is read back from the store, or stored once more, before its file goes.
      for part in parts where try await store.part(part)?.place == .object { archiveStranded.insert(part) }
    }
    return .done
  }

  /// Erasures first: their term has come.
  private func nextArchiveWork() async throws -> ArchiveWork? {
    let now = monotonic()
    if now.since(archiveSkipsSince) > Self.skip_s * 1_000_000 {
      archiveSkipsSince = now
      archiveSkips.removeAll()
    }
    if let (part, object) = objectsToErase.first(where: { !archiveSkips.contains($0.key) }) {
      return .erase(part, path: object.path, location: object.location)
    }
    guard let days = settings.moveAfter_days, !isDatabaseAway else { return nil }
    while let part = archiveStranded.popFirst() {
      guard let facts = try await store.partFacts(of: part) else { continue }
      movingPaths[part] = facts.path
      return .move(Self.facts(facts))
    }
    let day = calendar.day(of: clock()).adding(days: -days)
    while let facts = try await store.nextToMove(recordedBy: day, except: Array(archiveSkips)) {
      let known = try await known(facts.recording)
      guard case .granted = may(Actor(.archive), .moveFootage, try object(known), at: clock()) else {
        archiveSkips.insert(facts.progress.part)
        continue
      }
      movingPaths[facts.progress.part] = facts.path
      return .move(Self.facts(facts))
    }
    return nil
  }

  /// The journal first, then the register, then the file.
  private func moved(_ part: PartID, to location: String) async throws {
    // Only what was handed out: nobody's word alone removes a file.
    guard let path = movingPaths.removeValue(forKey: part) else {
      throw Problem.badRequest("\(part) was not to be moved")
    }
    guard let known = try await store.part(part) else {
      // Erased meanwhile: what was stored goes as well.
      objectsToErase[part] = (path, location, monotonic())
      return
    }
    if known.place == .disk {
      try await scribe.write(
        .modification, "footage.moved", author: "archive", service: known.service,
        [
          "recording": .string(known.recording.rawValue), "part": .string(part.rawValue),
          "place": .string(FootagePlace.object.rawValue), "location": .string(location),
        ])
      guard try await store.setPlace(part, .object, location: location) else {
        objectsToErase[part] = (path, location, monotonic())
        return
      }
    }
    // One that was stored once more, elsewhere than before.
    if known.place == .object { _ = try await store.setPlace(part, .object, location: location) }
    // The master alone: what a torn write left beside it is nowhere else.
    try Directories.remove(settings.footageRoot + "/" + known.path)
  }
}
