internal import Glibc

/// Holds a file for this process alone, for as long as the value lives; the system lets go of it with the process.
package struct FolderLock: ~Copyable {
  private let descriptor: Int32

  /// - Throws: at once where another process holds it.
  package init(path: String) throws(VaultError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw VaultError("lock", path, "another process of this server uses the folder: end it first")
    }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }
}
