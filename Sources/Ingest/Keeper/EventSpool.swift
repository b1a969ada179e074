internal import Doctrine
package import Seams
internal import Synchronization

/// Events that the keeper has not acknowledged yet, in order.
///
/// Bounded: past ``capacity`` new *index* events are dropped and counted, as the files hold all they say;
/// openings, closings and refusals are kept up to twice that.
package final class EventSpool: Sendable {
  /// Hours of a fleet's events while the keeper is away.
  package static let capacity = 200_000
  static let batch = 256

  private struct State {
    var events: [NumberedEvent] = []
    var next: UInt64 = 1
    var dropped = 0
  }

  private let state = Mutex(State())
  private let signal: AsyncStream<Void>.Continuation
  /// Fires when there may be something to send. One reader.
  let arrivals: AsyncStream<Void>

  package init() {
    (arrivals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  package func append(_ event: IngestEvent) {
    state.withLock { state in
      let limit = event.isIndexOnly ? Self.capacity : 2 * Self.capacity
      guard state.events.count < limit else {
        state.dropped += 1
        return
      }
      state.events.append(NumberedEvent(number: state.next, event: event))
      state.next += 1
    }
    signal.yield()
  }

  /// Events waiting, and events dropped since the start.
  package var figures: (waiting: Int, dropped: Int) { state.withLock { ($0.events.count, $0.dropped) } }

  /// The oldest events after a number.
  func head(_ count: Int = EventSpool.batch, after number: UInt64 = 0) -> [NumberedEvent] {
    state.withLock { state in
      guard let first = state.events.first, number >= first.number else { return Array(state.events.prefix(count)) }
      // Numbers go up, with holes where something was dropped.
      let start = state.events.firstIndex { $0.number > number } ?? state.events.endIndex
      return Array(state.events[start...].prefix(count))
    }
  }

  func acknowledge(upTo number: UInt64) {
    state.withLock { state in
      let count = state.events.prefix { $0.number <= number }.count
      state.events.removeFirst(count)
    }
  }
}

extension IngestEvent {
  fileprivate var isIndexOnly: Bool {
    switch self {
    case .segment, .chainHeads, .linkHealth: true
    default: false
    }
  }
}
