import Foundation
import Synchronization

/// One viewer of one camera: that something comes, and, where it is asked, when each picture came.
final class LiveViewer: Sendable {
  struct Arrival {
    var us: Int64
    var tail: [UInt8]
  }

  private struct State {
    var first_us: Int64?
    var last_us: Int64 = 0
    var isOver = false
    var arrivals: [Arrival] = []
    var buffer: [UInt8] = []
  }

  let camera: String
  let notesPictures: Bool
  private let state = Mutex(State())

  init(_ camera: String, notesPictures: Bool) {
    self.camera = camera
    self.notesPictures = notesPictures
  }

  /// When the first bytes came, microseconds since 1970; what was sent before is what a viewer starts with.
  var joined_us: Int64? { state.withLock { $0.first_us } }
  /// When something came last.
  var last_us: Int64 { state.withLock { $0.last_us } }
  var isOver: Bool { state.withLock { $0.isOver } }
  var arrivals: [Arrival] { state.withLock { $0.arrivals } }

  /// The answer has ended, or never began.
  func ended() { state.withLock { $0.isOver = true } }

  /// Bytes of the live answer: frames of kind, 32-bit length, payload.
  func received(_ bytes: [UInt8]) {
    let now = Int64(Date().timeIntervalSince1970 * 1e6)
    state.withLock { state in
      state.first_us = state.first_us ?? now
      state.last_us = now
      guard notesPictures else { return }
      state.buffer += bytes
      var start = 0
      while state.buffer.count - start >= 5 {
        let length = state.buffer[(start + 1)..<(start + 5)].reduce(0) { $0 << 8 | Int($1) }
        let end = start + 5 + length
        guard state.buffer.count >= end else { break }
        if state.buffer[start] == 3, length > SentPictures.tail_bytes {
          state.arrivals.append(Arrival(us: now, tail: Array(state.buffer[(end - SentPictures.tail_bytes)..<end])))
        }
        start = end
      }
      state.buffer.removeFirst(start)
    }
  }
}
