internal import Doctrine
internal import Synchronization

/// The consultations and extractions that are being sent: each can be cut when its right ends.
// ACC-1, LOG-2.
final class Readings: Sendable {
  /// Whether each was cut.
  private let running = Mutex<[ViewingID: Bool]>([:])
  private let ends: AsyncStream<ViewingID>.Continuation
  /// Those that are over, however they ended: the keeper is told. One reader.
  let ended: AsyncStream<ViewingID>

  init() {
    // As many as are running: an end is told once.
    (ended, ends) = AsyncStream.makeStream()
  }

  func begin(_ viewing: ViewingID) -> Reading {
    running.withLock { $0[viewing] = false }
    return Reading(viewing, of: self)
  }

  /// Whether it was one of these.
  func cut(_ viewing: ViewingID) -> Bool {
    running.withLock { running in
      guard running[viewing] != nil else { return false }
      running[viewing] = true
      return true
    }
  }

  fileprivate func isCut(_ viewing: ViewingID) -> Bool { running.withLock { $0[viewing] ?? true } }

  fileprivate func end(_ viewing: ViewingID) {
    _ = running.withLock { $0.removeValue(forKey: viewing) }
    ends.yield(viewing)
  }
}

/// One answer that carries footage; it ends with the last reference, sent whole, broken off, or never begun.
final class Reading: Sendable {
  private let viewing: ViewingID
  private let readings: Readings

  fileprivate init(_ viewing: ViewingID, of readings: Readings) {
    self.viewing = viewing
    self.readings = readings
  }

  deinit { readings.end(viewing) }

  var isCut: Bool { readings.isCut(viewing) }
}
