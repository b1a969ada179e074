package import Crypto
internal import Footage
internal import Foundation
internal import Synchronization

/// The keeper's keys: the master key seals day keys, a day key wraps the part keys of one service and day.
///
/// Day keys are files of 60 bytes in a folder of their own, in two copies (excluded from snapshots, backed up apart);
/// destroying one makes every part it wraps unreadable, wherever a copy of the part lies. While the master key is being
/// changed what the old one sealed still opens.
// P6, STO-4.
package final class KeyRing: Sendable {
  private static let dayKeyPurpose = "plastron/keys/v1/day"
  /// Day keys held in memory; a fleet of services uses a few a day.
  private static let maximumCached = 1024

  private let masters: MasterKeys
  private let folder: KeyFolder
  private let cache = Mutex<[String: SymmetricKey]>([:])

  /// - Parameters:
  ///   - masterKeyPath: see ``MasterKeyFile``; only the keeper can read it.
  ///   - folder: where the day keys live.
  ///   - copy: where they live a second time; best on another disk.
  ///   - backup: where they are copied to every day, in place of the copy of the day before.
  package init(masterKeyPath: String, folder: String, copy: String? = nil, backup: String? = nil) throws {
    masters = try MasterKeys(path: masterKeyPath)
    self.folder = KeyFolder(path: folder, copy: copy, backup: backup, masters: masters)
    try Directories.make(folder, mode: 0o700)
    // One that is away now is made up for later.
    try? self.folder.setUp()
  }

  // MARK: Part keys

  /// A new part key and its wrapped form.
  package func newPartKey(service: String, day: String, part: [UInt8]) throws -> (key: SymmetricKey, wrapped: [UInt8]) {
    let dayKey = try dayKey(service: service, day: day, make: true)
    let key = SymmetricKey(size: .bits256)
    return (key, try Sealing.sealKey(key, under: dayKey, purpose: Sealing.partKeyPurpose, subject: part))
  }

  /// Opens a wrapped part key.
  ///
  /// - Throws: where the day key has been destroyed, or is not the one that wrapped it.
  package func openPartKey(_ wrapped: [UInt8], service: String, day: String, part: [UInt8]) throws -> SymmetricKey {
    let dayKey = try dayKey(service: service, day: day, make: false)
    return try Sealing.openKey(wrapped, under: dayKey, purpose: Sealing.partKeyPurpose, subject: part)
  }

  /// Wraps a part key anew, under a key of its own name, so that it outlives its day.
  ///
  /// The old form stays good until the old key is destroyed. The new one is kept beside its key: a register that is restored
  /// from before finds it there.
  package func rewrap(
    _ wrapped: [UInt8], service: String, from name: String, to newName: String, part: [UInt8]
  ) throws -> [UInt8] {
    if let kept = rewrapped(service: service, as: newName, part: part) { return kept }
    let key = try openPartKey(wrapped, service: service, day: name, part: part)
    let again = try Sealing.sealKey(
      key, under: try dayKey(service: service, day: newName, make: true), purpose: Sealing.partKeyPurpose, subject: part
    )
    try folder.write(Self.fileName(service, newName, "wrapped"), again)
    return again
  }

  /// What ``rewrap(_:service:from:to:part:)`` gave before; nil where it was not asked, or its key is destroyed.
  package func rewrapped(service: String, as name: String, part: [UInt8]) -> [UInt8]? {
    guard let key = try? dayKey(service: service, day: name, make: false) else { return nil }
    return folder.read(Self.fileName(service, name, "wrapped")) { bytes in
      (try? Sealing.openKey(bytes, under: key, purpose: Sealing.partKeyPurpose, subject: part)) != nil
    }
  }

  // MARK: Day keys

  /// Destroys a day key for good. A no-op where it is gone already.
  ///
  /// - Throws: where a copy cannot be reached: then the key may still be there.
  package func destroyDayKey(service: String, day: String) throws {
    let name = Self.fileName(service, day, "key")
    try cache.withLock { cache in
      cache[name] = nil
      // Both, whatever becomes of either.
      let outcomes = [name, Self.fileName(service, day, "wrapped")].map { name in Result { try folder.remove(name) } }
      for outcome in outcomes { try outcome.get() }
    }
  }

  /// Whether a key, or a copy of it, is still there, or may be in a copy that is away.
  package func isThere(service: String, day: String) -> Bool {
    let name = Self.fileName(service, day, "key")
    return folder.isThere(name) || folder.isThere(Self.fileName(service, day, "wrapped")) || folder.mayReturn(name)
  }

  /// Whether a key was destroyed.
  package func isRemoved(service: String, day: String) -> Bool { folder.isRemoved(Self.fileName(service, day, "key")) }

  /// Whether a file `held-<part>_<service>.wrapped` opens under the key beside it.
  private func isWholeWrapping(_ name: String, _ bytes: [UInt8]) -> Bool {
    let key = String(name.dropLast(".wrapped".count)) + ".key"
    guard let part = name.split(separator: "_").first.flatMap({ UUIDText.binary(String($0.dropFirst("held-".count))) })
    else { return false }
    var opens = false
    _ = folder.read(key) { sealed in
      guard let held = try? masters.openKey(sealed, purpose: Self.dayKeyPurpose, subject: key) else { return false }
      opens = (try? Sealing.openKey(bytes, under: held, purpose: Sealing.partKeyPurpose, subject: part)) != nil
      return true
    }
    return opens
  }

  /// The services and days (or other names) whose keys are there.
  package func dayKeys() -> [(service: String, day: String)] {
    folder.names.compactMap { name in
      guard name.hasSuffix(".key"), let split = name.firstIndex(of: "_") else { return nil }
      return (String(name[name.index(after: split)...].dropLast(4)), String(name[..<split]))
    }
  }

  private func dayKey(service: String, day: String, make: Bool) throws -> SymmetricKey {
    let name = Self.fileName(service, day, "key")
    return try cache.withLock { cache in
      if let known = cache[name] { return known }
      var key: SymmetricKey?
      _ = folder.read(name) { sealed in
        key = try? masters.openKey(sealed, purpose: Self.dayKeyPurpose, subject: name)
        return key != nil
      }
      if key == nil, make {
        // A file that no master key opens is not written over: what it wrapped may yet be opened by the right one.
        guard folder.mayMake(name) else {
          throw VaultError("day key", "\(folder.path)/\(name)", "destroyed, or the master key does not open it")
        }
        let made = SymmetricKey(size: .bits256)
        try folder.write(name, try masters.sealKey(made, purpose: Self.dayKeyPurpose, subject: name))
        key = made
      }
      guard let key else {
        throw VaultError("day key", "\(folder.path)/\(name)", "destroyed or missing: what it wrapped cannot be read")
      }
      if cache.count >= Self.maximumCached { cache.removeAll() }
      cache[name] = key
      return key
    }
  }

  private static func fileName(_ service: String, _ day: String, _ ending: String) -> String {
    "\(day)_\(service).\(ending)"
  }

  // MARK: Copies

  /// Makes up for what either copy of the keys has lost.
  ///
  /// - Throws: where the second copy cannot be read or written.
  package func mendCopies() throws {
    // In the cache's lock: a key that is destroyed meanwhile must not come back.
    try cache.withLock { _ in
      try folder.mend { name, bytes in
        name.hasSuffix(".key")
          ? (try? masters.openKey(bytes, purpose: Self.dayKeyPurpose, subject: name)) != nil
          : isWholeWrapping(name, bytes)
      }
    }
  }

  /// Makes the day keys' own backup anew, where one is configured, and a day has passed or a key is not in it yet.
  ///
  /// - Parameter force: whatever the day is, and whatever is in it.
  /// - Returns: whether it was made.
  package func backUp(now_s: Int64, force: Bool = false) throws -> Bool {
    guard folder.backup != nil else { return false }
    if !force, let last = folder.backedUpAt, (0..<Self.backupEvery_s).contains(now_s - last), folder.isBackedUp {
      return false
    }
    try cache.withLock { _ in try folder.backUp() }
    return true
  }

  /// An hour less than a day: so that the copy is never older than one.
  private static let backupEvery_s: Int64 = 23 * 3600

  // MARK: Under the master key

  /// Seals a small secret of the register, such as a camera's passphrase.
  package func seal(_ secret: [UInt8], purpose: String, subject: String) throws -> [UInt8] {
    try masters.seal(secret, purpose: purpose, subject: subject)
  }

  package func open(_ sealed: [UInt8], purpose: String, subject: String) throws -> [UInt8] {
    try masters.open(sealed, purpose: purpose, subject: subject)
  }

  // MARK: A new master key

  /// Reads the master key's file again.
  ///
  /// - Returns: how many keys are in it: two while the key is being changed.
  package func reloadMasters() throws -> Int { try masters.reload() }

  /// A secret under the key in force; nil where it is already.
  package func resealed(_ sealed: [UInt8], purpose: String, subject: String) throws -> [UInt8]? {
    try masters.resealed(sealed, purpose: purpose, subject: subject)
  }

  /// Seals every day key under the master key in force; those that are already are left. May be repeated after a stop.
  ///
  /// - Returns: how many were sealed anew.
  /// - Throws: at the first that neither key opens; nothing is lost by it.
  package func resealDayKeys() throws -> Int {
    var count = 0
    try cache.withLock { _ in try folder.resealMarks() }
    for name in folder.names where name.hasSuffix(".key") {
      // In the cache's lock: a key that is destroyed meanwhile must not come back.
      try cache.withLock { _ in
        guard
          let sealed = folder.read(
            name, isWhole: { (try? masters.openKey($0, purpose: Self.dayKeyPurpose, subject: name)) != nil })
        else { throw VaultError("day key", "\(folder.path)/\(name)", "neither master key opens it") }
        if let again = try masters.resealed(sealed, purpose: Self.dayKeyPurpose, subject: name) {
          try folder.write(name, again)
          count += 1
        }
      }
    }
    return count
  }
}
