internal import Doctrine
package import Seams
internal import Synchronization

/// Events that the keeper has not acknowledged yet, in order.
///
/// Bounded by kind, so that none takes another's room (``Rank``): what is over its bound is dropped and counted. Refused calls
/// are not among them: they wait in the ``RefusalLedger``.
package final class EventSpool: Sendable {
  /// What an event weighs when there is no room for all.
  enum Rank: Int, CaseIterable, Sendable {
    /// Rows of the index and figures of links: the files hold what the rows say, and the register reads it from them.
    ///
    /// A fleet of 2,000 that all send makes 200 rows a second, and its links some eight reports: room for 16 minutes. 200
    /// cameras have two hours.
    case index
    /// Chain heads of all open recordings, each minute, for the journal: the keeper takes them while its database is away.
    /// Ten of them a minute for 2,000 cameras, of some 20 KiB: ten hours.
    case heads
    /// Connections and gaps, which the files hold too but the journal has from here: fifty for each of 2,000 cameras. One that
    /// calls again and again takes no room but this.
    case stream
    /// Incidents and parts: what the law asks to be told of. A camera opens two incidents while the keeper is away, and has
    /// three parts a day of each; while the database is away, one incident in fifteen seconds.
    case incident

    var capacity: Int {
      switch self {
      case .index: 200_000
      case .heads: 6_000
      case .stream: 100_000
      case .incident: 100_000
      }
    }
  }

  static let batch = 256

  private struct State {
    /// Those from `start` on wait; numbers go up by one.
    var events: [NumberedEvent] = []
    var start = 0
    var next: UInt64 = 1
    var waiting = [Int](repeating: 0, count: Rank.allCases.count)
    var dropped = [Int](repeating: 0, count: Rank.allCases.count)

    /// Of the first event that waits with a greater number.
    func index(after number: UInt64) -> Int {
      guard start < events.count, number >= events[start].number else { return start }
      return min(events.count, start + Int(clamping: number - events[start].number + 1))
    }
  }

  private let state = Mutex(State())
  private let signal: AsyncStream<Void>.Continuation
  /// Fires when there may be something to send. One reader.
  let arrivals: AsyncStream<Void>

  package init() {
    (arrivals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  package func append(_ event: IngestEvent) {
    let rank = event.rank
    state.withLock { state in
      guard state.waiting[rank.rawValue] < rank.capacity else {
        state.dropped[rank.rawValue] += 1
        return
      }
      state.waiting[rank.rawValue] += 1
      state.events.append(NumberedEvent(number: state.next, event: event))
      state.next += 1
    }
    signal.yield()
  }

  /// Events waiting, and events dropped since the start.
  package var figures: (waiting: Int, dropped: Int) {
    state.withLock { ($0.events.count - $0.start, $0.dropped.reduce(0, +)) }
  }

  /// Of these, those of one rank.
  func dropped(_ rank: Rank) -> Int { state.withLock { $0.dropped[rank.rawValue] } }

  /// The oldest events after a number.
  func head(_ count: Int = EventSpool.batch, after number: UInt64 = 0) -> [NumberedEvent] {
    state.withLock { state in Array(state.events[state.index(after: number)...].prefix(count)) }
  }

  func acknowledge(upTo number: UInt64) {
    state.withLock { state in
      let end = state.index(after: number)
      for event in state.events[state.start..<end] { state.waiting[event.event.rank.rawValue] -= 1 }
      state.start = end
      // The rest is moved up when there is less of it than of what is gone: each event once, on the whole.
      guard state.start >= state.events.count - state.start else { return }
      state.events.removeFirst(state.start)
      state.start = 0
    }
  }
}

extension IngestEvent {
  var rank: EventSpool.Rank {
    switch self {
    case .segment, .linkHealth: .index
    case .chainHeads: .heads
    case .streaming, .streamJoined, .streamLeft, .gap, .linkTested: .stream
    case .incidentOpened, .partOpened, .partClosed, .incidentClosed: .incident
    }
  }
}
