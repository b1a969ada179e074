import Crypto
import Footage
import Foundation
import Journal
import Synchronization
import Testing

@testable import Vault

/// A folder that is gone after the test.
final class Folder {
  let path = NSTemporaryDirectory() + "plastron-vault-" + UUID().uuidString
  init() throws { try Directories.make(path) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

struct FootageWriterTests {
  private let part = "0f0e0d0c-0b0a-4908-8706-050403020100"
  private let key = SymmetricKey(size: .bits256)

  private func header() -> PartHeader {
    PartHeader(
      part: UUIDText.binary(part) ?? [], recording: .init(repeating: 2, count: 16),
      incident: .init(repeating: 3, count: 16),
      service: .init(repeating: 4, count: 16), localDay: 20_261_121, created_us: 1,
      previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 5, count: 60), sealedFacts: [])
  }

  private func media(_ sequence: UInt64) -> ChunkContent {
    ChunkContent(
      kind: .media, epoch: 1, packetCount: 1, firstSequence: sequence, firstArrival_us: Int64(sequence),
      lastArrival_us: Int64(sequence), plaintext: [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: 900))
  }

  private func close() -> ChunkContent {
    ChunkContent(kind: .close, epoch: 1, firstArrival_us: 9, lastArrival_us: 9, plaintext: [])
  }

  private func write(_ folder: String, _ count: UInt64, closed: Bool) {
    let writer = FootageWriter(root: folder) { _ in }
    writer.submit(.open(part: part, path: "2026/p.plm", header: header(), key: key, after: nil))
    for sequence in 0..<count { writer.submit(.append(part: part, media(sequence))) }
    if closed { writer.submit(.close(part: part, close())) }
    writer.stop()
  }

  // A disk that is a little too slow must not turn reading off and on at each chunk: nobody's silence could be told.
  @Test func readingStopsAtTheBoundAndBeginsAgainOnceAnEighthIsFree() throws {
    let folder = NSTemporaryDirectory() + "vault-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let backlog = FootageBacklog()
    let writer = FootageWriter(root: folder, backlog: backlog) { _ in }
    defer { writer.stop() }
    let (whole, eighth) = (FootageWriter.capacity_bytes, FootageWriter.capacity_bytes / 8)
    backlog.changed(by: whole - 1)
    #expect(writer.hasRoom(after: true) && !writer.hasRoom(after: false))
    backlog.changed(by: 1)
    #expect(!writer.hasRoom(after: true))
    backlog.changed(by: -eighth)
    #expect(!writer.hasRoom(after: false))
    backlog.changed(by: -1)
    #expect(writer.hasRoom(after: false))
    backlog.changed(by: -(whole - eighth - 1))
  }

  @Test func tellsChunksOnlyOnceTheyAreFlushed() throws {
    let folder = try Folder()
    let told = Mutex<[String]>([])
    let writer = FootageWriter(root: folder.path) { outcome in
      told.withLock { list in
        switch outcome {
        case .opened: list.append("opened")
        case .committed(let chunks): list.append("committed \(chunks.count)")
        case .closed(_, let count, _, _): list.append("closed \(count)")
        case .failing, .mended, .broken: list.append("failing")
        }
      }
    }
    writer.submit(.open(part: part, path: "2026/p.plm", header: header(), key: key, after: nil))
    writer.submit(.append(part: part, media(0)))
    writer.submit(.close(part: part, close()))
    writer.stop()
    #expect(told.withLock { $0 } == ["opened", "committed 2", "closed 2"])
  }

  // REC-11: a cut at every byte of the end; recovery keeps the longest valid prefix and sets the rest aside.
  @Test func recoversFromEveryTornEnd() throws {
    let folder = try Folder()
    write(folder.path, 3, closed: false)
    let path = folder.path + "/2026/p.plm"
    let whole = try Directories.read(path, limit: 1 << 20)
    let chunk = ChunkHeader.fixedLength + 900 + ChunkHeader.tagLength
    let start = whole.count - 2 * chunk
    for length in start...whole.count {
      let copy = folder.path + "/cut-\(length).plm"
      #expect(FileManager.default.createFile(atPath: copy, contents: Data(whole[..<length])))
      let recovered = try PartRecovery.recover(copy, part: part, key: key)
      let kept = start + (length - start) / chunk * chunk
      #expect(recovered.length == Int64(kept))
      #expect(try Directories.read(copy, limit: 1 << 20) == Array(whole[..<kept]))
      #expect(recovered.torn_bytes == Int64(length - kept))
      if length > kept {
        #expect(try Directories.read(copy + ".torn-1", limit: 1 << 20) == Array(whole[kept..<length]))
      }
    }
  }

  // What the index has is not read again at a start; where index and file disagree, the file is read whole and nothing is cut.
  @Test func readsFromTheLastIndexedPoint() throws {
    let folder = try Folder()
    write(folder.path, 5, closed: false)
    let path = folder.path + "/2026/p.plm"
    let whole = try PartRecovery.recover(path, part: part, key: key)
    let third = whole.chunks[2]
    func point(_ head: [UInt8], _ length: Int64) -> KnownPoint {
      KnownPoint(chain: ChainState(nextIndex: 3, head: head), length: length, lastArrival_us: 77, lastEpoch: 9)
    }
    let length = third.fileOffset + Int64(third.header.chunkLength)
    // A byte before the point is nobody's business here: the monthly reading finds it.
    var bytes = try Directories.read(path, limit: 1 << 20)
    bytes[Int(third.fileOffset) + 300] ^= 1
    try Directories.replace(path, with: bytes)
    let rest = try PartRecovery.recover(path, part: part, key: key, after: point(third.head, length))
    #expect(rest.chunks.map(\.header.index) == [3, 4])
    #expect(rest.chain == whole.chain && rest.length == whole.length && rest.torn_bytes == 0)
    #expect(rest.lastArrival_us == 77 && rest.lastEpoch == 9)
    bytes[Int(third.fileOffset) + 300] ^= 1
    try Directories.replace(path, with: bytes)
    for wrong in [
      point([UInt8](repeating: 1, count: 32), length), point(third.head, 1 << 30), point(third.head, length - 1),
    ] {
      let again = try PartRecovery.recover(path, part: part, key: key, after: wrong)
      #expect(again.chunks.count == 5 && again.torn_bytes == 0 && again.chain == whole.chain)
    }
    // A torn end behind the point is cut and kept, as ever.
    try Directories.replace(path, with: Array(bytes.dropLast(10)))
    let torn = try PartRecovery.recover(path, part: part, key: key, after: point(third.head, length))
    #expect(torn.chunks.map(\.header.index) == [3] && torn.torn_bytes > 0)
  }

  @Test func goesOnAfterARecoveryWithoutRepeatingANonce() throws {
    let folder = try Folder()
    write(folder.path, 2, closed: false)
    let path = folder.path + "/2026/p.plm"
    let recovered = try PartRecovery.recover(path, part: part, key: key)
    let writer = FootageWriter(root: folder.path) { _ in }
    writer.submit(.resume(part: part, path: "2026/p.plm", chain: recovered.chain, key: key))
    writer.submit(.append(part: part, media(2)))
    writer.submit(.close(part: part, close()))
    writer.stop()
    var reader = try PartReader(path: path, key: key)
    var nonces: Set<[UInt8]> = []
    var kinds: [ChunkKind] = []
    while let items = try reader.next() {
      for item in items {
        nonces.insert(item.header.nonce)
        kinds.append(item.header.kind)
      }
    }
    #expect(kinds == [.media, .media, .media, .close])
    #expect(nonces.count == 4 && reader.state.isClosed)
  }

  @Test func aFolderThatCannotBeWrittenIsToldAndDropsNobodyElse() throws {
    let folder = try Folder()
    try Directories.replace(folder.path + "/blocked", with: [1])
    let told = Mutex<[String]>([])
    let writer = FootageWriter(root: folder.path) { outcome in
      told.withLock { list in
        if case .failing(let part, _) = outcome { list.append("failing \(part)") }
        if case .closed(let part, _, _, _) = outcome { list.append("closed \(part)") }
      }
    }
    writer.submit(.open(part: "bad", path: "blocked/p.plm", header: header(), key: key, after: nil))
    writer.submit(.open(part: part, path: "2026/p.plm", header: header(), key: key, after: nil))
    writer.submit(.append(part: "bad", media(0)))
    writer.submit(.append(part: part, media(0)))
    writer.submit(.close(part: part, close()))
    writer.stop()
    #expect(told.withLock { Set($0) } == ["failing bad", "closed \(part)"])
  }
}

extension FootageWriterTests {
  // A disk that takes no file at all is left for another, where there is one.
  @Test func aPartThatOneDiskDoesNotTakeIsOpenedOnAnother() throws {
    let folder = try Folder()
    try Directories.make(folder.path + "/volumes/b")
    try Directories.replace(folder.path + "/2026", with: [1])
    let told = Mutex<[String]>([])
    let writer = FootageWriter(root: folder.path) { outcome in
      if case .opened(_, let path) = outcome { told.withLock { $0.append(path) } }
    }
    writer.submit(.open(part: part, path: "2026/p.plm", header: header(), key: key, after: nil))
    writer.submit(.append(part: part, media(1)))
    writer.submit(.close(part: part, close()))
    writer.stop()
    #expect(told.withLock { $0 } == ["volumes/b/2026/p.plm"])
    var reader = try PartReader(path: folder.path + "/volumes/b/2026/p.plm", key: key)
    var kinds: [ChunkKind] = []
    while let items = try reader.next() { kinds += items.map(\.header.kind) }
    #expect(kinds.last == .close && kinds.contains(.media))
  }

  // What is being flushed counts against the line, and is let go of when it is durable.
  @Test func everythingHeldIsLetGoOf() throws {
    let folder = try Folder()
    let writer = FootageWriter(root: folder.path) { _ in }
    writer.submit(.open(part: part, path: "2026/p.plm", header: header(), key: key, after: nil))
    for sequence in 0..<UInt64(200) { writer.submit(.append(part: part, media(sequence))) }
    for _ in 0..<100 where writer.undurable_bytes > 0 { usleep(50_000) }
    #expect(writer.undurable_bytes == 0 && writer.oldestUndurable_us == nil)
    writer.stop()
  }

  // A disk that takes nothing when the part opens costs a gap, not the recording.
  @Test func aPartThatCouldNotBeOpenedIsOpenedLaterWithAGap() throws {
    let folder = try Folder()
    try Directories.replace(folder.path + "/2026", with: [1])
    let told = Mutex<[String]>([])
    let writer = FootageWriter(root: folder.path) { outcome in
      if case .closed(let part, let count, _, _) = outcome { told.withLock { $0.append("closed \(part) \(count)") } }
    }
    writer.submit(.open(part: part, path: "2026/p.plm", header: header(), key: key, after: nil))
    writer.submit(.append(part: part, media(1)))
    usleep(400_000)
    try Directories.remove(folder.path + "/2026")
    writer.submit(.append(part: part, media(2)))
    writer.submit(.close(part: part, close()))
    writer.stop()
    var reader = try PartReader(path: folder.path + "/2026/p.plm", key: key)
    var kinds: [ChunkKind] = []
    while let items = try reader.next() { kinds += items.map(\.header.kind) }
    #expect(kinds == [.gap, .media, .close])
    #expect(told.withLock { $0 } == ["closed \(part) 3"])
  }
}

/// A start reads the ends of files, however long they are.
struct PartTailTests {
  private let part = "0f0e0d0c-0b0a-4908-8706-050403020100"
  private let key = SymmetricKey(size: .bits256)
  private static let chunk_bytes = 200_000

  /// A file of `seconds` chunks, one a second, as a stop leaves it; `missing` never came.
  private func write(_ folder: String, seconds: Int64, missing: Set<Int64> = []) -> String {
    let header = PartHeader(
      part: UUIDText.binary(part) ?? [], recording: .init(repeating: 2, count: 16),
      incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_261_121,
      created_us: 1, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 5, count: 60),
      sealedFacts: [])
    let writer = FootageWriter(root: folder) { _ in }
    writer.submit(.open(part: part, path: "p.plm", header: header, key: key, after: nil))
    for second in 0..<seconds where !missing.contains(second) { writer.submit(.append(part: part, media(second))) }
    writer.stop()
    return folder + "/p.plm"
  }

  private func media(_ second: Int64) -> ChunkContent {
    ChunkContent(
      kind: .media, epoch: 3, packetCount: 1, firstSequence: UInt64(1000 + second),
      firstArrival_us: second * 1_000_000, lastArrival_us: second * 1_000_000 + 500_000,
      plaintext: [UInt8](repeating: UInt8(truncatingIfNeeded: second), count: Self.chunk_bytes))
  }

  private func point(_ chunk: CommittedChunk) -> KnownPoint {
    KnownPoint(
      chain: ChainState(nextIndex: chunk.header.index + 1, head: chunk.head),
      length: chunk.fileOffset + Int64(chunk.header.chunkLength), lastArrival_us: 0, lastEpoch: 0)
  }

  // While the database is away nobody knows a point of any file: 200 cameras that were on for an hour are 180 GB.
  @Test func aFileOfWhichNobodyKnowsAPointIsReadFromItsEnd() throws {
    let folder = try Folder()
    let path = write(folder.path, seconds: 120, missing: [110])
    let whole = try PartRecovery.recover(path, part: part, key: key)
    #expect(whole.chunks.count == 119 && whole.reachesIndex)
    // A stop in the middle of a write, besides.
    var bytes = try Directories.read(path, limit: 64 << 20)
    try Directories.replace(path, with: bytes + ChunkHeader.magic + [UInt8](repeating: 1, count: 700))
    let found = try PartRecovery.recover(path, part: part, key: key, isIndexKnown: false)
    #expect(found.chunks.count < 60 && found.chunks.count > 15)
    #expect(found.chain == whole.chain && found.length == whole.length && !found.reachesIndex)
    #expect(found.lastEpoch == 3 && found.lastArrival_us == 119_500_000 && found.torn_bytes == 704)
    let hole = SequenceHole(epoch: 3, range: 1110..<1111, from_us: 109_500_000, to_us: 111_000_000)
    #expect(found.holes == [hole] && whole.holes == [hole])
    // What is before the end is the monthly reading's.
    bytes[bytes.count / 10] ^= 1
    try Directories.replace(path, with: bytes)
    #expect(try PartRecovery.recover(path, part: part, key: key, isIndexKnown: false).chain == whole.chain)
    #expect(try Directories.read(path, limit: 64 << 20) == bytes)
  }

  // The hole lies before the point that the index has: its rows are not told again, the hole is found.
  @Test func holesBeforeTheLastIndexedPointAreFound() throws {
    let folder = try Folder()
    let path = write(folder.path, seconds: 60, missing: [50])
    let whole = try PartRecovery.recover(path, part: part, key: key)
    let found = try PartRecovery.recover(path, part: part, key: key, after: point(whole.chunks[56]))
    #expect(found.chunks.map(\.header.index) == [57, 58] && found.reachesIndex)
    #expect(found.holes.map(\.range) == [1050..<1051] && found.chain == whole.chain)
    // An index that is wrong is not believed.
    var wrong = point(whole.chunks[56])
    wrong.chain = ChainState(nextIndex: 57, head: .init(repeating: 1, count: 32))
    #expect(try PartRecovery.recover(path, part: part, key: key, after: wrong).chunks.count == 59)
  }

  // An index that is far behind is completed by the register, not at the start.
  @Test func anIndexThatIsFarBehindIsLeftToTheRegister() throws {
    let folder = try Folder()
    let path = write(folder.path, seconds: 200)
    var reader = try PartReader(path: path, key: key)
    let first = try #require(try reader.next()?.first)
    let known = KnownPoint(
      chain: ChainState(nextIndex: 1, head: first.chainHead),
      length: Int64(first.fileOffset + first.header.chunkLength), lastArrival_us: 0, lastEpoch: 0)
    for point in [known, nil] {
      let found = try PartRecovery.recover(path, part: part, key: key, after: point)
      #expect(found.chunks.count < 60 && !found.reachesIndex && found.chain.nextIndex == 200)
    }
  }

  @Test func theLastEpochIsRead() throws {
    let folder = try Folder()
    let path = write(folder.path, seconds: 3)
    #expect(try PartReader.lastEpoch(of: path) == 3)
    try Directories.replace(path, with: Array(try Directories.read(path, limit: 1 << 20).dropLast(9)))
    #expect(try PartReader.lastEpoch(of: path) == 3)
  }

  // Facts of more than a first read's length.
  @Test func aLongHeaderIsReadWhole() throws {
    let folder = try Folder()
    var header = PartHeader(
      part: .init(repeating: 1, count: 16), recording: .init(repeating: 2, count: 16),
      incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_261_121,
      created_us: 1, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 5, count: 60),
      sealedFacts: [])
    let path = folder.path + "/p.plm"
    for count in [0, 700, 5000, PartHeader.maximumFacts_bytes] {
      header.sealedFacts = [UInt8](repeating: 7, count: count)
      try Directories.replace(path, with: header.encoded)
      #expect(try PartReader.header(of: path) == header)
      try Directories.replace(path, with: Array(header.encoded.dropLast()))
      #expect(throws: FootageError.self) { try PartReader.header(of: path) }
    }
  }
}
