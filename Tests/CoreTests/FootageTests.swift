import Crypto
import Testing

@testable import Footage

/// A small part: header, an epoch, two media chunks, a close.
struct SamplePart {
  let key = SymmetricKey(size: .bits256)
  var bytes: [UInt8] = []
  var boundaries: [Int] = []
  let media: [[UInt8]] = [Array("first picture".utf8), [UInt8](repeating: 7, count: 600)]

  init(closed: Bool = true) throws {
    let header = PartHeader(
      part: .init(repeating: 1, count: 16), recording: .init(repeating: 2, count: 16),
      incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_261_121,
      created_us: 42, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 5, count: 60),
      sealedFacts: try Sealing.seal([1, 2, 3], under: key, purpose: Sealing.factsPurpose, subject: [1]))
    bytes = header.encoded
    boundaries = [bytes.count]
    var chain = ChainState(header: header)
    var contents = [ChunkContent(kind: .epoch, epoch: 1, firstArrival_us: 1, lastArrival_us: 1, plaintext: [])]
    for (index, data) in media.enumerated() {
      contents.append(
        ChunkContent(
          kind: .media, epoch: 1, packetCount: 1, firstSequence: UInt64(index), firstArrival_us: 2, lastArrival_us: 3,
          firstClock: 90, marks: [0], plaintext: data))
    }
    if closed {
      contents.append(ChunkContent(kind: .close, epoch: 1, firstArrival_us: 4, lastArrival_us: 4, plaintext: []))
    }
    for content in contents {
      _ = try chain.seal(content, key: key, into: &bytes)
      boundaries.append(bytes.count)
    }
  }
}

struct FootageFormatTests {
  @Test func opensWhatItSealed() throws {
    let part = try SamplePart()
    var scanner = PartScanner(key: part.key)
    let items = try scanner.push(part.bytes)
    #expect(items.map(\.header.kind) == [.epoch, .media, .media, .close])
    #expect(items.filter { $0.header.kind == .media }.map(\.plaintext) == part.media)
    #expect(scanner.isClosed && scanner.validLength == part.bytes.count)
  }

  @Test func everyCutGivesTheSame() throws {
    let part = try SamplePart()
    for cut in 1..<part.bytes.count {
      var scanner = PartScanner(key: part.key)
      var count = try scanner.push(part.bytes[..<cut]).count
      count += try scanner.push(part.bytes[cut...]).count
      #expect(count == 4 && scanner.validLength == part.bytes.count)
    }
  }

  // A torn end: recovery always finds the longest valid prefix.
  @Test func aTornEndLeavesTheLongestValidPrefix() throws {
    let part = try SamplePart()
    for length in part.boundaries[0]..<part.bytes.count {
      var scanner = PartScanner(key: part.key)
      _ = try scanner.push(part.bytes[..<length])
      #expect(scanner.validLength == part.boundaries.last { $0 <= length })
    }
  }

  // INT-1: any altered byte is found, without a key, or is outside the chain's own bytes.
  @Test func everyFlippedBitIsFoundWithoutAKey() throws {
    let part = try SamplePart()
    for index in part.bytes.indices {
      var bytes = part.bytes
      bytes[index] ^= 1
      var scanner = PartScanner(key: nil)
      var found = false
      do throws(FootageError) {
        _ = try scanner.push(bytes)
        try scanner.checkHeldFailure()
      } catch { found = true }
      // A flip in the last chunk's ciphertext is a different end of the chain: the index and the journal hold the right one.
      if !found, scanner.isClosed { found = scanner.chain?.head != (try head(of: part)) }
      if !found { found = !scanner.isClosed }
      #expect(found, "bit flipped in byte \(index)")
    }
  }

  private func head(of part: SamplePart) throws -> [UInt8]? {
    var scanner = PartScanner(key: nil)
    _ = try scanner.push(part.bytes)
    return scanner.chain?.head
  }

  @Test func removedSwappedAndRepeatedChunksAreFound() throws {
    let part = try SamplePart()
    let b = part.boundaries
    let head = part.bytes[..<b[0]]
    let chunks = (0..<4).map { part.bytes[b[$0]..<b[$0 + 1]] }
    for order in [[0, 2, 3], [0, 2, 1, 3], [0, 1, 1, 2, 3], [1, 2, 3]] {
      var scanner = PartScanner(key: nil)
      #expect(throws: FootageError.self) {
        _ = try scanner.push(Array(head) + order.flatMap { Array(chunks[$0]) })
        // A fault behind whole chunks is held back until those have been taken.
        try scanner.checkHeldFailure()
      }
    }
  }

  @Test func anotherKeyOpensNothing() throws {
    let part = try SamplePart()
    var scanner = PartScanner(key: SymmetricKey(size: .bits256))
    #expect(throws: FootageError.self) { _ = try scanner.push(part.bytes) }
    let sealed = try Sealing.seal([1], under: part.key, purpose: "a", subject: [1])
    #expect(throws: FootageError.self) { try Sealing.open(sealed, under: part.key, purpose: "b", subject: [1]) }
    #expect(throws: FootageError.self) { try Sealing.open(sealed, under: part.key, purpose: "a", subject: [2]) }
  }

  @Test func uuidsTravel() {
    let text = "0f0e0d0c-0b0a-4908-8706-050403020100"
    #expect(UUIDText.binary(text).map(UUIDText.text) == text)
    #expect(UUIDText.binary("zz") == nil)
  }
}

// INT-6: what a stop kept from being told is found in the sequences.
struct SequenceHoleTests {
  private func chunk(
    _ kind: ChunkKind, _ first: UInt64, _ count: UInt32, at second: Int64, to last: Int64? = nil, epoch: UInt32 = 1
  ) -> ChunkHeader {
    ChunkHeader(
      kind: kind, index: 0, epoch: epoch, packetCount: count, firstSequence: first, firstArrival_us: second,
      lastArrival_us: last ?? second, firstClock: ChunkHeader.noClock, plaintextLength: 0, plaintextHash: [],
      previous: [], nonce: [], marks: [])
  }

  @Test func aHoleHasTheTimesOfItsNeighbours() {
    let holes = SequenceHole.untold(in: [chunk(.media, 10, 5, at: 1, to: 2), chunk(.media, 20, 5, at: 4, to: 5)])
    #expect(holes == [SequenceHole(epoch: 1, range: 15..<20, from_us: 2, to_us: 4)])
  }

  @Test func whatAFillFillsOrAGapNamesIsNone() {
    let before = chunk(.media, 10, 5, at: 1, to: 2)
    let after = chunk(.media, 20, 5, at: 4, to: 5)
    #expect(SequenceHole.untold(in: [before, after, chunk(.fill, 15, 5, at: 9)]).isEmpty)
    #expect(SequenceHole.untold(in: [before, after, chunk(.gap, 15, 5, at: 2, to: 4)]).isEmpty)
    // Half of it came, and late: the rest keeps the times of the whole.
    let rest = SequenceHole.untold(in: [before, after, chunk(.fill, 17, 1, at: 9), chunk(.gap, 18, 2, at: 2, to: 4)])
    #expect(rest == [SequenceHole(epoch: 1, range: 15..<17, from_us: 2, to_us: 4)])
    let two = SequenceHole.untold(in: [before, after, chunk(.fill, 17, 1, at: 9)])
    #expect(two.map(\.range) == [15..<17, 18..<20] && two.allSatisfy { $0.from_us == 2 && $0.to_us == 4 })
  }

  @Test func whatWasDroppedForWantOfSpaceIsNamedByItsTime() {
    let chunks = [
      chunk(.media, 10, 5, at: 1, to: 2), chunk(.gap, 0, 0, at: 3, to: 6), chunk(.media, 20, 5, at: 6, to: 7),
      chunk(.media, 30, 5, at: 9, to: 9),
    ]
    #expect(SequenceHole.untold(in: chunks).map(\.range) == [25..<30])
  }

  @Test func epochsAreApartAndWhatIsBeforeTheFirstChunkIsUnknown() {
    let chunks = [
      chunk(.media, 100, 5, at: 1), chunk(.fill, 50, 1, at: 2), chunk(.epoch, 0, 0, at: 3, epoch: 2),
      chunk(.media, 7, 1, at: 4, epoch: 2), chunk(.media, 9, 1, at: 6, epoch: 2),
    ]
    #expect(SequenceHole.untold(in: chunks) == [SequenceHole(epoch: 2, range: 8..<9, from_us: 4, to_us: 6)])
  }

  @Test func aFileThatCountsPastEverythingTrapsNobody() {
    _ = SequenceHole.untold(in: [chunk(.media, .max, 5, at: 1), chunk(.media, 1, .max, at: 4)])
    #expect(SequenceHole.untold(in: []).isEmpty)
  }
}
