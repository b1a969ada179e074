import Doctrine
import SRT

/// The way of one connection's packets from the socket to chunks: order, then assembly.
///
/// One value, so that a whole turn's packets pass under one access to it.
struct PacketIntake: Sendable {
  /// What one turn of reading gave.
  struct Turn: Equatable, Sendable {
    var bytes = 0
    /// The transport says that the connection is over.
    var isOver = false
  }

  /// Messages that were handed over, since the connection began.
  private(set) var messages: Int64 = 0
  var reorderer: Reorderer
  var assembler: ChunkAssembler

  init(reorderer: Reorderer, assembler: ChunkAssembler) {
    self.reorderer = reorderer
    self.assembler = assembler
  }

  /// Reads at most `limit` messages.
  ///
  /// - Parameters:
  ///   - buffer: of the thread: each message lies in it until it is appended to its chunk.
  ///   - isRecorded: the gate: otherwise what is read goes nowhere. P1, REC-1.
  ///   - arrival: all of it came since the last turn, milliseconds ago, and is stamped so.
  mutating func read(
    _ socket: borrowing SRTSocket, limit: Int, into buffer: UnsafeMutableRawBufferPointer, isRecorded: Bool,
    arrival: UTCTime, now: MonotonicTime
  ) -> Turn {
    var turn = Turn()
    for _ in 0..<limit {
      switch socket.receive(into: buffer) {
      case .nothing: return turn
      case .ended:
        turn.isOver = true
        return turn
      case .message(let length, let sequence):
        turn.bytes += length
        messages += 1
        guard isRecorded else { continue }
        reorderer.arrived(
          sequence31: sequence, bytes: UnsafeRawBufferPointer(rebasing: buffer[0..<length]), arrival: arrival,
          now: now, into: &assembler)
      }
    }
    return turn
  }

  /// Gives up holes and ends chunks that are old enough.
  mutating func timePassed(at now: MonotonicTime) {
    if reorderer.isWaiting { reorderer.timePassed(now: now, into: &assembler) }
    assembler.timePassed(at: now)
  }

  /// The connection is over: everything goes out, holes stay holes.
  mutating func finish(at now: MonotonicTime) {
    reorderer.finish(now: now, into: &assembler)
    assembler.close()
  }
}
