import Doctrine
import Logging
import Seams
import SRT

/// What is looked at a few times a second, and not for every packet.
extension ShardCore {
  static let linkTest_us: Int64 = 10_000_000
  /// A disk that hangs says so after minutes at the most.
  static let remembered_us: Int64 = 600_000_000
  /// A connection that was silent for so long is looked at for a stall.
  private static let silent_us: Int64 = 500_000
  /// How old the transport's figures of a link that ends may be.
  private static let figures_us: Int64 = 2_000_000
  /// The transport tells a sender of room for two packets also where it has none.
  private static let noRoom_packets = 3
  /// Two round trips that the stall's own limit leaves room for.
  private static let queueless_us: Int64 = 2_000_000

  func slowTurn(now: MonotonicTime, wall: UTCTime) {
    ended.removeAll { now.since($0.at) >= Self.remembered_us }
    watchConnections(now: now)
    for (camera, state) in cameras {
      // While nobody sends the day is not turned: the gap belongs to the part before, and is written when it ends.
      if let recording = state.recording, wall >= recording.current.dayEnd, recording.machine.isReceiving {
        turnDay(state, recording)
      }
      if let (incident, cause) = state.machine.timePassed(at: now) {
        finish(state, camera, incident, cause, by: nil, at: now)
      }
    }
  }

  private func watchConnections(now: MonotonicTime) {
    var told: [LinkHealth] = []
    for connection in connections {
      // Asking takes locks that the library's receive thread needs.
      let isSilent = now.since(connection.lastPacket) >= Self.silent_us
      let isDue = isSilent || now.since(connection.figuresAt) >= Self.figures_us
      let figures = isDue ? connection.accepted.socket.statistics() : nil
      if isDue { connection.figuresAt = now }
      connection.meter.looked(figures)
      if connection.isLinkTest {
        if now.since(connection.acceptedAt) >= Self.linkTest_us { end(connection, at: now) }
        continue
      }
      guard let recording = connection.state.recording else { continue }
      writeGaps(of: connection, in: recording, now: now, isOver: false)
      if now >= connection.meter.due { told.append(health(of: connection, in: recording, now: now)) }
      if let cause = stalled(connection, figures, now: now) {
        // Its last report comes after this one.
        tellHealth(told)
        told = []
        end(connection, at: now, cause: cause)
      }
    }
    tellHealth(told)
  }

  /// How far a connection may go on behind a packet that never comes: what the transport read out of order it keeps places
  /// for, and when they are all taken nothing is handed over any more, without a word. Two thirds of them.
  static let reach_packets = SRTListener.receiveBuffer_packets * 2 / 3

  /// Why nothing will come over this connection any more, or soon will not (upstream 2657); nil where something will.
  private func stalled(_ connection: Connection, _ figures: LinkStatistics?, now: MonotonicTime) -> GapCause? {
    let reach = connection.intake.reorderer.reachBehindHole
    let isComplete = connection.lastWindow_us == 0
    guard hasRoom else {
      // Without its locks the library says no room and nothing in the buffer.
      if let figures, figures.receiveRoom_packets < Self.noRoom_packets, figures.receiveBuffer_bytes > 0 {
        connection.stall.wasFull(received: figures.packetsReceived, at: common.clocks.wall())
      }
      return nil
    }
    if let figures { connection.stall.came(received: figures.packetsReceived) }
    // A sender in complete delivery never gets that far ahead of what it has not given up: its window is smaller.
    if isComplete, reach >= Self.reach_packets { return .notDeliverable }
    guard now.since(connection.lastPacket) >= Self.silent_us else {
      connection.stall.delivered()
      return nil
    }
    guard let figures else { return nil }
    // A retransmission that stands behind a queue on its way comes a round trip of that queue later.
    let queue_us = min(max(0, Int64(figures.roundTrip_ms * 2000) - Self.queueless_us), StallWatch.stormLimit_us)
    return connection.stall.looked(
      received: figures.packetsReceived, retransmitted: Int64(figures.packetsRetransmitted),
      isWaiting: figures.receiveBuffer_bytes > 0 || reach > 0, isComplete: isComplete,
      patience_us: connection.lastWindow_us + queue_us, elapsed_us: Self.slowTurn_us)
  }

  func health(of connection: Connection, in recording: OpenRecording, now: MonotonicTime) -> LinkHealth {
    connection.meter.read(
      connection.camera, recording.recording, connection.intake, now: now, wall: common.clocks.wall())
  }

  func tellHealth(_ health: [LinkHealth]) {
    if !health.isEmpty { common.spool.append(.linkHealth(health)) }
  }
}
