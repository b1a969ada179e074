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
  static let timelyLook_us: Int64 = 10_000
  /// What is read at the most of a connection that ends: all that the library can hold for it.
  private static let rest_messages = 8192

  /// Reads what a connection has, a bounded number of messages.
  func drain(_ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer) {
    guard !connection.ended else { return }
    let now = common.clocks.monotonic()
    // In timely delivery the library counts what is there, also what waits for its time.
    let isTimely = connection.lastWindow_us > 0
    var left = isTimely ? 0 : min(connection.accepted.socket.readable(), Self.messagesPerTurn)
    if left == 0 {
      guard now.since(connection.lastLook) >= (isTimely ? Self.timelyLook_us : Self.look_us) else { return }
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
    if connection.state.rate?.took(turn.bytes, at: now) == false { tooFast(connection, at: now) }
    readAny = true
  }

  /// Reads what the library has acknowledged of a connection that this end ends: the sender believes it kept.
  func readRest(of connection: Connection, at now: MonotonicTime) {
    guard let recording = connection.state.recording, recording.machine.isReceiving else { return }
    let arrival = common.clocks.wall()
    let turn = withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 16) { buffer in
      connection.intake.read(
        connection.accepted.socket, limit: Self.rest_messages, into: buffer, isRecorded: true, arrival: arrival,
        now: now)
    }
    guard turn.bytes > 0 else { return }
    connection.lastPacket = now
    connection.meter.bytes += Int64(turn.bytes)
    _ = recording.machine.packetArrived(at: arrival)
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

  func submit(_ command: FootageCommand) { writer.submit(command) }
}
