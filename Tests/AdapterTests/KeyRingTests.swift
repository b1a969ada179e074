import Crypto
import Foundation
import Testing

@testable import Vault

struct KeyRingTests {
  private let part = [UInt8](repeating: 1, count: 16)

  /// A ring with both copies and a backup, and the folder it lies in.
  private func ring(_ folder: Folder) throws -> KeyRing {
    let master = folder.path + "/master.key"
    if !FileManager.default.fileExists(atPath: master) { try MasterKeyFile.create(at: master) }
    return try KeyRing(
      masterKeyPath: master, folder: folder.path + "/days", copy: folder.path + "/copy", backup: folder.path + "/backup"
    )
  }

  private func files(_ folder: Folder) -> [String] {
    ["days", "copy", "backup/days"].flatMap { place in
      Directories.names(in: folder.path + "/" + place).filter { $0.hasSuffix(".key") || $0.hasSuffix(".wrapped") }
        .map { "\(place)/\($0)" }
    }
  }

  // P6: no copy of a destroyed key is left, in memory, in either folder, or in the backup.
  @Test func aDestroyedDayKeyOpensNothingAnyMore() throws {
    let folder = try Folder()
    let ring = try ring(folder)
    let (key, wrapped) = try ring.newPartKey(service: "s", day: "2026-01-01", part: part)
    let again = try self.ring(folder)
    #expect(try again.openPartKey(wrapped, service: "s", day: "2026-01-01", part: part) == key)
    #expect(throws: (any Error).self) {
      try again.openPartKey(wrapped, service: "s", day: "2026-01-01", part: [UInt8](repeating: 2, count: 16))
    }
    #expect(try again.backUp(now_s: Int64(Date().timeIntervalSince1970)))
    #expect(files(folder).count == 3)
    try again.destroyDayKey(service: "s", day: "2026-01-01")
    #expect(throws: (any Error).self) { try again.openPartKey(wrapped, service: "s", day: "2026-01-01", part: part) }
    try again.mendCopies()
    #expect(files(folder) == [])
  }

  @Test func whatOneCopyHasLostTheOtherGivesBack() throws {
    let folder = try Folder()
    let (key, wrapped) = try ring(folder).newPartKey(service: "s", day: "d", part: part)
    for damage in ["days", "copy"] {
      try Directories.replace(folder.path + "/\(damage)/d_s.key", with: [UInt8](repeating: 0, count: 60))
      let ring = try ring(folder)
      #expect(try ring.openPartKey(wrapped, service: "s", day: "d", part: part) == key)
      try ring.mendCopies()
      let copies = try ["days", "copy"].map { try Directories.read(folder.path + "/\($0)/d_s.key", limit: 99) }
      #expect(copies[0] == copies[1] && copies[0].contains { $0 != 0 })
      try Directories.remove(folder.path + "/\(damage)/d_s.key")
      #expect(try self.ring(folder).openPartKey(wrapped, service: "s", day: "d", part: part) == key)
      try ring.mendCopies()
    }
  }

  // A second copy that cannot be written stops no recording; one that cannot be reached stops an erasure from being said done.
  @Test func aSecondCopyThatFailsIsSaid() throws {
    let folder = try Folder()
    let ring = try ring(folder)
    try FileManager.default.removeItem(atPath: folder.path + "/copy")
    try Directories.replace(folder.path + "/copy", with: [1])
    _ = try ring.newPartKey(service: "s", day: "d", part: part)
    #expect(throws: VaultError.self) { try ring.mendCopies() }
    // Set up anew by whoever mounts it: the mark of a folder that was set up is there.
    try Directories.remove(folder.path + "/copy")
    #expect(throws: VaultError.self) { try ring.mendCopies() }
    try Directories.make(folder.path + "/copy")
    try Directories.replace(folder.path + "/copy/.plastron-keys", with: [])
    try ring.mendCopies()
    #expect(files(folder) == ["days/d_s.key", "copy/d_s.key"])
  }

  // P6: a copy that was away while a key was destroyed does not bring it back.
  @Test func aCopyThatWasAwayBringsNothingBack() throws {
    let folder = try Folder()
    let ring = try ring(folder)
    let (_, wrapped) = try ring.newPartKey(service: "s", day: "d", part: part)
    try Directories.rename(folder.path + "/copy", to: folder.path + "/away")
    // A mount point without its disk is not the copy.
    try Directories.make(folder.path + "/copy")
    #expect(throws: VaultError.self) { try ring.destroyDayKey(service: "s", day: "d") }
    // What can be reached is destroyed all the same.
    #expect(files(folder) == [] && Directories.names(in: folder.path + "/copy") == [])
    try FileManager.default.removeItem(atPath: folder.path + "/copy")
    try Directories.rename(folder.path + "/away", to: folder.path + "/copy")
    #expect(files(folder) == ["copy/d_s.key"])
    let later = try self.ring(folder)
    #expect(throws: (any Error).self) { try later.openPartKey(wrapped, service: "s", day: "d", part: part) }
    #expect(throws: (any Error).self) { try later.newPartKey(service: "s", day: "d", part: part) }
    try later.mendCopies()
    #expect(files(folder) == [])
  }

  // Nobody but the server says that a key is gone: an empty file beside it destroys nothing.
  @Test func aMarkThatTheServerDidNotMakeIsNamedAndDestroysNothing() throws {
    let folder = try Folder()
    let ring = try ring(folder)
    let (key, wrapped) = try ring.newPartKey(service: "s", day: "d", part: part)
    try ring.destroyDayKey(service: "s", day: "other")
    for forged in [[], [UInt8](repeating: 7, count: 28)] {
      try Directories.replace(folder.path + "/copy/d_s.key.gone", with: forged)
      #expect(throws: VaultError.self) { try ring.mendCopies() }
      #expect(try self.ring(folder).openPartKey(wrapped, service: "s", day: "d", part: part) == key)
    }
  }

  // A folder that the configuration no longer names keeps no key.
  @Test func aFolderThatIsNoLongerNamedIsEmptied() throws {
    let folder = try Folder()
    let (key, wrapped) = try ring(folder).newPartKey(service: "s", day: "d", part: part)
    let moved = try KeyRing(
      masterKeyPath: folder.path + "/master.key", folder: folder.path + "/days", copy: folder.path + "/second",
      backup: nil)
    try moved.mendCopies()
    #expect(files(folder) == ["days/d_s.key"])
    #expect(Directories.names(in: folder.path + "/second").contains("d_s.key"))
    #expect(try moved.openPartKey(wrapped, service: "s", day: "d", part: part) == key)
  }

  // One that is damaged does not take the place of its good twin.
  @Test func aDamagedHeldKeyIsMendedFromTheOther() throws {
    let folder = try Folder()
    let name = "0f0e0d0c-0b0a-4908-8706-050403020100"
    let binary: [UInt8] = [15, 14, 13, 12, 11, 10, 0x49, 8, 0x87, 6, 5, 4, 3, 2, 1, 0]
    let ring = try ring(folder)
    let (_, wrapped) = try ring.newPartKey(service: "s", day: "d", part: binary)
    let held = try ring.rewrap(wrapped, service: "s", from: "d", to: "held-\(name)", part: binary)
    try Directories.replace(folder.path + "/days/held-\(name)_s.wrapped", with: [UInt8](repeating: 9, count: 60))
    try ring.mendCopies()
    for place in ["days", "copy"] {
      #expect(try Directories.read(folder.path + "/\(place)/held-\(name)_s.wrapped", limit: 99) == held)
    }
  }

  @Test func theBackupIsMadeOncePerDayAndHoldsWhatIsHere() throws {
    let folder = try Folder()
    let ring = try ring(folder)
    let now = Int64(Date().timeIntervalSince1970)
    _ = try ring.newPartKey(service: "s", day: "a", part: part)
    #expect(try ring.backUp(now_s: now))
    #expect(try !ring.backUp(now_s: now + 3600))
    _ = try ring.newPartKey(service: "s", day: "b", part: part)
    #expect(try ring.backUp(now_s: now + 3601))
    // A key that could not be taken out of the backup is gone from it a day later.
    try Directories.replace(folder.path + "/backup/days/gone_s.key", with: [1, 2, 3])
    #expect(try ring.backUp(now_s: now + 24 * 3600))
    #expect(Directories.names(in: folder.path + "/backup") == [".plastron-keys", "days"])
    #expect(Directories.names(in: folder.path + "/backup/days") == ["a_s.key", "b_s.key"])
  }

  @Test func aHeldKeyIsKeptBesideItsOwn() throws {
    let folder = try Folder()
    let (key, wrapped) = try ring(folder).newPartKey(service: "s", day: "d", part: part)
    let held = try ring(folder).rewrap(wrapped, service: "s", from: "d", to: "held-p", part: part)
    let ring = try ring(folder)
    try ring.destroyDayKey(service: "s", day: "d")
    #expect(ring.rewrapped(service: "s", as: "held-p", part: part) == held)
    #expect(try ring.rewrap(wrapped, service: "s", from: "d", to: "held-p", part: part) == held)
    #expect(try ring.openPartKey(held, service: "s", day: "held-p", part: part) == key)
    try ring.destroyDayKey(service: "s", day: "held-p")
    #expect(ring.rewrapped(service: "s", as: "held-p", part: part) == nil && files(folder) == [])
  }

  // A change of the master key that is stopped anywhere opens everything, and is gone on with.
  @Test func aNewMasterKeyThatIsStoppedAnywhereLosesNothing() throws {
    let folder = try Folder()
    let master = folder.path + "/master.key"
    let days = (1...5).map { "2026-01-0\($0)" }
    let first = try ring(folder)
    let parts = try days.map { (day: $0, made: try first.newPartKey(service: "s", day: $0, part: part)) }
    let secret = try first.seal([7, 8], purpose: "p", subject: "x")
    func opensAll(_ sealed: [UInt8]) throws {
      let ring = try ring(folder)
      for part in parts {
        #expect(try ring.openPartKey(part.made.wrapped, service: "s", day: part.day, part: self.part) == part.made.key)
      }
      #expect(try ring.open(sealed, purpose: "p", subject: "x") == [7, 8])
    }
    let old = try Directories.read(master, limit: 999)
    #expect(try MasterKeyFile.begin(master))
    #expect(try !MasterKeyFile.begin(master))
    try opensAll(secret)
    // Half of the keys resealed, one in one copy only.
    let whole = try Dictionary(
      uniqueKeysWithValues: days.map { ($0, try Directories.read(folder.path + "/days/\($0)_s.key", limit: 99)) })
    #expect(try ring(folder).resealDayKeys() == 5)
    for day in days.suffix(2) {
      for place in ["days", "copy"] {
        try Directories.replace(folder.path + "/\(place)/\(day)_s.key", with: try #require(whole[day]))
      }
    }
    try Directories.replace(folder.path + "/copy/\(days[0])_s.key", with: try #require(whole[days[0]]))
    try opensAll(secret)
    let again = try ring(folder)
    #expect(try again.resealDayKeys() == 2)
    let resealed = try #require(try again.resealed(secret, purpose: "p", subject: "x"))
    #expect(try again.resealed(resealed, purpose: "p", subject: "x") == nil)
    try again.mendCopies()
    try MasterKeyFile.finish(master)
    #expect(try again.reloadMasters() == 1)
    try opensAll(resealed)
    #expect(throws: (any Error).self) { try ring(folder).open(secret, purpose: "p", subject: "x") }
    // The old key opens nothing any more.
    try Directories.replace(master, with: old)
    #expect(throws: (any Error).self) {
      try ring(folder).openPartKey(parts[0].made.wrapped, service: "s", day: days[0], part: part)
    }
  }

  @Test(arguments: ["", "00", String(repeating: "g", count: 64), String(repeating: "a\n", count: 64)])
  func aMasterKeyThatIsNoneIsRefused(_ text: String) throws {
    let folder = try Folder()
    try Directories.replace(folder.path + "/master.key", with: Array(text.utf8))
    #expect(throws: VaultError.self) { try MasterKeyFile.read(folder.path + "/master.key") }
  }
}
