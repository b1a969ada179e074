import Doctrine
import Footage
import Synchronization
import Testing

@testable import Ingest
@testable import SRT
@testable import Seams

struct StreamIdentifierTests {
  @Test func readsWhatClientsSend() throws {
    for text in [
      "#!::u=CAM-1,m=publish", "%23!::u=CAM-1,m=publish", "%23%21%3A%3Au%3DCAM-1", "#!::m=publish,u=CAM-1,zz=9",
    ] {
      let id = try StreamIdentifier(text)
      #expect(id.camera == CameraID("CAM-1") && !id.isLinkTest && id.threat == nil)
    }
    let full = try StreamIdentifier("#!::u=C,plastron_threat=persons,plastron_ref=2026/42,plastron_act=a,r=linktest")
    #expect(full.threat == .persons && full.reference == "2026/42" && full.activation == "a" && full.isLinkTest)
  }

  @Test(arguments: [
    "", "CAM-1", "#!::", "#!::m=publish", "#!::u=", "#!::u=a b", "#!::u=-a", "#!::u=é", "#!::u=C,m=request",
    "#!::u=C,m",
    "#!::u=C,u=D", "#!::u=C,plastron_threat=war", "%2", "%zz!::u=C", "#!::u=C,plastron_ref=\u{1}",
    "#!::u=" + String(repeating: "x", count: 65), "#!::u=C,x=" + String(repeating: "x", count: 129),
    "#!::u=C," + String(repeating: "a=b", count: 200),
  ])
  func refusesWithASentence(_ text: String) {
    do throws(StreamIdentifier.Malformed) {
      _ = try StreamIdentifier(text)
      Issue.record("accepted: \(text)")
    } catch { #expect(!error.sentence.isEmpty) }
  }
}

struct ChunkAssemblerTests {
  @Test func marksStartsAndCountsWhatIsNoTransportStream() {
    var assembler = ChunkAssembler(epoch: 1)
    var packet = [UInt8](repeating: 0, count: 188)
    packet[0] = 0x47
    packet[3] = 0x30
    packet[4] = 7
    packet[5] = 0x50
    packet[9] = 2
    let at = UTCTime(microseconds: 0)
    let now = MonotonicTime(microseconds: 0)
    packet.withUnsafeBytes { assembler.append(sequence: 1, bytes: $0, arrival: at, now: now, isForRelay: true) }
    Array("not a transport stream".utf8).withUnsafeBytes {
      assembler.append(sequence: 2, bytes: $0, arrival: at, now: now, isForRelay: true)
    }
    assembler.close()
    let chunks = assembler.takeFinished()
    #expect(chunks.count == 1 && chunks[0].marks == [0] && chunks[0].firstClock == 4)
    #expect(assembler.inspector.foreign == 1)
    #expect(chunks[0].plaintext.count == 188 + 22)
  }

  @Test func endsAChunkByAgeAndBySize() {
    var assembler = ChunkAssembler(epoch: 1)
    let big = [UInt8](repeating: 0, count: 1400)
    for number in 0..<UInt64(1600) {
      big.withUnsafeBytes {
        assembler.append(
          sequence: number, bytes: $0, arrival: UTCTime(microseconds: 0), now: MonotonicTime(microseconds: 0),
          isForRelay: true)
      }
    }
    let bySize = assembler.takeFinished()
    #expect(bySize.count == 2 && bySize.allSatisfy { $0.plaintext.count <= ChunkAssembler.maximumSize_bytes })
    assembler.timePassed(at: MonotonicTime(microseconds: 499_999))
    #expect(assembler.takeFinished().isEmpty)
    assembler.timePassed(at: MonotonicTime(microseconds: 500_000))
    #expect(assembler.takeFinished().count == 1)
  }
}

final class LiveFeedTests: Sendable {
  private let recording = RecordingID("r")

  private let time = Atomic<Int64>(0)

  private func makeFeed() -> LiveFeed {
    LiveFeed { [self] in MonotonicTime(microseconds: time.load(ordering: .relaxed)) }
  }

  // P3: what waited when the right ended is not given out any more, also where there is a new one.
  @Test func nothingIsGivenOutAfterTheEnd() async throws {
    let feed = makeFeed()
    #expect(feed.read(recording) == nil)
    feed.begin(recording)
    let reader = try #require(feed.read(recording))
    var pieces = reader.makeAsyncIterator()
    feed.offer(recording, [1])
    feed.offer(recording, [2])
    #expect(await pieces.next() == LivePiece.hole + [1])
    feed.end(recording)
    feed.begin(recording)
    #expect(await pieces.next() == nil)
    feed.end(recording)
    #expect(feed.read(recording) == nil)
  }

  @Test func aReaderThatIsTooSlowIsToldOfTheHole() async throws {
    let feed = makeFeed()
    feed.begin(recording)
    var pieces = try #require(feed.read(recording)).makeAsyncIterator()
    let first = UInt8(1)
    for _ in 0..<LiveFeed.maximumPieces { feed.offer(recording, [first]) }
    feed.offer(recording, [2])
    #expect(feed.droppedPieces == 1)
    for number in 0..<LiveFeed.maximumPieces {
      #expect(await pieces.next() == (number == 0 ? LivePiece.hole + [first] : [first]))
    }
    feed.offer(recording, [3])
    #expect(await pieces.next() == LivePiece.hole + [3])
    // And of what has become too old.
    feed.offer(recording, [4])
    time.store(LiveFeed.maximumAge_us + 1, ordering: .relaxed)
    feed.offer(recording, [5])
    #expect(await pieces.next() == LivePiece.hole + [5])
  }
}
