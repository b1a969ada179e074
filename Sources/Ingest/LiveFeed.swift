package import Doctrine
internal import Synchronization

/// Ordered transport stream bytes of live recordings, for the console. Memory only, seconds at most.
///
/// Each reader has a bounded line; what does not fit is dropped, and the reader is told by ``LivePiece/hole``, as it is at its
/// start. A reader exists only for a recording that is live: ``end(_:)`` ends them all at once.
// P2, P3, LIVE-1, LIVE-5.
package final class LiveFeed: Sendable {
  /// Pieces of some 5 to 20 ms: a few seconds.
  static let maximumPieces = 512

  private struct Reader {
    var line: AsyncStream<[UInt8]>.Continuation
    /// Something before the next piece was not given to it.
    var misses = true

    mutating func offer(_ bytes: [UInt8]) -> Bool {
      if case .dropped = line.yield(misses ? LivePiece.hole + bytes : bytes) {
        misses = true
        return false
      }
      misses = false
      return true
    }
  }

  private struct State {
    var open: Set<RecordingID> = []
    var readers: [RecordingID: [UInt64: Reader]] = [:]
    var next: UInt64 = 0
    var dropped = 0
  }

  private let state = Mutex(State())

  package init() {}

  /// Pieces dropped since the start because a reader was too slow.
  package var droppedPieces: Int { state.withLock { $0.dropped } }

  func begin(_ recording: RecordingID) { state.withLock { _ = $0.open.insert(recording) } }

  func end(_ recording: RecordingID) {
    let readers = state.withLock { state in
      state.open.remove(recording)
      return state.readers.removeValue(forKey: recording) ?? [:]
    }
    for reader in readers.values { reader.line.finish() }
  }

  func offer(_ recording: RecordingID, _ bytes: [UInt8]) {
    state.withLock { state in
      guard state.open.contains(recording), let numbers = state.readers[recording]?.keys else { return }
      for number in numbers {
        if state.readers[recording]?[number]?.offer(bytes) == false { state.dropped += 1 }
      }
    }
  }

  /// A reader of a live recording; nil where it is not live.
  package func read(_ recording: RecordingID) -> AsyncStream<[UInt8]>? {
    state.withLock { state in
      guard state.open.contains(recording) else { return nil }
      let number = state.next
      state.next += 1
      let (stream, continuation) = AsyncStream<[UInt8]>.makeStream(
        bufferingPolicy: .bufferingOldest(Self.maximumPieces))
      continuation.onTermination = { [weak self] _ in
        self?.state.withLock { _ = $0.readers[recording]?.removeValue(forKey: number) }
      }
      state.readers[recording, default: [:]][number] = Reader(line: continuation)
      return stream
    }
  }
}
