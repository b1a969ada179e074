internal import Crypto
internal import Doctrine
internal import Footage
internal import Logging
internal import Seams
internal import Vault

/// The index of footage, brought to what the files say.
///
/// Invariants: (1) a part that is closed in the register has every one of its chunks in a row; (2) a file is believed only
/// as far as it agrees with what the register knew of it.
extension Keeper {
  /// What a file says of itself, read on a thread of its own: the keeper goes on deciding.
  func fileIndex(
    _ part: PartID, of recording: RecordingID, path: String, key: SymmetricKey, proving known: PartProgress?
  ) async throws -> FileIndex {
    let full = settings.footageRoot + "/" + path
    return try await BlockingWork.attempt {
      try FileIndex(path: full, part: part, recording: recording, key: key, proving: known)
    }
  }

  /// Completes the index of parts that were closed while rows of it were lost: dropped in a long absence, or with a database
  /// that came back without its last second.
  func completeIndexes() async throws {
    while let closed = unwholeParts.first {
      if let entry = try await store.part(closed.part), entry.place == .disk {
        do {
          let index = try await fileIndex(
            closed.part, of: entry.recording, path: entry.path, key: try partKey(of: entry), proving: closed)
          try await store.replaceIndex(of: index.progress, with: index.rows)
          logger.notice("a part's index was completed from its file", metadata: ["part": "\(closed.part)"])
        } catch  where !store.isTransient(error) {
          // The file says otherwise, or cannot be read: the check names it.
          logger.error("a part's index is not whole", metadata: ["part": "\(closed.part)", "error": "\(error)"])
        }
      }
      unwholeParts.removeAll { $0.part == closed.part }
    }
  }

  func partKey(of entry: PartEntry) throws -> SymmetricKey {
    try keys.openPartKey(
      entry.wrappedKey, service: entry.service.rawValue, day: entry.keyName,
      part: UUIDText.binary(entry.id.rawValue) ?? [])
  }
}
