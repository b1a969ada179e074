package import Crypto
internal import Footage
internal import Foundation
internal import Glibc
internal import Synchronization

/// The master key's file: one key, or while it is being changed two, the new one first.
///
/// Specification: one line of 64 hexadecimal digits for each key. A file, or what systemd hands over as a credential.
package enum MasterKeyFile {
  private static let maximumKeys = 2

  /// Makes a file with a new key, where there is none.
  package static func create(at path: String) throws(VaultError) {
    var file = try DurableFile.create(path, mode: 0o600)
    try file.append(line(SymmetricKey(size: .bits256)))
    try file.flush()
  }

  /// The keys, the one in force first.
  package static func read(_ path: String) throws(VaultError) -> [SymmetricKey] {
    var text = try Directories.read(path, limit: 1024)
    defer { wipe(&text) }
    var keys: [SymmetricKey] = []
    for line in text.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D || $0 == 0x20 }) {
      guard var bytes = hexadecimal(line) else {
        throw VaultError("master key", path, "expected 64 hexadecimal digits a line")
      }
      keys.append(SymmetricKey(data: bytes))
      wipe(&bytes)
    }
    guard (1...maximumKeys).contains(keys.count) else {
      throw VaultError("master key", path, "expected one key, or two while it is being changed, found \(keys.count)")
    }
    return keys
  }

  /// Puts a new key before the one in force; a no-op where one is there already. Returns whether it made one.
  package static func begin(_ path: String) throws(VaultError) -> Bool {
    let keys = try read(path)
    guard keys.count == 1 else { return false }
    try write([SymmetricKey(size: .bits256)] + keys, to: path)
    return true
  }

  /// Leaves the key in force alone in the file.
  package static func finish(_ path: String) throws(VaultError) { try write(Array(try read(path).prefix(1)), to: path) }

  private static func write(_ keys: [SymmetricKey], to path: String) throws(VaultError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw VaultError.system("stat", path) }
    var text: [UInt8] = []
    for key in keys { text += line(key) }
    defer { wipe(&text) }
    // Whoever may read it may read it after as well; nobody else ever.
    try Directories.replace(path, with: text, mode: 0o600, owner: (status.st_uid, status.st_gid))
  }

  private static func line(_ key: SymmetricKey) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return key.withUnsafeBytes { bytes in bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } } + [0x0A]
  }

  private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
    guard digits.count == 64 else { return nil }
    var out: [UInt8] = []
    for digit in digits {
      let value: UInt8
      switch digit {
      case 48...57: value = digit - 48
      case 97...102: value = digit - 87
      case 65...70: value = digit - 55
      default: return nil
      }
      out.append(value)
    }
    return stride(from: 0, to: 64, by: 2).map { out[$0] << 4 | out[$0 + 1] }
  }
}

/// The master key in memory, and while it is being changed the one before it.
final class MasterKeys: Sendable {
  private let path: String
  /// The one in force first.
  private let keys: Mutex<[SymmetricKey]>

  init(path: String) throws(VaultError) {
    self.path = path
    keys = Mutex(try MasterKeyFile.read(path))
  }

  /// Reads the file again; returns how many keys are in it.
  func reload() throws(VaultError) -> Int {
    let found = try MasterKeyFile.read(path)
    keys.withLock { $0 = found }
    return found.count
  }

  func seal(_ secret: [UInt8], purpose: String, subject: String) throws -> [UInt8] {
    try Sealing.seal(secret, under: current, purpose: purpose, subject: Array(subject.utf8))
  }

  func open(_ sealed: [UInt8], purpose: String, subject: String) throws -> [UInt8] {
    try first { try Sealing.open(sealed, under: $0, purpose: purpose, subject: Array(subject.utf8)) }
  }

  func sealKey(_ key: SymmetricKey, purpose: String, subject: String) throws -> [UInt8] {
    try Sealing.sealKey(key, under: current, purpose: purpose, subject: Array(subject.utf8))
  }

  func openKey(_ sealed: [UInt8], purpose: String, subject: String) throws -> SymmetricKey {
    try first { try Sealing.openKey(sealed, under: $0, purpose: purpose, subject: Array(subject.utf8)) }
  }

  /// A secret under the key in force; nil where it is already.
  func resealed(_ sealed: [UInt8], purpose: String, subject: String) throws -> [UInt8]? {
    let isCurrent = (try? Sealing.open(sealed, under: current, purpose: purpose, subject: Array(subject.utf8))) != nil
    guard !isCurrent else { return nil }
    return try seal(try open(sealed, purpose: purpose, subject: subject), purpose: purpose, subject: subject)
  }

  private var current: SymmetricKey { keys.withLock { $0[0] } }

  private func first<R>(_ body: (SymmetricKey) throws -> R) throws -> R {
    let keys = self.keys.withLock { $0 }
    do { return try body(keys[0]) } catch {
      guard keys.count > 1 else { throw error }
      return try body(keys[1])
    }
  }
}

/// Overwrites bytes that were a key, so that they do not lie about in memory that is given back.
func wipe(_ bytes: inout [UInt8]) {
  bytes.withUnsafeMutableBytes { buffer in
    if let base = buffer.baseAddress { explicit_bzero(base, buffer.count) }
  }
}
