internal import Glibc

/// Where the bytes of one master are read from: a disk, or an object store. Blocking: on a thread of its own.
package protocol ByteSource: Sendable {
  /// What it is called in an error.
  var name: String { get }
  /// Bytes that are best asked for at once.
  var block_bytes: Int { get }

  /// Up to `count` bytes from an offset on; fewer only at the end, none behind it.
  func read(at offset: Int, upTo count: Int) throws(VaultError) -> [UInt8]
}

/// A file on a disk.
package final class DiskSource: ByteSource {
  private let descriptor: Int32
  package let name: String
  package let block_bytes = 1 << 20

  package init(_ path: String) throws(VaultError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    name = path
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
  }

  /// How long the file is, and when it was last written to.
  func status() throws(VaultError) -> (length_bytes: Int64, changed_s: Int64) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw VaultError.system("stat", name) }
    return (Int64(status.st_size), Int64(status.st_mtim.tv_sec))
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }

  package func read(at offset: Int, upTo count: Int) throws(VaultError) -> [UInt8] {
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let got = pread(
          descriptor, buffer.baseAddress.map { $0 + initialized }, count - initialized, off_t(offset + initialized))
        if got < 0, errno == EINTR { continue }
        failed = got < 0
        if got <= 0 { break }
        initialized += got
      }
    }
    guard !failed else { throw VaultError.system("read", name) }
    return bytes
  }
}
