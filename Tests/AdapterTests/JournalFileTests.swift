import Crypto
import Foundation
import Journal
import Testing

@testable import Vault

struct JournalFileTests {
  private func entry(_ act: String, service: String? = nil, time_us: Int64 = 1) -> JournalEntry {
    JournalEntry(kind: .statement, act: act, time_us: time_us, author: "test", service: service, facts: [:], salt: "00")
  }

  private func open(_ folder: Folder) throws -> JournalFile {
    try JournalFile(folder: folder.path + "/journal", origin: "test", signingKeyPath: folder.path + "/key")
  }

  private func key(_ folder: Folder) throws -> VerifierKey {
    let text = try String(contentsOfFile: folder.path + "/journal/public-key", encoding: .utf8)
    return try #require(VerifierKey(text.trimmingCharacters(in: .newlines)))
  }

  /// Writes entries at once and lets go of the journal again; returns its root.
  @discardableResult
  private func written(_ count: Int, in folder: Folder, time_us: Int64 = 1) async throws -> [UInt8] {
    let journal = try open(folder)
    defer { journal.stop() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<count {
        group.addTask {
          _ = try await journal.append(
            entry("a\(number)", service: number % 3 == 0 ? nil : "s\(number % 3)", time_us: time_us))
        }
      }
      try await group.waitForAll()
    }
    return journal.mark.root
  }

  private func verify(_ folder: Folder, trusting key: VerifierKey? = nil) throws -> JournalReport {
    try JournalVerifier.verify(
      JournalFolder(path: folder.path + "/journal"), trusting: try key ?? self.key(folder))
  }

  // Two writers would make a journal that neither of them signed.
  @Test func hasOneWriterOnly() throws {
    let folder = try Folder()
    let journal = try open(folder)
    defer { journal.stop() }
    #expect(throws: VaultError.self) { try open(folder) }
  }

  @Test(arguments: [1, 5, 255, 256, 257, 700])
  func growsOverRestartsUnderOneKey(_ count: Int) async throws {
    let folder = try Folder()
    let root = try await written(count, in: folder)
    let second = try open(folder)
    #expect(second.mark.size == UInt64(count) && second.mark.root == root)
    #expect(try await second.append(entry("b")).position == UInt64(count))
    second.stop()
    let report = try verify(folder)
    #expect(report.holds && report.entries == UInt64(count) + 1, "\(report)")
  }

  // A tree of three levels, and an export of it.
  @Test func manyEntriesVerifyAndAreProven() async throws {
    let folder = try Folder()
    var root: [UInt8] = []
    for _ in 0..<9 { root = try await written(7500, in: folder) }
    #expect(Directories.names(in: folder.path + "/journal/tile/1") == ["000"])
    let report = try verify(folder)
    #expect(report.holds && report.entries == 67_500, "\(report.findings.first?.sentence ?? "")")
    let again = try open(folder)
    #expect(again.mark.root == root)
    again.stop()
    let out = folder.path + "/export"
    try JournalExport.write(JournalFolder(path: folder.path + "/journal"), to: out)
    #expect(try JournalVerifier.verify(JournalFolder(path: out), trusting: key(folder)).holds)
    for position: UInt64 in [0, 255, 256, 65_535, 65_536, 67_499] {
      let text = try JournalFolder(path: out).proof(of: position)
      let proof = try #require(InclusionProofNote(text))
      #expect(proof.verified(by: try key(folder))?.size == 67_500)
    }
  }

  // P8: a journal that lost signed entries is not gone on with.
  @Test func refusesToSignASmallerTree() async throws {
    let folder = try Folder()
    try await written(3, in: folder)
    let path = folder.path + "/journal/tile/entries/000"
    let bytes = try Directories.read(path, limit: 1 << 20)
    try Directories.replace(path, with: Array(bytes.dropLast(10)))
    #expect(throws: VaultError.self) { try open(folder) }
  }

  // P7: an entry that cannot be written fails the act.
  @Test func anEntryTooLongIsRefusedAlone() async throws {
    let folder = try Folder()
    let journal = try open(folder)
    defer { journal.stop() }
    await #expect(throws: (any Error).self) { try await journal.append(entry(String(repeating: "x", count: 70_000))) }
    #expect(try await journal.append(entry("a")).position == 0)
  }

  @Test func aTileThatAStopPreventedIsMadeAgain() async throws {
    let folder = try Folder()
    let root = try await written(300, in: folder)
    try FileManager.default.removeItem(atPath: folder.path + "/journal/tile/0/000")
    try FileManager.default.removeItem(atPath: folder.path + "/journal/tile/entries/001")
    try FileManager.default.removeItem(atPath: folder.path + "/journal/checkpoint")
    let journal = try open(folder)
    #expect(journal.mark.size == 256 && journal.mark.root != root)
    journal.stop()
    #expect(FileManager.default.fileExists(atPath: folder.path + "/journal/tile/0/000"))
  }

  @Test func entriesAreNumberedByServiceAcrossRestarts() async throws {
    let folder = try Folder()
    for round in 0..<3 {
      if round == 2 { try FileManager.default.removeItem(atPath: folder.path + "/journal/numbers") }
      let journal = try open(folder)
      for _ in 0..<150 { _ = try await journal.append(entry("a", service: "s")) }
      let last = try await journal.append(entry("b", service: "t"))
      #expect(last.entry.number == UInt64(round) + 1)
      journal.stop()
    }
    #expect(try verify(folder).holds)
  }

  // The change of key is followed from the first key on, also where a stop cut it short.
  @Test func theSigningKeyChanges() async throws {
    let folder = try Folder()
    try await written(10, in: folder)
    let first = try key(folder)
    for _ in 0..<2 {
      let journal = try open(folder)
      defer { journal.stop() }
      _ = try await journal.rotateKey { old, new in
        var entry = entry(JournalRotation.act)
        entry.facts = JournalRotation.facts(old: old, new: new)
        return entry
      }
      _ = try await journal.append(entry("after"))
    }
    #expect(try key(folder) != first)
    #expect(try verify(folder, trusting: first).holds)
    // Who trusts the newest key needs nothing of those before it; who trusts another's gets nowhere.
    #expect(try verify(folder).holds)
    let stranger = VerifierKey(
      name: "test", publicKey: Array(Curve25519.Signing.PrivateKey().publicKey.rawRepresentation))
    #expect(try verify(folder, trusting: stranger).findings.first?.code == .rotationInvalid)
    try await written(5, in: folder)
    #expect(try verify(folder, trusting: first).holds)
  }

  @Test func aHalfMadeChangeOfKeyIsUndone() async throws {
    let folder = try Folder()
    try await written(2, in: folder)
    let first = try key(folder)
    let stray = Array(Curve25519.Signing.PrivateKey().rawRepresentation)
    try Directories.replace(folder.path + "/key.next", with: stray, mode: 0o600)
    try await written(2, in: folder)
    #expect(try key(folder) == first && Directories.names(in: folder.path).contains("key.next") == false)
  }

  // LOG-5: three years, then the bodies go and the hashes stay.
  @Test func bodiesArePurgedAndHashesStay() async throws {
    let folder = try Folder()
    try await written(600, in: folder, time_us: 1_000)
    let journal = try open(folder)
    let now = 1_000 + JournalVerifier.bodiesKept_us + 1_000
    let early = try await journal.purge(before_us: 500) { purge in
      var entry = entry(JournalPurge.act, time_us: now)
      entry.facts = purge.facts
      return entry
    }
    #expect(early == 0)
    let purged = try await journal.purge(before_us: 2_000) { purge in
      var entry = entry(JournalPurge.act, time_us: now)
      entry.facts = purge.facts
      return entry
    }
    #expect(purged == 512)
    journal.stop()
    let report = try verify(folder)
    #expect(report.holds && report.purged == 512 && report.entries == 89, "\(report)")
    // What was purged too early is not covered by its own statement.
    try FileManager.default.removeItem(atPath: folder.path + "/journal/tile/entries/002")
    #expect(try verify(folder).findings.map(\.code) == [.truncated])
  }

  // A Sunday's upgrade: the one file of the first version becomes bundles, under the same checkpoint.
  @Test func aJournalOfTheFirstVersionIsTakenUp() async throws {
    let folder = try Folder()
    let root = try await written(300, in: folder)
    let journal = folder.path + "/journal"
    var old: [UInt8] = []
    for bundle in [0, 1] { old += try Directories.read(journal + "/tile/entries/00\(bundle)", limit: 1 << 24) }
    try FileManager.default.removeItem(atPath: journal + "/tile")
    try Directories.replace(journal + "/entries", with: old)
    let upgraded = try open(folder)
    #expect(upgraded.mark.size == 300 && upgraded.mark.root == root)
    upgraded.stop()
    #expect(try verify(folder).holds)
  }
}
