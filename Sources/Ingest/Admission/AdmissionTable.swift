internal import Crypto
package import Doctrine
package import SRT
package import Seams
internal import Synchronization

/// Clocks, injected: the ingest never reads one elsewhere.
package struct IngestClocks: Sendable {
  package var wall: @Sendable () -> UTCTime
  package var monotonic: @Sendable () -> MonotonicTime

  package init(wall: @escaping @Sendable () -> UTCTime, monotonic: @escaping @Sendable () -> MonotonicTime) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// A call that was let through to the key exchange and is not yet accepted.
struct PendingAttempt: Sendable {
  var identifier: StreamIdentifier
  /// Address and port, and the network of the address.
  var peer: String
  var network: String
}

extension TransportDelivery {
  /// - Parameter window_packets: what the sender may have under way in complete delivery.
  init(_ delivery: Delivery, window_packets: Int) {
    switch delivery {
    case .complete: self = .complete(window_packets: window_packets)
    case .timely(let window_ms):
      self = .timely(
        window_ms: Int32(clamping: min(max(Delivery.windows_ms.lowerBound, window_ms), Delivery.windows_ms.upperBound)))
    }
  }
}

extension CameraAdmission {
  /// Whether a wearer's activation opens an incident now: the doctrine's answer.
  func opening(_ context: CameraStanding, at now: UTCTime) -> Decision {
    let standing: CameraStanding =
      !enabled ? .disabled : issuedTo == nil ? .notIssued : context
    let object = ActObject(service: service, regime: Regime.named(regime) ?? Regime.all[0], camera: standing)
    return may(Actor(.device), .openIncident, object, at: now)
  }
}

/// Who may stream, in memory: what libsrt's thread looks up during a handshake.
///
/// Before the passphrase is proven every refusal looks the same from outside: a caller that shall fail is
/// given a passphrase nobody knows and fails the key exchange like any impostor. The true reason is written
/// down inside.
// STO-6, MET-2, LIVE-9.
package final class AdmissionTable: Sendable {
  /// No acceptance within this time means the key exchange failed.
  static let proof_s: Int64 = 3
  /// Calls of enrolled cameras that wait for their proof: what the gate lets through in ``proof_s`` is about half of it.
  static let maximumPending = 4096

  private struct State {
    var cameras: [CameraID: CameraAdmission] = [:]
    /// Grants that were used, as long as the keeper may name them.
    var usedGrants: [CameraID: Set<IncidentID>] = [:]
    /// Incidents that have a file since before the start: as many as there were files.
    var usedBefore: Set<IncidentID> = []
    var pending = TimedMap<Int32, PendingAttempt>(lifetime_s: proof_s, capacity: maximumPending)
    var gate = CallGate()
    var refusals = RefusalLedger()
  }

  private let state = Mutex(State())
  private let clocks: IngestClocks
  private let window_packets: Int

  /// - Parameter window_packets: what a sender in complete delivery may have under way.
  package init(clocks: IngestClocks, window_packets: Int = SRTListener.usualFlightWindow_packets) {
    self.clocks = clocks
    self.window_packets = window_packets
  }

  package func set(_ admission: CameraAdmission) {
    state.withLock { state in
      state.cameras[admission.camera] = admission
      // The keeper makes new names for its grants and never gives one again that it once left out.
      state.usedGrants[admission.camera]?.formIntersection(admission.grants.map(\.incident))
    }
  }

  package func admission(of camera: CameraID) -> CameraAdmission? { state.withLock { $0.cameras[camera] } }

  /// Incidents whose grants must not be used (again): a keeper that was not told of them may still name them, whenever.
  func markUsed(_ incidents: Set<IncidentID>) { state.withLock { $0.usedBefore.formUnion(incidents) } }

  /// Grants that are remembered as used, without those from before the start.
  var usedGrants: Int { state.withLock { $0.usedGrants.values.reduce(0) { $0 + $1.count } } }

  /// Takes the camera's next unused grant.
  func takeGrant(of camera: CameraID) -> IncidentGrant? {
    state.withLock { state in
      guard let admission = state.cameras[camera] else { return nil }
      let used = state.usedGrants[camera, default: []]
      guard
        let grant = admission.grants.first(where: {
          !used.contains($0.incident) && !state.usedBefore.contains($0.incident)
        })
      else { return nil }
      state.usedGrants[camera, default: []].insert(grant.incident)
      return grant
    }
  }

  /// The listen callback: looks up, notes the attempt, answers. No I/O.
  package func decide(_ request: AdmissionRequest) -> AdmissionAnswer {
    let now = clocks.monotonic()
    let wall = clocks.wall()
    return state.withLock { state in
      Self.giveUp(&state, now, wall)
      let identifier = Result { () throws(StreamIdentifier.Malformed) in try StreamIdentifier(request.streamID) }
      let name = (try? identifier.get())?.camera
      let admission = name.flatMap { state.cameras[$0] }
      func refused(_ code: String, _ sentence: String) {
        state.refusals.note(
          RefusalEntry(
            at: wall, camera: admission?.camera.rawValue, service: admission?.service, peer: request.peer.description,
            code: code, sentence: sentence, proven: false), network: request.peer.network, at: now)
      }
      // Before anything is said that depends on the name.
      guard state.gate.admits(.init(network: request.peer.network, name: name?.rawValue ?? ""), at: now) else {
        refused("too-many-calls", Self.tooManyCalls)
        return .refuse
      }
      switch identifier {
      case .failure(let malformed): refused("stream-id", "Appel refusé : \(malformed.sentence).")
      case .success(let identifier):
        if let admission {
          state.pending.set(
            PendingAttempt(
              identifier: identifier, peer: request.peer.description, network: request.peer.network),
            for: request.socket, at: now)
          return .exchangeKeys(
            passphrase: admission.passphrase,
            TransportDelivery(admission.reception.delivery, window_packets: window_packets))
        }
        refused(
          "unknown-camera",
          "Appel refusé : caméra inconnue. Seules les caméras du service, enrôlées, sont reçues ; le nom donné n'est pas conservé."
        )
      }
      return .exchangeKeys(passphrase: Self.unknowablePassphrase(), .complete(window_packets: window_packets))
    }
  }

  private static let tooManyCalls =
    "Appels refusés : trop d'appels sans preuve, de ce réseau (\(CallGate.familiarNetwork.perSecond) par seconde où des caméras sont connues, \(CallGate.strangeNetwork.perSecond) ailleurs, la moitié pour un même nom) ou de tous ensemble. Cherchez l'appareil dont la phrase secrète est fausse ; la caméra rappelle et passe."

  /// The attempt behind an accepted connection: its passphrase is proven.
  func takeProven(_ socket: Int32) -> PendingAttempt? {
    let now = clocks.monotonic()
    return state.withLock { state in
      guard let attempt = state.pending.remove(socket) else { return nil }
      state.gate.proved(.init(network: attempt.network, name: attempt.identifier.camera.rawValue), at: now)
      return attempt
    }
  }

  /// A camera that proved its passphrase and is refused, or ended, all the same.
  func note(_ refusal: RefusalEntry) {
    let now = clocks.monotonic()
    state.withLock { $0.refusals.note(refusal, network: "", at: now) }
  }

  /// Refusals to be told now, attempts that were never proven among them; what is not taken goes on gathering.
  func takeRefusals(limit: Int = .max) -> [RefusalEntry] {
    let now = clocks.monotonic()
    let wall = clocks.wall()
    return state.withLock { state in
      Self.giveUp(&state, now, wall)
      return state.refusals.takeDue(at: now, limit: limit)
    }
  }

  /// Attempts that were not proven in time.
  private static func giveUp(_ state: inout State, _ now: MonotonicTime, _ wall: UTCTime) {
    while let (_, attempt) = state.pending.takeExpired(at: now) {
      let camera = attempt.identifier.camera
      state.refusals.note(
        RefusalEntry(
          at: wall, camera: camera.rawValue, service: state.cameras[camera]?.service, peer: attempt.peer,
          code: "wrong-passphrase",
          sentence:
            "Appel refusé : phrase secrète fausse, ou absente (appel en clair), ou appel abandonné. Remettez à la caméra celle de son enrôlement.",
          proven: false), network: attempt.network, at: now)
    }
  }

  private static func unknowablePassphrase() -> String {
    SymmetricKey(size: .bits256).withUnsafeBytes { bytes in
      bytes.hexadecimal
    }
  }
}
