/// Why an incident ended.
package enum ClosingCause: String, Sendable, Codable, CaseIterable {
  /// The camera stopped sending of its own accord and did not come back in time.
  case endedByWearer = "ended-by-wearer"
  /// The wearer said so through the device API.
  case closedByWearer = "closed-by-wearer"
  case closedByCommandRoom = "closed-by-command-room"
  case closedByAdministrator = "closed-by-administrator"
  /// The link was lost and the camera did not come back in time.
  case linkLost = "link-lost"
  /// The camera was returned or disabled.
  case cameraWithdrawn = "camera-withdrawn"
  /// The server found it open after a stop, past its time.
  case serverRestart = "server-restart"
  /// Every disk failed under it: nothing more could be written.
  case storageFailed = "storage-failed"

  package var sentence: String {
    switch self {
    case .endedByWearer: "terminé par le porteur (arrêt de l'envoi)"
    case .closedByWearer: "clos par le porteur"
    case .closedByCommandRoom: "clos par la salle de commandement"
    case .closedByAdministrator: "clos par l'administrateur"
    case .linkLost: "liaison perdue, la caméra n'est pas revenue"
    case .cameraWithdrawn: "caméra rendue ou désactivée"
    case .storageFailed: "plus aucun disque n'enregistre"
    case .serverRestart: "délai dépassé pendant un arrêt du serveur"
    }
  }
}

/// The life of one camera's incidents: what a connection, its end and the passing of time mean in law.
///
/// One machine a camera. Pure: times come in, one action comes out. The incident outlives the socket, and a
/// close stays closed: a camera that merely reconnects after a close does not reopen.
// REC-1, REC-4, REC-5, CSI L241-1 al. 1-2 ("L'enregistrement n'est pas permanent").
package struct IncidentMachine: ~Copyable, Sendable {
  package enum State: Equatable, Sendable {
    /// No incident; a stream would open one.
    case idle
    /// The stream runs and is recorded. Becomes `awaiting` or `closed`.
    case active(IncidentID, connections: Int)
    /// The stream is gone and may come back until the deadline. Becomes `active` or `closed`.
    case awaiting(IncidentID, until: MonotonicTime, cause: ClosingCause)
    /// Closed. A stream with another activation, or after a quiet time without any attempt, opens a new one.
    case closed(activation: String?, lastAttempt: MonotonicTime)
  }

  package enum StreamDecision: Equatable, Sendable {
    case open
    case rejoin(IncidentID)
    case refuseClosed
  }

  /// Stopped by the sender: a camera that changes networks is back by then.
  package static let wearerStop_s: Int64 = 15
  /// Lost link: a cellar, a lift, a dead zone.
  package static let linkLoss_s: Int64 = 120
  /// After a close, a camera that keeps trying with the same activation is quiet for this long first.
  package static let quiet_s: Int64 = 10
  /// A connection whose last packet is older than this when it ends has lost its link: a sender that lingers is gone a
  /// second or two after its last packet, a lost link is given up by the transport after five.
  package static let freshPacket_us: Int64 = 3_000_000
  /// An incident open longer asks for confirmation (REC-4).
  package static let confirmationBound_s: Int64 = 4 * 3600

  package private(set) var state: State
  private var activation: String?

  package init() {
    state = .idle
    activation = nil
  }

  /// Takes up an incident that was active when the server stopped.
  package init(resuming incident: IncidentID, activation: String?, at now: MonotonicTime) {
    state = .awaiting(incident, until: now.adding(seconds: Self.linkLoss_s), cause: .linkLost)
    self.activation = activation
  }

  package var incident: IncidentID? {
    switch state {
    case .active(let id, _), .awaiting(let id, _, _): id
    case .idle, .closed: nil
    }
  }

  /// A camera proved its passphrase and wants to stream. `open` must be answered by ``incidentOpened(_:activation:)``.
  package mutating func streamArrived(activation: String?, at now: MonotonicTime) -> StreamDecision {
    switch state {
    case .idle:
      return .open
    case .active(let id, let connections):
      state = .active(id, connections: connections + 1)
      return .rejoin(id)
    case .awaiting(let id, _, _):
      state = .active(id, connections: 1)
      return .rejoin(id)
    case .closed(let last, let lastAttempt):
      if let activation, activation != last { return .open }
      if now.since(lastAttempt) >= Self.quiet_s * 1_000_000 { return .open }
      state = .closed(activation: last, lastAttempt: now)
      return .refuseClosed
    }
  }

  /// The answer to `open`.
  package mutating func incidentOpened(_ incident: IncidentID, activation: String?) {
    state = .active(incident, connections: 1)
    self.activation = activation
  }

  /// A connection of the incident ended; `lastPacketAge_us` tells a stop from a lost link.
  package mutating func streamEnded(lastPacketAge_us: Int64, at now: MonotonicTime) {
    guard case .active(let id, let connections) = state else { return }
    guard connections <= 1 else {
      state = .active(id, connections: connections - 1)
      return
    }
    let stopped = lastPacketAge_us < Self.freshPacket_us
    state = .awaiting(
      id, until: now.adding(seconds: stopped ? Self.wearerStop_s : Self.linkLoss_s),
      cause: stopped ? .endedByWearer : .linkLost)
  }

  /// Time passed; returns the incident to close and why, if its time is over.
  package mutating func timePassed(at now: MonotonicTime) -> (IncidentID, ClosingCause)? {
    guard case .awaiting(let id, let until, let cause) = state, now >= until else { return nil }
    state = .closed(activation: activation, lastAttempt: now.adding(seconds: -Self.quiet_s))
    return (id, cause)
  }

  /// Somebody entitled closed it. A no-op where the incident is not the one that is open.
  package mutating func closeRequested(_ incident: IncidentID, at now: MonotonicTime) -> Bool {
    guard self.incident == incident else { return false }
    state = .closed(activation: activation, lastAttempt: now)
    return true
  }
}
