internal import Foundation
internal import Journal

/// Writes a journal's folder as it was at its checkpoint, in the form that is handed out.
package enum JournalExport {
  /// Exports a node's own folder: every entry that is there, every tile of the checkpoint's size.
  ///
  /// - Returns: the signed size.
  @discardableResult
  package static func write(_ folder: JournalFolder, to target: String) throws -> UInt64 {
    guard let note = try folder.checkpoint(), let checkpoint = SignedNote(note)?.checkpoint else {
      throw VaultError("journal", folder.path, "has no checkpoint")
    }
    try head(note: note, rotations: try folder.rotations(), to: target)
    for bundle in 0..<((checkpoint.size + 255) / 256) {
      let width = Int(min(256, checkpoint.size - bundle * 256))
      guard let entries = try folder.entries(bundle: bundle, width: width) else { continue }
      let records = entries.sorted { $0.key < $1.key }.flatMap { EntryBundle.record($0.value) }
      try file(TilePath.entries(index: bundle, width: width), records, in: target)
    }
    for tile in plan(size: checkpoint.size) {
      let hashes = try folder.hashes(level: tile.level, index: tile.index, width: tile.width)
      try file(tile.path, hashes.prefix(tile.width).flatMap { $0 }, in: target)
    }
    return checkpoint.size
  }

  /// The checkpoint and the changes of key.
  package static func head(note: String, rotations: [String], to target: String) throws {
    guard !FileManager.default.fileExists(atPath: target + "/checkpoint") else {
      throw VaultError("export", target, "there is an export already: name an empty folder")
    }
    try file("checkpoint", Array(note.utf8), in: target)
    for (number, rotation) in rotations.enumerated() {
      let digits = String(number)
      let name = String(repeating: "0", count: 20 - digits.count) + digits
      try file("rotations/\(name)", Array(rotation.utf8), in: target)
    }
  }

  /// Every tile that a tree of `size` has, full or not.
  package static func plan(size: UInt64) -> [PlannedTile] {
    var out: [PlannedTile] = []
    var count = size
    var level = 0
    while count > 0 {
      for index in 0..<((count + 255) / 256) {
        out.append(PlannedTile(level: level, index: index, width: Int(min(256, count - index * 256))))
      }
      count /= 256
      level += 1
    }
    return out
  }

  package static func file(_ name: String, _ bytes: [UInt8], in target: String) throws {
    let path = target + "/" + name
    try Directories.make(Directories.parent(of: path), mode: 0o755)
    try Directories.replace(path, with: bytes, mode: 0o644)
  }
}

/// A tile that an export has.
package struct PlannedTile: Equatable, Sendable {
  package var level: Int
  package var index: UInt64
  package var width: Int

  package var path: String { TilePath.hashes(level: level, index: index, width: width) }
}
