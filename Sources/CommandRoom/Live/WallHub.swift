internal import Doctrine
internal import Seams
internal import Synchronization

/// The newest state of the wall, for every open page.
final class WallHub: Sendable {
  private struct State {
    var wall: WallState?
    var pages: [UInt64: AsyncStream<WallState>.Continuation] = [:]
    var next: UInt64 = 0
  }

  /// Pages open at once: thirty operators with a few windows each.
  static let maximumPages = 500

  private let state = Mutex(State())

  var current: WallState? { state.withLock { $0.wall } }

  func publish(_ wall: WallState?) {
    state.withLock { state in
      state.wall = wall
      // A page without a keeper shows an empty wall that says so, never an old one.
      for page in state.pages.values { page.yield(wall ?? WallState()) }
    }
  }

  /// States as they come, the newest only; nil where too many pages are open.
  func follow() -> WallPage? {
    state.withLock { state in
      guard state.pages.count < Self.maximumPages else { return nil }
      let (stream, continuation) = AsyncStream<WallState>.makeStream(bufferingPolicy: .bufferingNewest(1))
      let id = state.next
      state.next += 1
      state.pages[id] = continuation
      continuation.yield(state.wall ?? WallState())
      return WallPage(states: stream, id: id, hub: self)
    }
  }

  fileprivate func leave(_ id: UInt64) { state.withLock { state in state.pages.removeValue(forKey: id)?.finish() } }

  /// Wakes every page with the same state, so that a dead connection is found.
  func beat() {
    state.withLock { state in for page in state.pages.values { page.yield(state.wall ?? WallState()) } }
  }
}

/// One open page of the wall; it leaves with the last reference, whether or not its answer was ever begun.
final class WallPage: Sendable {
  let states: AsyncStream<WallState>
  private let id: UInt64
  private let hub: WallHub

  fileprivate init(states: AsyncStream<WallState>, id: UInt64, hub: WallHub) {
    self.states = states
    self.id = id
    self.hub = hub
  }

  deinit { hub.leave(id) }
}
