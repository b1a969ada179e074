internal import Doctrine
internal import Synchronization

/// The views that are being sent: live, consultations, extractions. Each is ended when its right ends, and told of when
/// it is over.
// ACC-1, LIVE-7, LOG-2.
final class Readings: Sendable {
  /// A view that is over; `live` names the recording of a live one.
  struct End: Sendable {
    var viewing: ViewingID
    var live: RecordingID?
  }

  /// Whether each of recorded footage was cut; live ones are cut by their channel.
  private let running = Mutex<[ViewingID: Bool]>([:])
  private let ends: AsyncStream<End>.Continuation
  /// Those that are over, however they ended, begun or not. One reader.
  let ended: AsyncStream<End>

  init() {
    // As many as are running: an end is told once.
    (ended, ends) = AsyncStream.makeStream()
  }

  /// - Parameter live: the recording, where it is watched live.
  func begin(_ viewing: ViewingID, live: RecordingID? = nil) -> Reading {
    if live == nil { running.withLock { $0[viewing] = false } }
    return Reading(End(viewing: viewing, live: live), of: self)
  }

  /// Whether it was one of recorded footage.
  func cut(_ viewing: ViewingID) -> Bool {
    running.withLock { running in
      guard running[viewing] != nil else { return false }
      running[viewing] = true
      return true
    }
  }

  /// Nobody could withdraw a right any more.
  func cutAll() { running.withLock { running in for viewing in running.keys { running[viewing] = true } } }

  fileprivate func isCut(_ viewing: ViewingID) -> Bool { running.withLock { $0[viewing] ?? true } }

  fileprivate func end(_ end: End) {
    _ = running.withLock { $0.removeValue(forKey: end.viewing) }
    ends.yield(end)
  }
}

/// One answer that carries pictures; it ends with the last reference, sent whole, broken off, or never begun.
final class Reading: Sendable {
  private let view: Readings.End
  private let readings: Readings

  fileprivate init(_ view: Readings.End, of readings: Readings) {
    self.view = view
    self.readings = readings
  }

  deinit { readings.end(view) }

  var isCut: Bool { readings.isCut(view.viewing) }
}
