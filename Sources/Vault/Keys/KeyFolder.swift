internal import Glibc

/// The small files that keys are kept in: two copies, and a backup that is made anew every day.
///
/// Invariants: (1) a name that was removed is in neither copy, and does not come back from one that was away: a mark stays,
/// sealed, so that nobody else can make one; (2) what one copy has lost the other gives back; (3) the backup holds nothing
/// that was removed before it was last made; (4) a folder that is no longer named is emptied. A second copy that cannot be
/// written stops nobody: it is said, and made up for by ``mend(isWhole:)``.
// P6.
struct KeyFolder: Sendable {
  private static let maximumFile_bytes = 4096
  /// Ending of the file that says of a name that it was removed.
  private static let mark = ".gone"
  private static let markPurpose = "plastron/keys/v1/gone"
  /// Lies in every folder that was set up: one without it is a mount point whose disk is away.
  private static let flag = ".plastron-keys"
  /// The folders that keys were ever copied to.
  private static let places = ".places"

  let path: String
  /// The second copy; nil: there is one only.
  let copy: String?
  /// Holds `days/`; nil: no backup of the server's own.
  let backup: String?
  let masters: MasterKeys

  // MARK: Single files

  /// What a name holds; the second copy where the first is gone or `isWhole` refuses it, which is then mended.
  func read(_ name: String, isWhole: ([UInt8]) -> Bool) -> [UInt8]? {
    guard !isRemoved(name) else { return nil }
    if let bytes = bytes(path, name), isWhole(bytes) { return bytes }
    guard let copy, let bytes = bytes(copy, name), isWhole(bytes) else { return nil }
    try? Directories.replace(path + "/" + name, with: bytes, mode: 0o600)
    return bytes
  }

  /// Durable in the first folder when it returns, and in the second unless that fails.
  func write(_ name: String, _ bytes: [UInt8]) throws(VaultError) {
    try Directories.replace(path + "/" + name, with: bytes, mode: 0o600)
    if let copy, isReady(copy) { try? Directories.replace(copy + "/" + name, with: bytes, mode: 0o600) }
  }

  /// Overwrites and removes a name, for good, wherever it can be reached; a mark says so first in each.
  ///
  /// What a disk's own remnants keep is outside the promise (SECURITY.md).
  ///
  /// - Throws: where a copy cannot be reached: it may still have the name, and loses it when it is back.
  func remove(_ name: String) throws(VaultError) {
    guard isThere(name) || isRemoved(name) else { return }
    var failure: VaultError?
    for folder in [path, copy].compactMap({ $0 }) {
      do throws(VaultError) {
        guard folder == path || isReady(folder) else { throw VaultError("remove", folder, "it is not there: mount it") }
        if bytes(folder, name + Self.mark).map({ isMark(name, $0) }) != true {
          try Directories.replace(folder + "/" + name + Self.mark, with: try marked(name), mode: 0o600)
        }
        if access(folder + "/" + name, F_OK) == 0 {
          try DurableFile.overwrite(folder + "/" + name)
          try Directories.remove(folder + "/" + name)
        }
      } catch { failure = failure ?? error }
    }
    // A backup that cannot be reached now does without it at its next making.
    if let backup {
      let file = "\(backup)/days/\(name)"
      try? DurableFile.overwrite(file)
      try? Directories.remove(file)
    }
    if let failure { throw failure }
  }

  /// Names of keys, and of what is wrapped by them.
  var names: [String] {
    Array(Set(Directories.names(in: path)).union(copy.map { Directories.names(in: $0) } ?? [])).sorted()
      .filter { $0.hasSuffix(".key") || $0.hasSuffix(".wrapped") }
  }

  func isThere(_ name: String) -> Bool {
    [path, copy].contains { folder in folder.map { access($0 + "/" + name, F_OK) == 0 } ?? false }
  }

  /// Whether a name was removed while the second copy is away: it may have it still.
  func mayReturn(_ name: String) -> Bool { isRemoved(name) && copy.map { !isReady($0) } ?? false }

  /// Whether a name is free: neither there nor removed.
  func mayMake(_ name: String) -> Bool { !isRemoved(name) && !isThere(name) }

  /// Whether a name was there once and was removed.
  func isRemoved(_ name: String) -> Bool {
    [path, copy].contains { folder in
      folder.flatMap { bytes($0, name + Self.mark) }.map { isMark(name, $0) } ?? false
    }
  }

  private func bytes(_ folder: String, _ name: String) -> [UInt8]? {
    try? Directories.read(folder + "/" + name, limit: Self.maximumFile_bytes)
  }

  // MARK: Marks

  private func marked(_ name: String) throws(VaultError) -> [UInt8] {
    do { return try masters.seal([], purpose: Self.markPurpose, subject: name) } catch {
      throw VaultError("mark", "\(path)/\(name)", "\(error)")
    }
  }

  private func isMark(_ name: String, _ bytes: [UInt8]) -> Bool {
    (try? masters.open(bytes, purpose: Self.markPurpose, subject: name)) != nil
  }

  /// Seals the marks under the master key in force.
  func resealMarks() throws {
    for folder in [path, copy].compactMap({ $0 }) {
      for file in Directories.names(in: folder) where file.hasSuffix(Self.mark) {
        let name = String(file.dropLast(Self.mark.count))
        // One that does not open is not ours: the next look at the copies names it.
        guard let bytes = bytes(folder, file), isMark(name, bytes),
          let again = try masters.resealed(bytes, purpose: Self.markPurpose, subject: name)
        else { continue }
        try Directories.replace(folder + "/" + file, with: again, mode: 0o600)
      }
    }
  }

  // MARK: Both copies

  /// Brings both copies to the same names and contents; where both are whole the first is right.
  ///
  /// - Throws: where a folder cannot be used, or a mark was made by somebody else; everything else is done before.
  func mend(isWhole: (String, [UInt8]) -> Bool) throws(VaultError) {
    var failure: VaultError?
    func note(_ body: () throws(VaultError) -> Void) {
      do throws(VaultError) { try body() } catch { failure = failure ?? error }
    }
    note { () throws(VaultError) in try setUp() }
    if let copy, isReady(copy) {
      // What was removed while a copy was away goes from it as soon as it is back.
      for (folder, file) in marks {
        let name = String(file.dropLast(Self.mark.count))
        if bytes(folder, file).map({ isMark(name, $0) }) == true {
          note { () throws(VaultError) in try remove(name) }
        } else {
          failure = failure ?? VaultError("mark", "\(folder)/\(file)", "not made by this server: somebody put it there")
        }
      }
      for name in names {
        guard let whole = read(name, isWhole: { isWhole(name, $0) }), bytes(copy, name) != whole else { continue }
        note { () throws(VaultError) in try Directories.replace(copy + "/" + name, with: whole, mode: 0o600) }
      }
    }
    // Last: what only a former folder has was not ours to lose.
    note { () throws(VaultError) in try emptyFormer() }
    if let failure { throw failure }
  }

  private var marks: [(folder: String, file: String)] {
    [path, copy].compactMap { $0 }.flatMap { folder in
      Directories.names(in: folder).filter { $0.hasSuffix(Self.mark) }.map { (folder, $0) }
    }
  }

  private var known: [String] {
    bytes(path, Self.places).map { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) } ?? []
  }

  private func remember(_ places: [String]) throws(VaultError) {
    try Directories.replace(path + "/" + Self.places, with: Array(places.joined(separator: "\n").utf8), mode: 0o600)
  }

  /// Sets up the folders that are named.
  ///
  /// - Throws: where one that was set up is not there.
  func setUp() throws(VaultError) {
    var failure: VaultError?
    for place in [copy, backup].compactMap({ $0 }) {
      do throws(VaultError) {
        let known = self.known
        if !isReady(place) {
          guard !known.contains(place) else {
            throw VaultError(
              "keys", place, "it is not there: mount it; for a new disk make the file \(Self.flag) in it")
          }
          try Directories.make(place, mode: 0o700)
          try Directories.replace(place + "/" + Self.flag, with: Array("plastron\n".utf8), mode: 0o600)
        }
        if !known.contains(place) { try remember(known + [place]) }
      } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  /// Empties folders that are no longer named, so that no key outlives its day there.
  ///
  /// - Throws: where one cannot be reached.
  private func emptyFormer() throws(VaultError) {
    let live = [path, copy, backup].compactMap { $0 }
    for place in known where place != copy && place != backup {
      guard isReady(place) else {
        throw VaultError(
          "keys", place,
          "keys were copied there once: mount it, so that they are removed; if its disk is destroyed, take its line out of \(path)/\(Self.places)"
        )
      }
      // Another spelling of a folder that is in use is not a former one.
      if !live.contains(where: { Self.isSame($0, place) }) {
        for folder in [place, place + "/days"] {
          for name in Directories.names(in: folder) where name.contains(".key") || name.contains(".wrapped") {
            try DurableFile.overwrite(folder + "/" + name)
            try Directories.remove(folder + "/" + name)
          }
        }
        try Directories.remove(place + "/" + Self.flag)
      }
      try remember(known.filter { $0 != place })
    }
  }

  private static func isSame(_ one: String, _ other: String) -> Bool {
    var (a, b) = (stat(), stat())
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino
  }

  private func isReady(_ place: String) -> Bool { access(place + "/" + Self.flag, F_OK) == 0 }

  // MARK: Backup

  /// Makes the backup anew: what is here now, marks too, in place of what was there.
  func backUp() throws(VaultError) {
    guard let backup else { return }
    guard isReady(backup) else { throw VaultError("keys", backup, "it is not there: mount it") }
    let fresh = backup + "/days.new"
    try Self.discard(fresh)
    try Directories.make(fresh, mode: 0o700)
    for name in names {
      guard let bytes = read(name, isWhole: { !$0.isEmpty }) else { continue }
      try Directories.replace(fresh + "/" + name, with: bytes, mode: 0o600)
    }
    for (folder, file) in marks {
      if let bytes = bytes(folder, file) { try Directories.replace(fresh + "/" + file, with: bytes, mode: 0o600) }
    }
    try Self.discard(backup + "/days.old")
    if access(backup + "/days", F_OK) == 0 { try Directories.rename(backup + "/days", to: backup + "/days.old") }
    try Directories.rename(fresh, to: backup + "/days")
    try Self.discard(backup + "/days.old")
  }

  /// Seconds since 1970 at which the backup was last made; nil where there is none.
  var backedUpAt: Int64? {
    guard let backup else { return nil }
    var status = stat()
    return stat(backup + "/days", &status) == 0 ? Int64(status.st_mtim.tv_sec) : nil
  }

  /// Whether the backup has all names that are here.
  var isBackedUp: Bool {
    guard let backup else { return true }
    return Set(names).isSubset(of: Directories.names(in: backup + "/days"))
  }

  private static func discard(_ folder: String) throws(VaultError) {
    guard access(folder, F_OK) == 0 else { return }
    for name in Directories.names(in: folder) {
      try DurableFile.overwrite(folder + "/" + name)
      try Directories.remove(folder + "/" + name)
    }
    guard rmdir(folder) == 0 else { throw VaultError.system("rmdir", folder) }
  }
}
