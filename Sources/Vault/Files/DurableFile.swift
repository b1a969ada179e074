internal import CFlush
internal import Glibc

/// A descriptor that is closed with its last holder: who appends and who flushes share it.
private final class SharedDescriptor: Sendable {
  let number: Int32

  init(_ number: Int32) { self.number = number }

  deinit { _ = close(number) }
}

/// The flushing of a file, by another thread than the one that appends to it.
package struct FileFlush: Sendable {
  fileprivate let descriptor: SharedDescriptor
  fileprivate let path: String

  /// Starts writing what is dirty, and waits for nothing: many files begun together are flushed sooner.
  package func begin() { Flushing.begin(descriptor.number) }

  package func flush() throws(VaultError) {
    guard fdatasync(descriptor.number) == 0 else { throw VaultError.system("fdatasync", path) }
  }
}

/// An open file that is only ever appended to; closed when it and its flushers are gone.
package struct DurableFile: ~Copyable {
  private let shared: SharedDescriptor
  package let path: String
  /// Bytes written, whether or not they are flushed yet.
  package private(set) var length: Int64

  private var descriptor: Int32 { shared.number }

  private init(descriptor: Int32, path: String, length: Int64) {
    shared = SharedDescriptor(descriptor)
    self.path = path
    self.length = length
  }

  package var flusher: FileFlush { FileFlush(descriptor: shared, path: path) }

  /// Makes a new file, and its name durable.
  ///
  /// - Parameter flushesName: false where the caller flushes the folder, before it tells anybody of the file.
  package static func create(
    _ path: String, mode: UInt32 = 0o640, flushesName: Bool = true
  ) throws(VaultError) -> DurableFile {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, mode)
    guard descriptor >= 0 else { throw VaultError.system("create", path) }
    let file = DurableFile(descriptor: descriptor, path: path, length: 0)
    guard flushesName else { return file }
    do throws(VaultError) {
      try Directories.flush(Directories.parent(of: path))
    } catch {
      // A name that may not last is taken back, so that the next try can make it.
      _ = unlink(path)
      throw error
    }
    return file
  }

  /// Opens an existing file, or makes it, for appending at its end.
  package static func append(_ path: String, mode: UInt32 = 0o640) throws(VaultError) -> DurableFile {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, mode)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    let end = lseek(descriptor, 0, SEEK_END)
    let file = DurableFile(descriptor: descriptor, path: path, length: Int64(end))
    guard end >= 0 else { throw VaultError.system("seek", path) }
    // Made just now, its name must last as well.
    if end == 0 { try Directories.flush(Directories.parent(of: path)) }
    return file
  }

  /// Appends all of `bytes`, or leaves the file as long as it was.
  package mutating func append(_ bytes: [UInt8]) throws(VaultError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(descriptor, buffer.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 {
        if errno == EINTR { continue }
        let error = VaultError.system("write", path)
        _ = ftruncate(descriptor, off_t(length))
        throw error
      }
      written += count
    }
    length += Int64(bytes.count)
  }

  package borrowing func flush() throws(VaultError) { try flusher.flush() }

  /// Overwrites all of a file in place, durably: for what must not be read again.
  static func overwrite(_ path: String) throws(VaultError) {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    let file = DurableFile(descriptor: descriptor, path: path, length: 0)
    let size = lseek(descriptor, 0, SEEK_END)
    let zeros = [UInt8](repeating: 0, count: max(0, Int(size)))
    guard size >= 0, zeros.withUnsafeBytes({ pwrite(descriptor, $0.baseAddress, zeros.count, 0) }) == zeros.count else {
      throw VaultError.system("overwrite", path)
    }
    try file.flush()
  }

  /// Cuts the file to its valid prefix; for recovery only.
  package mutating func truncate(to valid: Int64) throws(VaultError) {
    guard ftruncate(descriptor, off_t(valid)) == 0 else { throw VaultError.system("truncate", path) }
    length = valid
  }
}

/// The kernel's other ways to the disk. See docs/design/durability.md for what each costs.
package enum Flushing {
  /// False where it cannot be begun; the flush that follows says why.
  @discardableResult
  package static func begin(_ descriptor: Int32) -> Bool { plastron_begin_writing(descriptor) == 0 }

  /// Flushes the whole file system that a file lies on.
  package static func fileSystem(_ descriptor: Int32) -> Bool { plastron_syncfs(descriptor) == 0 }
}

/// Folders, made and flushed so that a name survives a power cut.
package enum Directories {
  package static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Makes a folder and those above it, durably.
  package static func make(_ path: String, mode: UInt32 = 0o750) throws(VaultError) {
    for folder in try makeUnflushed(path, mode: mode) { try flush(folder) }
  }

  /// Makes a folder and those above it; returns the folders to be flushed for the new names to last, outermost first.
  static func makeUnflushed(_ path: String, mode: UInt32) throws(VaultError) -> [String] {
    if mkdir(path, mode) == 0 { return [parent(of: path)] }
    switch errno {
    case EEXIST: return []
    case ENOENT:
      let above = try makeUnflushed(parent(of: path), mode: mode)
      guard mkdir(path, mode) == 0 || errno == EEXIST else { throw VaultError.system("mkdir", path) }
      return above + [parent(of: path)]
    default: throw VaultError.system("mkdir", path)
    }
  }

  static func flush(_ path: String) throws(VaultError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    defer { _ = close(descriptor) }
    guard fsync(descriptor) == 0 else { throw VaultError.system("fsync", path) }
  }

  /// Writes a small file whole or not at all: beside, flushed, renamed.
  ///
  /// - Parameter owner: user and group it is given to, where the process may.
  package static func replace(
    _ path: String, with bytes: [UInt8], mode: UInt32 = 0o640, owner: (user: UInt32, group: UInt32)? = nil
  ) throws(VaultError) {
    let temporary = path + ".new"
    _ = unlink(temporary)
    var file = try DurableFile.create(temporary, mode: mode)
    if let owner {
      guard chown(temporary, owner.user, owner.group) == 0 else { throw VaultError.system("chown", path) }
    }
    try file.append(bytes)
    try file.flush()
    try rename(temporary, to: path)
  }

  /// Gives a file another name, durably; what had that name is gone.
  package static func rename(_ path: String, to name: String) throws(VaultError) {
    guard Glibc.rename(path, name) == 0 else { throw VaultError.system("rename", name) }
    try flush(parent(of: name))
  }

  /// Removes a file and makes its absence durable; a file that is not there is a no-op.
  package static func remove(_ path: String) throws(VaultError) {
    guard unlink(path) == 0 else {
      if errno == ENOENT { return }
      throw VaultError.system("unlink", path)
    }
    try flush(parent(of: path))
  }

  /// The whole of a file that is known to be small.
  package static func read(_ path: String, limit: Int) throws(VaultError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    defer { _ = close(descriptor) }
    var out: [UInt8] = []
    while true {
      let block = try readBlock(descriptor, path, 1 << 16)
      if block.isEmpty { return out }
      out += block
      guard out.count <= limit else { throw VaultError("read", path, "more than \(limit) bytes") }
    }
  }

  /// Copies a file from an offset on into a new file, durably.
  static func copyTail(of path: String, from offset: Int64, to target: String) throws(VaultError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    defer { _ = close(descriptor) }
    guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw VaultError.system("seek", path) }
    var copy = try DurableFile.create(target)
    while true {
      let block = try readBlock(descriptor, path, 1 << 20)
      if block.isEmpty { break }
      try copy.append(block)
    }
    try copy.flush()
  }

  static func readBlock(_ descriptor: Int32, _ path: String, _ capacity: Int) throws(VaultError) -> [UInt8] {
    var count = 0
    let block = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
      repeat { count = Glibc.read(descriptor, buffer.baseAddress, capacity) } while count < 0 && errno == EINTR
      initialized = max(0, count)
    }
    guard count >= 0 else { throw VaultError.system("read", path) }
    return block
  }

  /// Names in a folder; none where the folder is not there, or cannot be read.
  package static func names(in path: String) -> [String] { (try? list(path)) ?? [] }

  /// Names in a folder.
  ///
  /// - Throws: where the folder is not there: its disk may be away.
  package static func list(_ path: String) throws(VaultError) -> [String] {
    guard let directory = opendir(path) else { throw VaultError.system("list", path) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
