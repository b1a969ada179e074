internal import Glibc
internal import Synchronization

/// The small files that keys are kept in: two copies, each durable before it is used, and a backup that is made anew every day.
///
/// Invariants: (1) a name that was removed is in neither copy, and does not come back from one that was away: a mark stays;
/// (2) what one copy has lost the other gives back; (3) the backup holds nothing that was removed before it was last made.
/// A second copy that cannot be written stops nobody: it is said, and made up for by ``mend(isWhole:)``.
// P6.
struct KeyFolder: Sendable {
  private static let maximumFile_bytes = 4096
  /// Ending of the empty file that says of a name that it was removed.
  private static let mark = ".gone"

  let path: String
  /// The second copy; nil: there is one only.
  let copy: String?
  /// Holds `days/`; nil: no backup of the server's own.
  let backup: String?

  /// What a name holds; the second copy where the first is gone or `isWhole` refuses it, which is then mended.
  func read(_ name: String, isWhole: ([UInt8]) -> Bool) -> [UInt8]? {
    guard !isRemoved(name) else { return nil }
    if let bytes = try? Directories.read(path + "/" + name, limit: Self.maximumFile_bytes), isWhole(bytes) {
      return bytes
    }
    guard let copy, let bytes = try? Directories.read(copy + "/" + name, limit: Self.maximumFile_bytes), isWhole(bytes)
    else { return nil }
    try? Directories.replace(path + "/" + name, with: bytes, mode: 0o600)
    return bytes
  }

  /// Durable in the first folder when it returns, and in the second unless that fails.
  func write(_ name: String, _ bytes: [UInt8]) throws(VaultError) {
    try Directories.replace(path + "/" + name, with: bytes, mode: 0o600)
    if let copy { try? Directories.replace(copy + "/" + name, with: bytes, mode: 0o600) }
  }

  /// Brings both copies to the same names and contents; where both are whole the first is right.
  func mend(isWhole: (String, [UInt8]) -> Bool) throws(VaultError) {
    guard let copy else { return }
    try Directories.make(copy, mode: 0o700)
    // What was removed while a copy was away goes from it as soon as it is back.
    for name in Directories.names(in: path) + Directories.names(in: copy) where name.hasSuffix(Self.mark) {
      try remove(String(name.dropLast(Self.mark.count)))
    }
    for name in names {
      guard let bytes = read(name, isWhole: { isWhole(name, $0) }) else { continue }
      if (try? Directories.read(copy + "/" + name, limit: Self.maximumFile_bytes)) != bytes {
        try Directories.replace(copy + "/" + name, with: bytes, mode: 0o600)
      }
    }
  }

  /// Overwrites and removes a name, for good: a mark says so from before the first copy goes.
  ///
  /// What a disk's own remnants keep is outside the promise (SECURITY.md).
  ///
  /// - Throws: where a copy cannot be reached: it may still have the name.
  func remove(_ name: String) throws(VaultError) {
    let folders = [path, copy].compactMap { $0 }
    guard folders.contains(where: { access($0 + "/" + name, F_OK) == 0 }) || isRemoved(name) else { return }
    for folder in folders where access(folder + "/" + name + Self.mark, F_OK) != 0 {
      try Directories.replace(folder + "/" + name + Self.mark, with: [], mode: 0o600)
    }
    for folder in folders {
      let file = folder + "/" + name
      var status = stat()
      guard stat(file, &status) == 0 else {
        guard errno == ENOENT else { throw VaultError.system("stat", file) }
        continue
      }
      try DurableFile.overwrite(file)
      try Directories.remove(file)
    }
    // One that cannot be reached now does without it at its next making.
    if let backup {
      let file = "\(backup)/days/\(name)"
      try? DurableFile.overwrite(file)
      try? Directories.remove(file)
    }
  }

  var names: [String] {
    Array(Set(Directories.names(in: path)).union(copy.map { Directories.names(in: $0) } ?? [])).sorted()
      .filter { !$0.hasSuffix(".new") && !$0.hasSuffix(Self.mark) }
  }

  /// Whether a name is free: neither there nor removed.
  func mayMake(_ name: String) -> Bool { !isRemoved(name) && !names.contains(name) }

  /// Whether a name was there once and was removed.
  func isRemoved(_ name: String) -> Bool {
    [path, copy].contains { folder in folder.map { access($0 + "/" + name + Self.mark, F_OK) == 0 } ?? false }
  }

  /// Makes the backup anew: what is here now, in place of what was there.
  func backUp() throws(VaultError) {
    guard let backup else { return }
    let fresh = backup + "/days.new"
    try Self.discard(fresh)
    try Directories.make(fresh, mode: 0o700)
    for name in names {
      guard let bytes = read(name, isWhole: { !$0.isEmpty }) else { continue }
      try Directories.replace(fresh + "/" + name, with: bytes, mode: 0o600)
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
