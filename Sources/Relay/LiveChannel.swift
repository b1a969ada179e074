internal import FragmentedMP4
internal import Synchronization

/// What a viewer is sent, in order.
package enum RelayItem: Equatable, Sendable {
  case initialization(bytes: [UInt8], mimeType: String)
  case fragment([UInt8])
  /// What the tile says besides; told when it changes.
  case state(LiveState)
}

/// The live picture of one recording for its viewers. Memory only: it can reach no file and cannot seek back.
///
/// It remembers the pictures since the last one that can be decoded alone, so that a viewer starts at once;
/// never more than ``maximumGroup_bytes``. A viewer who is too slow loses pictures up to the next start, and
/// nobody else waits.
// P3, LIVE-5, LIVE-6.
package final class LiveChannel: Sendable {
  /// Fragments waiting for one viewer: some four seconds of pictures and sound.
  package static let maximumQueued = 200
  /// A group of pictures at 8 Mbit/s and 8 s; a longer one is not kept and a new viewer waits for the next.
  package static let maximumGroup_bytes = 8 << 20
  /// Between two words on the lag alone.
  static let lagPause_us: Int64 = 1_000_000

  private struct Viewer {
    var continuation: AsyncStream<RelayItem>.Continuation
    /// Waits for a picture that can be decoded alone.
    var needsStart: Bool
    /// The last initialization found no room: nothing after it can be read without it.
    var needsInitialization = false
    /// The last word on the picture found no room.
    var needsState = false
  }

  private struct State {
    var pipeline: LivePipeline
    var initialization: RelayItem?
    var group: [[UInt8]] = []
    var group_bytes = 0
    var groupIsWhole = false
    var viewers: [UInt64: Viewer] = [:]
    var next: UInt64 = 0
    var ended = false
    var skipped = 0
    /// What viewers were told last, and when by the arrival of bytes.
    var told = LiveState()
    var told_us: Int64 = 0
  }

  private let state: Mutex<State>

  /// Whether sound passes (LIVE-8); fixed for the channel's life.
  package let keepsSound: Bool

  package init(keepsSound: Bool) {
    self.keepsSound = keepsSound
    state = Mutex(State(pipeline: LivePipeline(keepsSound: keepsSound)))
  }

  /// Checked before every byte that leaves: what waits in a viewer's line at the end is not sent any more.
  package func isOpen(_ viewer: UInt64) -> Bool { state.withLock { !$0.ended && $0.viewers[viewer] != nil } }

  package var viewerCount: Int { state.withLock { $0.viewers.count } }
  /// Fragments not sent to viewers who were too slow.
  package var skippedFragments: Int { state.withLock { $0.skipped } }
  package var damage: [String: Int] { state.withLock { $0.pipeline.damage } }
  /// How far the camera's clock is ahead of the server's, if the camera tells it.
  package var clockOffset_ms: Int64? { state.withLock { $0.pipeline.clockOffset_ms } }

  /// Damage since the last summary, at most once a second; `now_ms` on a clock that does not go back.
  package func damageSummary(now_ms: Int64) -> [String: Int]? {
    state.withLock { $0.pipeline.damageSummary(now_ms: now_ms) }
  }

  /// Takes the next bytes of the camera; `arrival_us` in microseconds since 1970 UTC.
  package func push(_ bytes: [UInt8], arrival_us: Int64? = nil) {
    state.withLock { state in
      guard !state.ended else { return }
      for output in state.pipeline.push(bytes, arrival_us: arrival_us) {
        switch output {
        case .initialization(let bytes, let mimeType):
          let item = RelayItem.initialization(bytes: bytes, mimeType: mimeType)
          state.initialization = item
          Self.clearGroup(&state)
          for id in state.viewers.keys {
            Self.initialize(id, item, &state)
            state.viewers[id]?.needsStart = true
          }
        case .fragment(let bytes, let starts):
          Self.remember(bytes, starts: starts, &state)
          Self.send(bytes, starts: starts, &state)
        }
      }
      Self.tell(arrival_us ?? 0, &state)
    }
  }

  /// A new viewer; nil where the channel has ended.
  package func subscribe() -> (id: UInt64, items: AsyncStream<RelayItem>)? {
    state.withLock { state in
      guard !state.ended else { return nil }
      let (stream, continuation) = AsyncStream<RelayItem>.makeStream(
        bufferingPolicy: .bufferingOldest(Self.maximumQueued))
      let id = state.next
      state.next += 1
      var viewer = Viewer(continuation: continuation, needsStart: true)
      if let initialization = state.initialization {
        continuation.yield(initialization)
        if state.groupIsWhole, state.group.count < Self.maximumQueued / 2 {
          for fragment in state.group { continuation.yield(.fragment(fragment)) }
          viewer.needsStart = false
        }
      }
      if state.told != LiveState() { continuation.yield(.state(state.told)) }
      state.viewers[id] = viewer
      return (id, stream)
    }
  }

  package func unsubscribe(_ id: UInt64) {
    state.withLock { state in state.viewers.removeValue(forKey: id)?.continuation.finish() }
  }

  /// Ends it for all viewers at once, and forgets every picture.
  package func end() {
    state.withLock { state in
      state.ended = true
      state.initialization = nil
      Self.clearGroup(&state)
      for viewer in state.viewers.values { viewer.continuation.finish() }
      state.viewers.removeAll()
    }
  }

  private static func remember(_ bytes: [UInt8], starts: Bool, _ state: inout State) {
    if starts {
      clearGroup(&state)
      state.groupIsWhole = true
    }
    guard state.groupIsWhole else { return }
    guard state.group_bytes + bytes.count <= maximumGroup_bytes else {
      clearGroup(&state)
      return
    }
    state.group.append(bytes)
    state.group_bytes += bytes.count
  }

  private static func clearGroup(_ state: inout State) {
    state.group.removeAll()
    state.group_bytes = 0
    state.groupIsWhole = false
  }

  /// A lost picture is told at once, a lag at most once a second; a viewer whose line is full is told with its next picture.
  private static func tell(_ arrival_us: Int64, _ state: inout State) {
    let now = state.pipeline.state
    guard now != state.told,
      now.picture != state.told.picture || arrival_us &- state.told_us >= lagPause_us
    else { return }
    state.told = now
    state.told_us = arrival_us
    for id in state.viewers.keys { sayState(id, &state) }
  }

  private static func sayState(_ id: UInt64, _ state: inout State) {
    guard let viewer = state.viewers[id] else { return }
    if case .enqueued = viewer.continuation.yield(.state(state.told)) {
      state.viewers[id]?.needsState = false
    } else {
      state.viewers[id]?.needsState = true
    }
  }

  private static func initialize(_ id: UInt64, _ item: RelayItem, _ state: inout State) {
    guard let viewer = state.viewers[id] else { return }
    if case .enqueued = viewer.continuation.yield(item) {
      state.viewers[id]?.needsInitialization = false
    } else {
      state.viewers[id]?.needsInitialization = true
    }
  }

  private static func send(_ bytes: [UInt8], starts: Bool, _ state: inout State) {
    for id in state.viewers.keys {
      guard let viewer = state.viewers[id] else { continue }
      if viewer.needsStart, !starts {
        state.skipped += 1
        continue
      }
      if viewer.needsInitialization, let item = state.initialization { initialize(id, item, &state) }
      guard state.viewers[id]?.needsInitialization == false else {
        state.skipped += 1
        continue
      }
      if viewer.needsState { sayState(id, &state) }
      switch viewer.continuation.yield(.fragment(bytes)) {
      case .enqueued: state.viewers[id]?.needsStart = false
      case .dropped:
        state.viewers[id]?.needsStart = true
        state.skipped += 1
      case .terminated: state.viewers[id] = nil
      @unknown default: break
      }
    }
  }
}
