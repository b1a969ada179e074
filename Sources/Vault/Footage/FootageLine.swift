internal import Dispatch
internal import Synchronization

/// The line between the sockets' thread and the writer's, bounded in bytes.
///
/// What counts is everything that is not durable yet: what waits in the line, and what the writer holds until its flush is
/// done. A disk that stalls therefore fills it, and the sockets stop being read before memory does.
final class FootageLine: Sendable {
  struct Taken {
    var commands: [FootageCommand]
    var flushed: [FlushResult]?
    /// Nothing more will come.
    var isClosed: Bool
  }

  private struct State {
    var commands: [FootageCommand] = []
    var waiting_bytes = 0
    var held_bytes = 0
    var oldest_us: Int64?
    var flushed: [FlushResult]?
    var isClosed = false
  }

  private let capacity_bytes: Int
  private let state = Mutex(State())
  /// Counts what was appended; its waits are on a clock that nobody can set.
  private let arrivals = DispatchSemaphore(value: 0)

  init(capacity_bytes: Int) { self.capacity_bytes = capacity_bytes }

  var undurable_bytes: Int { state.withLock { $0.waiting_bytes + $0.held_bytes } }

  var oldestUndurable_us: Int64? { state.withLock { $0.oldest_us } }

  /// False when the line is full: nothing was taken.
  func append(_ command: FootageCommand) -> Bool {
    let accepted = state.withLock { state in
      guard state.waiting_bytes + state.held_bytes < capacity_bytes else { return false }
      state.commands.append(command)
      state.waiting_bytes += command.weight_bytes
      return true
    }
    if accepted { arrivals.signal() }
    return accepted
  }

  /// The flusher's word on the batch it was given.
  func deliver(_ results: [FlushResult]) {
    state.withLock { $0.flushed = results }
    arrivals.signal()
  }

  func close() {
    state.withLock { $0.isClosed = true }
    arrivals.signal()
  }

  /// Waits for something to do until `deadline`.
  ///
  /// - Parameters:
  ///   - held_bytes: what the writer holds that is not durable yet.
  ///   - oldest_us: when the oldest of it that is being flushed came.
  func take(until deadline: DispatchTime, held_bytes: Int, oldest_us: Int64?) -> Taken {
    state.withLock { state in
      state.held_bytes = held_bytes
      state.oldest_us = oldest_us
    }
    _ = arrivals.wait(timeout: deadline)
    return state.withLock { state in
      let taken = Taken(commands: state.commands, flushed: state.flushed, isClosed: state.isClosed)
      state.commands.removeAll(keepingCapacity: true)
      // Still counted: the writer says what it holds of it at its next turn.
      state.held_bytes += state.waiting_bytes
      state.waiting_bytes = 0
      state.flushed = nil
      return taken
    }
  }
}
