package import Crypto
internal import Footage
internal import Foundation
internal import Synchronization

/// The keeper's keys: the master key seals day keys, a day key wraps the part keys of one service and day.
///
/// Day keys are files of 60 bytes in their own folder (excluded from snapshots, backed up apart);
/// destroying one makes every part it wraps unreadable, wherever a copy of the part lies.
// P6, STO-4.
package final class KeyRing: Sendable {
  private static let dayKeyPurpose = "plastron/keys/v1/day"

  private let master: SymmetricKey
  private let folder: String
  private let cache = Mutex<[String: SymmetricKey]>([:])
  /// Day keys held in memory; a fleet of services uses a few a day.
  private static let maximumCached = 1024

  /// - Parameters:
  ///   - masterKeyPath: a file of 64 hexadecimal digits that only the keeper can read.
  ///   - folder: where the day keys live.
  package init(masterKeyPath: String, folder: String) throws {
    let text = String(decoding: try Directories.read(masterKeyPath, limit: 256), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    guard text.utf8.count == 64, let bytes = Self.hexadecimal(text) else {
      throw VaultError("master key", masterKeyPath, "expected 64 hexadecimal digits")
    }
    master = SymmetricKey(data: bytes)
    self.folder = folder
    try Directories.make(folder, mode: 0o700)
  }

  /// Makes a master key file, where there is none.
  package static func createMasterKey(at path: String) throws {
    let key = SymmetricKey(size: .bits256).rawBytes
    var file = try DurableFile.create(path, mode: 0o600)
    try file.append(Array((key.map { String(format: "%02x", $0) }.joined() + "\n").utf8))
    try file.flush()
  }

  /// A new part key and its wrapped form.
  package func newPartKey(service: String, day: String, part: [UInt8]) throws -> (key: SymmetricKey, wrapped: [UInt8]) {
    let dayKey = try dayKey(service: service, day: day, make: true)
    let key = SymmetricKey(size: .bits256)
    let wrapped = try Sealing.seal(
      key.rawBytes, under: dayKey, purpose: Sealing.partKeyPurpose, subject: part)
    return (key, wrapped)
  }

  /// Opens a wrapped part key.
  ///
  /// - Throws: where the day key has been destroyed, or is not the one that wrapped it.
  package func openPartKey(_ wrapped: [UInt8], service: String, day: String, part: [UInt8]) throws -> SymmetricKey {
    let dayKey = try dayKey(service: service, day: day, make: false)
    return SymmetricKey(
      data: try Sealing.open(wrapped, under: dayKey, purpose: Sealing.partKeyPurpose, subject: part))
  }

  /// Wraps a part key anew, under a key of its own name, so that it outlives its day.
  ///
  /// The old form stays good until the old key is destroyed.
  package func rewrap(
    _ wrapped: [UInt8], service: String, from name: String, to newName: String, part: [UInt8]
  ) throws -> [UInt8] {
    let key = try openPartKey(wrapped, service: service, day: name, part: part)
    return try Sealing.seal(
      key.rawBytes, under: try dayKey(service: service, day: newName, make: true), purpose: Sealing.partKeyPurpose,
      subject: part)
  }

  /// Destroys a day key for good. A no-op where it is gone already.
  package func destroyDayKey(service: String, day: String) throws {
    let name = Self.name(service, day)
    cache.withLock { $0[name] = nil }
    let path = folder + "/" + name
    guard let length = try? Directories.read(path, limit: 4096).count else { return }
    // Overwritten before it is unlinked; what the disk's own remnants keep is outside the promise (SECURITY.md).
    try Directories.replace(path, with: [UInt8](repeating: 0, count: length), mode: 0o600)
    try Directories.remove(path)
  }

  /// The services and days (or other names) whose keys are there.
  package func dayKeys() -> [(service: String, day: String)] {
    Directories.names(in: folder).compactMap { name in
      guard name.hasSuffix(".key"), let split = name.firstIndex(of: "_") else { return nil }
      return (String(name[name.index(after: split)...].dropLast(4)), String(name[..<split]))
    }
  }

  /// Seals a small secret of the register, such as a camera's passphrase.
  package func seal(_ secret: [UInt8], purpose: String, subject: String) throws -> [UInt8] {
    try Sealing.seal(secret, under: master, purpose: purpose, subject: Array(subject.utf8))
  }

  package func open(_ sealed: [UInt8], purpose: String, subject: String) throws -> [UInt8] {
    try Sealing.open(sealed, under: master, purpose: purpose, subject: Array(subject.utf8))
  }

  private func dayKey(service: String, day: String, make: Bool) throws -> SymmetricKey {
    let name = Self.name(service, day)
    return try cache.withLock { cache in
      if let known = cache[name] { return known }
      let path = folder + "/" + name
      let key: SymmetricKey
      if let sealed = try? Directories.read(path, limit: 4096) {
        key = SymmetricKey(
          data: try Sealing.open(sealed, under: master, purpose: Self.dayKeyPurpose, subject: Array(name.utf8)))
      } else if make {
        key = SymmetricKey(size: .bits256)
        let sealed = try Sealing.seal(
          key.rawBytes, under: master, purpose: Self.dayKeyPurpose, subject: Array(name.utf8))
        try Directories.replace(path, with: sealed, mode: 0o600)
      } else {
        throw VaultError("day key", path, "destroyed or missing: what it wrapped cannot be read")
      }
      if cache.count >= Self.maximumCached { cache.removeAll() }
      cache[name] = key
      return key
    }
  }

  private static func name(_ service: String, _ day: String) -> String { "\(day)_\(service).key" }

  private static func hexadecimal(_ text: String) -> [UInt8]? {
    var out: [UInt8] = []
    var index = text.startIndex
    while index < text.endIndex {
      let next = text.index(index, offsetBy: 2)
      guard let byte = UInt8(text[index..<next], radix: 16) else { return nil }
      out.append(byte)
      index = next
    }
    return out
  }
}
