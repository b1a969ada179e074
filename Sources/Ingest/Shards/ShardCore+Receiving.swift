import Doctrine
import Logging
import Seams
import SRT
import Vault

extension ShardCore {
  /// Messages read from one connection before the next has its turn.
  static let messagesPerTurn = 512
  /// How often a connection is read that says it has nothing: what lies behind a hole is not counted by the library, and
  /// reading what is not there costs an exception in it.
  static let look_us: Int64 = 50_000

  /// Reads what a connection has, a bounded number of messages.
  func drain(_ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer) {
    guard !connection.ended else { return }
    var left = min(connection.accepted.socket.readable(), Self.messagesPerTurn)
    let now = common.clocks.monotonic()
    if left == 0 {
      guard now.since(connection.lastLook) >= Self.look_us else { return }
      left = Self.messagesPerTurn
      connection.lastLook = now
    }
    let arrival = common.clocks.wall()
    let recording = connection.state.recording
    let isRecorded = recording?.machine.isReceiving == true
    let turn = connection.intake.read(
      connection.accepted.socket, limit: left, into: buffer, isRecorded: isRecorded, arrival: arrival, now: now)
    if turn.isOver {
      let since = connection.endedSince ?? now
      connection.endedSince = since
      connection.ended = now.since(since) >= connection.lastWindow_us
    }
    guard turn.bytes > 0 else { return }
    connection.lastPacket = now
    _ = recording?.machine.packetArrived(at: arrival)
    connection.meter.bytes += Int64(turn.bytes)
    if !connection.rate.took(turn.bytes, at: now) { tooFast(connection, at: now) }
  }

  /// Hands finished chunks to the writer and live bytes to the feed.
  func handOver(_ connection: Connection, at now: MonotonicTime) {
    guard let recording = connection.state.recording else {
      _ = connection.intake.assembler.takeFinished()
      _ = connection.intake.assembler.takeLive(at: now)
      return
    }
    for chunk in connection.intake.assembler.takeFinished() {
      submit(.append(part: recording.current.part.rawValue, chunk))
    }
    let live = connection.intake.assembler.takeLive(at: now)
    if !live.isEmpty, recording.isLive { common.feed.offer(recording.recording, live) }
  }

  func submit(_ command: FootageCommand) {
    // The line has twice the room at which reading stops: what is in hand always fits.
    if !writer.submit(command) { logger.critical("writer line full: a chunk was dropped") }
  }
}
