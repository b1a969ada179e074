/// The life of one recording while it is written: what a connection, its end, midnight and the close mean for the master.
///
/// One machine a recording; it exists inside an active incident only. Pure: arrival times come in, one action comes out.
// REC-1, REC-11, INT-6, RET-2.
package struct RecordingMachine: ~Copyable, Sendable {
  package enum State: Equatable, Sendable {
    /// A camera sends in this epoch. Becomes `paused` or `closed`.
    case receiving(epoch: UInt32)
    /// Nobody sends; what comes next follows a gap. Becomes `receiving` or `closed`.
    case paused(lastEpoch: UInt32, cause: GapCause?)
    case closed(lastEpoch: UInt32)
  }

  /// A time that is not there.
  package struct Gap: Equatable, Sendable {
    package var from: UTCTime
    package var to: UTCTime
    package var cause: GapCause
  }

  package enum JoinAction: Equatable, Sendable {
    /// Writes the gap, if there is one, and begins the epoch.
    case begin(epoch: UInt32, after: Gap?)
    /// The recording is closed: nothing is written.
    case refuse
  }

  package enum CloseAction: Equatable, Sendable {
    /// Writes the gap, if there is one, then the close.
    case close(after: Gap?)
    /// It is closed already.
    case none
  }

  package private(set) var state: State
  /// Arrival of the last packet, or the last moment known.
  package private(set) var lastPacket: UTCTime
  /// 1, 2, ...: a part for each local day, and for each disk that failed.
  package private(set) var part: Int

  /// A recording that begins; its first connection has no gap before it.
  package init(openedAt time: UTCTime) {
    state = .paused(lastEpoch: 0, cause: nil)
    lastPacket = time
    part = 1
  }

  /// Takes up what a stop left open.
  package init(resumingPart part: Int, lastEpoch: UInt32, lastPacket: UTCTime) {
    state = .paused(lastEpoch: lastEpoch, cause: .serverRestart)
    self.lastPacket = lastPacket
    self.part = part
  }

  /// The epoch that is received, or was last.
  package var epoch: UInt32 {
    switch state {
    case .receiving(let epoch): epoch
    case .paused(let epoch, _): epoch
    case .closed(let epoch): epoch
    }
  }

  /// A camera of the incident is connected.
  package mutating func connected(at time: UTCTime) -> JoinAction {
    switch state {
    case .receiving(let epoch):
      // Taken over while the end of the one before was not told: that one delivered nothing any more.
      state = .receiving(epoch: epoch + 1)
      return .begin(epoch: epoch + 1, after: gap(to: time, .linkLost))
    case .paused(let epoch, let cause):
      state = .receiving(epoch: epoch + 1)
      return .begin(epoch: epoch + 1, after: cause.map { gap(to: time, $0) })
    case .closed: return .refuse
    }
  }

  private mutating func gap(to time: UTCTime, _ cause: GapCause) -> Gap {
    defer { lastPacket = max(lastPacket, time) }
    return Gap(from: lastPacket, to: max(lastPacket, time), cause: cause)
  }

  /// The gate: whether what comes now goes to the master.
  package var isReceiving: Bool {
    if case .receiving = state { true } else { false }
  }

  /// A packet goes to the master; false where the recording does not receive.
  package mutating func packetArrived(at time: UTCTime) -> Bool {
    guard case .receiving = state else { return false }
    lastPacket = time
    return true
  }

  /// The connection ended; a no-op where none was.
  ///
  /// - Parameter since: what came after this time is missing, where it is earlier than the last packet that was read.
  package mutating func disconnected(_ cause: GapCause, since: UTCTime? = nil) {
    guard case .receiving(let epoch) = state else { return }
    if let since { lastPacket = min(lastPacket, since) }
    state = .paused(lastEpoch: epoch, cause: cause)
  }

  /// Local midnight came, or the disk failed: returns the number of the part that goes on; nil where the recording is
  /// closed.
  package mutating func nextPart() -> Int? {
    if case .closed = state { return nil }
    part += 1
    return part
  }

  /// The incident is closed.
  ///
  /// A time in which the camera may have sent, and nothing came, is missing though nobody came back after it. One that
  /// stopped of its own accord sent nothing more: there is no gap behind its last packet.
  package mutating func closed(at time: UTCTime) -> CloseAction {
    let missing: Gap?
    switch state {
    case .closed: return .none
    case .paused(_, .some(let cause)) where cause != .stoppedBySender && time > lastPacket:
      missing = gap(to: time, cause)
    case .paused, .receiving: missing = nil
    }
    state = .closed(lastEpoch: epoch)
    return .close(after: missing)
  }
}
