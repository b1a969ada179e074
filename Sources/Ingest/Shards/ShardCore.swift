import Doctrine
import Footage
import Foundation
import Logging
import SRT
import Seams
import Vault

/// The state of one ingest thread and its turns. Not `Sendable`: one thread.
final class ShardCore {
  /// Connections up to which the thread waits for events instead of ticking.
  static let eventDrivenConnections = 4
  /// The tick with one more, in milliseconds. It grows by one for so many connections, to ``longestTick_ms``.
  static let shortestTick_ms = 2
  static let connectionsPerTick_ms = 5
  static let longestTick_ms = 5
  static let wait_ms: Int64 = 10
  static let fruitless_us: UInt32 = 1000
  static let slowTurn_us: Int64 = 250_000

  let number: Int
  let listeners: [Listener]
  let mailboxes: [ShardMailbox]
  let writer: FootageWriter
  let common: ShardCommon
  var connections: [Connection] = []
  var cameras: [CameraID: CameraState] = [:]
  /// Cameras that tested their link since the start, with what they have left of their bound.
  var linkTests: [CameraID: CameraState] = [:]
  /// Cameras whose part a stop left open and that is being read.
  var expected: [CameraID: ExpectedCamera] = [:]
  /// Recordings that were closed lately: a disk may yet fail to take their end.
  var ended: [(recording: OpenRecording, closing: IncidentClosed, at: MonotonicTime)] = []
  /// Whether the writer's line has room in this turn, and since when: while it has none nothing is read, and
  /// silence says nothing about a camera.
  var hasRoom = true
  var roomSince = MonotonicTime(microseconds: 0)
  /// Whether anything was read in this turn.
  var readAny = false
  private var lastSlowTurn = MonotonicTime(microseconds: 0)
  /// Connections are polled while they are few: the library wakes a poll set for every packet, under one lock for all.
  private var isPolling = true

  var logger: Logger { common.logger }

  init(
    _ number: Int, listeners: [Listener], mailboxes: [ShardMailbox], writer: FootageWriter, common: ShardCommon
  ) {
    self.number = number
    self.listeners = listeners
    self.mailboxes = mailboxes
    self.writer = writer
    self.common = common
  }

  func run(messages: () -> [ShardMessage], stopping: () -> Bool) {
    do throws(SRTError) {
      let poll = try SRTPoll()
      for listener in listeners { try poll.add(listener.listener.id) }
      turns(poll, messages: messages, stopping: stopping)
    } catch {
      logger.critical("no poll set", metadata: ["error": "\(error)"])
    }
  }

  private func turns(_ poll: borrowing SRTPoll, messages: () -> [ShardMessage], stopping: () -> Bool) {
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 16) { buffer in
      while !stopping() {
        for message in messages() { take(message) }
        for listener in listeners { while let socket = listener.listener.accept() { accepted(AcceptedSocket(socket)) } }
        turn(buffer)
        pause(poll)
      }
      let now = common.clocks.monotonic()
      for connection in connections { end(connection, at: now) }
    }
  }

  /// One turn over all connections.
  private func turn(_ buffer: UnsafeMutableRawBufferPointer) {
    readAny = false
    let room = writer.hasRoom(after: hasRoom)
    if room, !hasRoom { roomSince = common.clocks.monotonic() }
    hasRoom = room
    if hasRoom { for connection in connections { drain(connection, buffer) } }
    let now = common.clocks.monotonic()
    var anyEnded = false
    for connection in connections where !connection.isLinkTest {
      connection.intake.timePassed(at: now)
      handOver(connection, at: now)
      anyEnded = anyEnded || connection.ended
    }
    if anyEnded || connections.contains(where: \.ended) {
      for connection in connections where connection.ended { end(connection, at: now, cause: connection.endCause) }
    }
    if now.since(lastSlowTurn) >= Self.slowTurn_us {
      lastSlowTurn = now
      slowTurn(now: now, wall: common.clocks.wall())
      if !expected.isEmpty { refuseWaiting(at: now) }
    }
  }

  /// Until the next turn: an event while there are few connections, a tick with many.
  private func pause(_ poll: borrowing SRTPoll) {
    let polls = connections.count <= Self.eventDrivenConnections
    if polls != isPolling {
      isPolling = polls
      for connection in connections { setPolled(connection, polls, poll) }
    }
    if polls {
      for connection in connections where !connection.isPolled { setPolled(connection, true, poll) }
    }
    if hasRoom, polls {
      // An event of what cannot be read yet comes again at once.
      if poll.wait(timeout_ms: Self.wait_ms), !readAny { usleep(Self.fruitless_us) }
    } else {
      let tick_ms =
        max(0, connections.count - Self.eventDrivenConnections) / Self.connectionsPerTick_ms + Self.shortestTick_ms
      usleep(UInt32(min(Self.longestTick_ms, tick_ms) * 1000))
    }
  }

  private func setPolled(_ connection: Connection, _ isPolled: Bool, _ poll: borrowing SRTPoll) {
    guard connection.isPolled != isPolled else { return }
    connection.isPolled = isPolled
    guard isPolled else { return poll.remove(connection.id) }
    do throws(SRTError) { try poll.add(connection.id) } catch {
      // Already broken: the next look says so.
      logger.debug("connection is not polled", metadata: ["error": "\(error)"])
    }
  }
}
