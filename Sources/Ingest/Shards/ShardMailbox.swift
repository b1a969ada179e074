import SRT
import Synchronization

/// What one thread is told by others, until its next turn.
///
/// Bounded by who sends: sockets by ``maximumSockets``, and one that finds no room is let go of, so that its camera calls
/// again. The rest is never refused, as each tells of something that has happened: commands come one after another from the
/// keeper's one stream, a few for each act of a person; a recording is resumed once for each file that a stop left open, at the
/// start; a part's disk fails once for each part.
final class ShardMailbox: Sendable {
  /// Connections of one camera each, proven, each with the library's buffers of up to half a megabyte. A turn takes
  /// milliseconds, in which a few come; this is what comes in a second while a thread stands still.
  static let maximumSockets = 256

  private struct State {
    var messages: [ShardMessage] = []
    var sockets = 0
  }

  private let state = Mutex(State())
  /// Looked at in each turn without a lock.
  private let isFilled = Atomic<Bool>(false)

  func post(_ message: ShardMessage) {
    state.withLock { $0.messages.append(message) }
    isFilled.store(true, ordering: .releasing)
  }

  /// Hands a connection over; false where there is no room, and nothing is kept of it.
  func hand(over socket: AcceptedSocket, _ attempt: PendingAttempt) -> Bool {
    let isTaken = state.withLock { state in
      guard state.sockets < Self.maximumSockets else { return false }
      state.sockets += 1
      state.messages.append(.accepted(socket, attempt))
      return true
    }
    isFilled.store(true, ordering: .releasing)
    return isTaken
  }

  func take() -> [ShardMessage] {
    guard isFilled.exchange(false, ordering: .acquiring) else { return [] }
    return state.withLock { state in
      defer { state = State() }
      return state.messages
    }
  }
}
