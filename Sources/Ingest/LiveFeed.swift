package import Doctrine
internal import Synchronization

/// Ordered transport stream bytes of live recordings, for the console. Memory only, seconds at most.
///
/// Each reader has a bounded line; what does not fit, or has waited for longer than ``maximumAge``, is dropped, and the reader
/// is told by ``LivePiece/hole``, as it is at its start. A reader exists only for a recording that is live: ``end(_:)`` ends
/// them all at once, and nothing of what waited is given out any more.
// P2, P3, LIVE-1, LIVE-5.
package final class LiveFeed: Sendable {
  /// Pieces of some 5 to 20 ms: a few seconds.
  static let maximumPieces = 512
  /// What is older is not live.
  static let maximumAge_us: Int64 = 5_000_000

  /// One reader's line; ``Reader`` is its other end.
  private struct Line {
    var pieces: AsyncStream<Piece>.Continuation
    /// Something before the next piece did not fit.
    var misses = true

    mutating func offer(_ bytes: [UInt8], at now: MonotonicTime) -> Bool {
      if case .dropped = pieces.yield(Piece(bytes: bytes, since: now, isBehindHole: misses)) {
        misses = true
        return false
      }
      misses = false
      return true
    }
  }

  fileprivate struct Piece: Sendable {
    var bytes: [UInt8]
    var since: MonotonicTime
    var isBehindHole: Bool
  }

  /// The bytes of a live recording as they come, until it is no longer live.
  package struct Reader: AsyncSequence, Sendable {
    fileprivate let feed: LiveFeed
    fileprivate let recording: RecordingID
    fileprivate let number: UInt64
    fileprivate let pieces: AsyncStream<Piece>

    package struct AsyncIterator: AsyncIteratorProtocol {
      fileprivate let feed: LiveFeed
      fileprivate let recording: RecordingID
      fileprivate let number: UInt64
      fileprivate var pieces: AsyncStream<Piece>.AsyncIterator
      fileprivate var misses = false

      package mutating func next() async -> [UInt8]? {
        while let piece = await pieces.next() {
          guard feed.reads(number, recording) else { return nil }
          let isBehindHole = misses || piece.isBehindHole
          misses = feed.now().since(piece.since) > LiveFeed.maximumAge_us
          if misses {
            feed.countDropped()
          } else {
            return isBehindHole ? LivePiece.hole + piece.bytes : piece.bytes
          }
        }
        return nil
      }
    }

    package func makeAsyncIterator() -> AsyncIterator {
      AsyncIterator(feed: feed, recording: recording, number: number, pieces: pieces.makeAsyncIterator())
    }
  }

  private struct State {
    var open: Set<RecordingID> = []
    var readers: [RecordingID: [UInt64: Line]] = [:]
    var next: UInt64 = 0
    var dropped = 0
  }

  private let state = Mutex(State())
  private let now: @Sendable () -> MonotonicTime

  package init(now: @escaping @Sendable () -> MonotonicTime) { self.now = now }

  /// Pieces dropped since the start because a reader was too slow.
  package var droppedPieces: Int { state.withLock { $0.dropped } }

  func begin(_ recording: RecordingID) { state.withLock { _ = $0.open.insert(recording) } }

  func end(_ recording: RecordingID) {
    let readers = state.withLock { state in
      state.open.remove(recording)
      return state.readers.removeValue(forKey: recording) ?? [:]
    }
    for reader in readers.values { reader.pieces.finish() }
  }

  /// Whether a reader still has its right: one that ended does not come back with the next.
  fileprivate func reads(_ number: UInt64, _ recording: RecordingID) -> Bool {
    state.withLock { $0.readers[recording]?[number] != nil }
  }

  fileprivate func countDropped() { state.withLock { $0.dropped += 1 } }

  func offer(_ recording: RecordingID, _ bytes: [UInt8]) {
    let now = now()
    state.withLock { state in
      guard state.open.contains(recording), let numbers = state.readers[recording].map({ Array($0.keys) }) else {
        return
      }
      for number in numbers {
        if state.readers[recording]?[number]?.offer(bytes, at: now) == false { state.dropped += 1 }
      }
    }
  }

  /// A reader of a live recording; nil where it is not live.
  package func read(_ recording: RecordingID) -> Reader? {
    state.withLock { state in
      guard state.open.contains(recording) else { return nil }
      let number = state.next
      state.next += 1
      let (stream, continuation) = AsyncStream<Piece>.makeStream(
        bufferingPolicy: .bufferingOldest(Self.maximumPieces))
      continuation.onTermination = { [weak self] _ in
        self?.state.withLock { _ = $0.readers[recording]?.removeValue(forKey: number) }
      }
      state.readers[recording, default: [:]][number] = Line(pieces: continuation)
      return Reader(feed: self, recording: recording, number: number, pieces: stream)
    }
  }
}
