internal import Dispatch
internal import Synchronization

/// What is not durable yet, of all writers that share it: what waits in their lines, and what they hold until their flush is
/// done.
package final class FootageBacklog: Sendable {
  private let total = Atomic<Int>(0)

  package init() {}

  package var bytes: Int { total.load(ordering: .relaxed) }

  func changed(by difference: Int) {
    if difference != 0 { total.add(difference, ordering: .relaxed) }
  }
}

/// The line between the sockets' thread and the writer's.
///
/// It takes everything: who fills it looks at the backlog and stops reading its sockets, so that what comes after is bounded by
/// what is in hand. A disk that stalls therefore holds the transport back before memory is full, and nothing is dropped.
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

  private let backlog: FootageBacklog
  private let state = Mutex(State())
  /// Counts what was appended; its waits are on a clock that nobody can set.
  private let arrivals = DispatchSemaphore(value: 0)

  init(backlog: FootageBacklog) { self.backlog = backlog }

  var undurable_bytes: Int { state.withLock { $0.waiting_bytes + $0.held_bytes } }

  var oldestUndurable_us: Int64? { state.withLock { $0.oldest_us } }

  func append(_ command: FootageCommand) {
    state.withLock { state in
      state.commands.append(command)
      state.waiting_bytes += command.weight_bytes
    }
    backlog.changed(by: command.weight_bytes)
    arrivals.signal()
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
    let before = state.withLock { state in
      defer {
        state.held_bytes = held_bytes
        state.oldest_us = oldest_us
      }
      return state.held_bytes
    }
    backlog.changed(by: held_bytes - before)
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
