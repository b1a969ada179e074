/// How what a camera sends is delivered to the recorder.
package enum Delivery: Equatable, Sendable, Codable {
  /// Everything the sender does not give up, however late: nothing is dropped, an undisturbed packet waits for nothing.
  case complete
  /// By the transport's own clock (TSBPD): what comes later than the window is dropped. For links that are too small for
  /// what the camera sends.
  case timely(window_ms: Int)

  /// Windows that can be set.
  package static let windows_ms = 20...8000

  package var name: String {
    switch self {
    case .complete: "complete"
    case .timely: "timely"
    }
  }

  package var window_ms: Int? {
    switch self {
    case .complete: nil
    case .timely(let window_ms): window_ms
    }
  }
}

/// How a camera is to be received: its own settings, and its service's.
package struct ReceptionSettings: Equatable, Sendable, Codable {
  /// A camera that sends faster than this, after a grace, is refused: 20 Mbit/s is four times what body cameras send.
  package static let maximumRate_kbps = 20_000
  /// How long the relay waits for a packet that is missing before it goes on without it.
  package static let relayBudget_ms = 400
  /// Bounds that can be set: below 100 kbit/s there is no picture, above 200 Mbit/s no body camera.
  package static let rates_kbps = 100...200_000
  /// How long the recorder waits for a missing packet before it writes what is behind it; what comes later fills the hole.
  package static let holeLimit_ms = 500
  /// Budgets that can be set: what the recorder waits for no longer, the relay does not wait for either.
  package static let relayBudgets_ms = 0...holeLimit_ms
  /// Said where another is asked for.
  package static let relayBudgetSentence =
    "L'attente du direct est de \(relayBudgets_ms.lowerBound) à \(relayBudgets_ms.upperBound) ms : ce que l'enregistrement n'attend plus, le direct ne l'attend pas non plus. (The relay waits for 0 to \(holeLimit_ms) ms, as the recorder does.)"

  package var delivery: Delivery
  package var maximumRate_kbps: Int
  package var relayBudget_ms: Int

  package init(
    delivery: Delivery = .complete, maximumRate_kbps: Int = ReceptionSettings.maximumRate_kbps,
    relayBudget_ms: Int = ReceptionSettings.relayBudget_ms
  ) {
    self.delivery = delivery
    self.maximumRate_kbps = maximumRate_kbps
    self.relayBudget_ms = relayBudget_ms
  }
}

/// What a camera told of its own clock: how far it was ahead of the server's.
// MET-3.
package struct CameraClock: Equatable, Sendable, Codable {
  /// A recording whose camera's clock is off by more is flagged.
  package static let bound_ms: Int64 = 2000
  /// What was told so long before a recording began is still its clock's: a shift.
  package static let standing_s: Int64 = 12 * 3600

  /// Negative where it is behind. As told, so within the time the telling took.
  package var offset_ms: Int64
  package var toldAt: UTCTime

  package init(offset_ms: Int64, toldAt: UTCTime) {
    self.offset_ms = offset_ms
    self.toldAt = toldAt
  }

  package var isOff: Bool { offset_ms.magnitude > UInt64(Self.bound_ms) }

  /// Whether it says something of a recording that begins at a time.
  package func stands(at time: UTCTime) -> Bool {
    toldAt <= time && time < toldAt.adding(seconds: Self.standing_s)
  }
}

/// How the link of one camera did between two instants, as the ingest saw it.
///
/// Counts are of this time only; figures that are states (round trip, lag, drift) are the last known. The last report of a
/// connection has what the transport said last, and of packets at least those that were handed over.
package struct LinkHealth: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var recording: RecordingID
  package var from: UTCTime
  package var to: UTCTime
  /// How much of that time was measured: what is added up may have holes.
  package var measured_ms: Int64
  /// Connections that began in this time.
  package var connections: Int
  package var packets: Int64
  package var bytes: Int64
  /// Packets that the transport noticed missing, whether or not they came later.
  package var lost: Int64
  /// Packets that came by retransmission.
  package var retransmitted: Int64
  /// Packets that came twice, or too late for any use.
  package var duplicates: Int64
  /// Packets that never came.
  package var missing: Int64
  /// Nil where the transport was never asked before the connection ended.
  package var roundTrip_ms: Double?
  /// The latency that the sender was set to.
  package var senderLatency_ms: Int
  /// With the window that was in force: the one that was set or the sender's latency, whichever is longer.
  package var delivery: Delivery
  /// How far the arrival lags behind the stream's own clock, beyond the best of this connection; nil without a program clock.
  package var lag_ms: Int64?
  /// How fast the stream's own clock runs against the server's, in millionths; nil while too little was seen.
  package var drift_ppm: Double?
  /// Jumps of the program clock that no lost packet explains: the encoder restarts its time stamps.
  package var clockRestarts: Int64
  /// Packets whose continuity counter jumps though nothing was lost: the camera's encoder left something out.
  package var discontinuities: Int64
  /// Messages that are not whole transport stream packets.
  package var foreign: Int64
  /// How far the camera's own clock was ahead of the server's, as it had told; nil where nothing stands (MET-3). The keeper's:
  /// the ingest does not know it.
  package var clockOffset_ms: Int64?

  package init(camera: CameraID, recording: RecordingID, from: UTCTime, to: UTCTime, delivery: Delivery) {
    self.camera = camera
    self.recording = recording
    self.from = from
    self.to = to
    self.delivery = delivery
    measured_ms = max(0, (to.microseconds &- from.microseconds) / 1000)
    connections = 0
    packets = 0
    bytes = 0
    lost = 0
    retransmitted = 0
    duplicates = 0
    missing = 0
    senderLatency_ms = 0
    clockRestarts = 0
    discontinuities = 0
    foreign = 0
  }
}
