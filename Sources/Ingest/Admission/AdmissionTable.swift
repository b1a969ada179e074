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
  /// Address and port, and the address alone.
  var peer: String
  var host: String
  var at: MonotonicTime
}

extension TransportDelivery {
  init(_ delivery: Delivery) {
    switch delivery {
    case .complete: self = .complete
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
  /// Calls in ten seconds from one address: a whole fleet may share one behind its operator's gateway. Cameras that proved
  /// themselves from there lately are not held up by it.
  static let callsPerAddress = 1000
  /// Calls in ten seconds for one camera name from one address: nobody elsewhere can use a camera's calls up.
  static let callsPerCamera = 20
  /// No acceptance within this time means the key exchange failed.
  static let proof_s: Int64 = 3
  static let maximumPending = 4096
  /// Lines of refusals between two looks, a quarter of a second; a few codes more without a name.
  static let maximumRefusals = 512
  /// Key exchanges under way that have proved nothing yet, in all and from one network: each holds the library's buffers, up to
  /// half a megabyte, until its proof or for three seconds. A fleet of 2,000 that comes back within a minute through one
  /// operator's gateway has some tens at a time.
  static let maximumUnproven = 1024
  static let maximumUnprovenPerNetwork = 192
  /// How long a proof from an address counts for the next call from there.
  static let provenFor_s: Int64 = 24 * 3600
  /// Cameras and addresses remembered as proven: a fleet's, from several addresses each.
  static let maximumProven = 16_384

  private struct State {
    var cameras: [CameraID: CameraAdmission] = [:]
    var usedGrants: Set<IncidentID> = []
    var pending: [Int32: PendingAttempt] = [:]
    /// Key exchanges under way, whoever asks: from which network and since when.
    var exchanges: [Int32: (network: String, since: MonotonicTime)] = [:]
    var exchangesByNetwork: [String: Int] = [:]
    var byAddress = RateLimiter()
    var byCamera = RateLimiter()
    var refusals: [RefusalEntry] = []
    /// When a camera last proved its passphrase from an address.
    var proven: [Caller: MonotonicTime] = [:]
  }

  private struct Caller: Hashable {
    var camera: CameraID
    var host: String
  }

  private let state = Mutex(State())
  private let clocks: IngestClocks

  package init(clocks: IngestClocks) { self.clocks = clocks }

  package func set(_ admission: CameraAdmission) {
    state.withLock { $0.cameras[admission.camera] = admission }
  }

  package func admission(of camera: CameraID) -> CameraAdmission? { state.withLock { $0.cameras[camera] } }

  /// Incidents whose grants must not be used (again).
  func markUsed(_ incidents: Set<IncidentID>) { state.withLock { $0.usedGrants.formUnion(incidents) } }

  /// Takes the camera's next unused grant.
  func takeGrant(of camera: CameraID) -> IncidentGrant? {
    state.withLock { state in
      guard let admission = state.cameras[camera] else { return nil }
      guard let grant = admission.grants.first(where: { !state.usedGrants.contains($0.incident) }) else {
        return nil
      }
      state.usedGrants.insert(grant.incident)
      return grant
    }
  }

  /// The listen callback: looks up, notes the attempt, answers. No I/O.
  package func decide(_ request: AdmissionRequest) -> AdmissionAnswer {
    let now = clocks.monotonic()
    let wall = clocks.wall()
    return state.withLock { state in
      let identifier = Result { () throws(StreamIdentifier.Malformed) in try StreamIdentifier(request.streamID) }
      guard Self.mayCall(request, try? identifier.get(), &state, at: now) else {
        Self.note(
          &state,
          RefusalEntry(
            at: wall, camera: nil, service: nil, peer: request.peer.description, code: "too-many-calls",
            sentence:
              "Appels refusés : plus de \(Self.callsPerAddress) appels en \(RateLimiter.window_s) s depuis \(request.peer.host), ou trop d'appels sans preuve en même temps. Les caméras déjà connues à cette adresse passent.",
            proven: false))
        return .refuse
      }
      switch identifier {
      case .failure(let malformed):
        Self.note(
          &state,
          RefusalEntry(
            at: wall, camera: nil, service: nil, peer: request.peer.description, code: "stream-id",
            sentence: "Appel refusé : \(malformed.sentence).", proven: false))
        Self.begin(request, &state, at: now)
        return .exchangeKeys(passphrase: Self.unknowablePassphrase(), .complete)
      case .success(let identifier):
        let answer = Self.decide(request, identifier, &state, now, wall)
        if case .exchangeKeys = answer { Self.begin(request, &state, at: now) }
        return answer
      }
    }
  }

  private static func decide(
    _ request: AdmissionRequest, _ identifier: StreamIdentifier, _ state: inout State, _ now: MonotonicTime,
    _ wall: UTCTime
  ) -> AdmissionAnswer {
    let camera = identifier.camera
    guard state.byCamera.allows("\(camera)|\(request.peer.host)", limit: callsPerCamera, at: now) else {
      note(
        &state,
        RefusalEntry(
          at: wall, camera: camera.rawValue, service: state.cameras[camera]?.service,
          peer: request.peer.description, code: "too-many-calls",
          sentence:
            "Appel refusé : plus de \(callsPerCamera) appels en \(RateLimiter.window_s) s pour cette caméra. Vérifiez sa phrase secrète.",
          proven: false))
      return .refuse
    }
    guard let admission = state.cameras[camera] else {
      note(
        &state,
        RefusalEntry(
          at: wall, camera: camera.rawValue, service: nil, peer: request.peer.description,
          code: "unknown-camera",
          sentence: "Appel refusé : caméra inconnue. Seules les caméras du service, enrôlées, sont reçues.",
          proven: false))
      return .exchangeKeys(passphrase: unknowablePassphrase(), .complete)
    }
    if state.pending.count < maximumPending {
      state.pending[request.socket] = PendingAttempt(
        identifier: identifier, peer: request.peer.description, host: request.peer.host, at: now)
    }
    return .exchangeKeys(passphrase: admission.passphrase, TransportDelivery(admission.reception.delivery))
  }

  /// The bounds of an address and of all calls under way, which do not hold for a camera that proved itself from there
  /// lately: a storm of wrong passphrases from behind an operator's gateway keeps nobody out who was in.
  private static func mayCall(
    _ request: AdmissionRequest, _ identifier: StreamIdentifier?, _ state: inout State, at now: MonotonicTime
  ) -> Bool {
    if let identifier,
      let proven = state.proven[Caller(camera: identifier.camera, host: request.peer.host)],
      now.since(proven) < provenFor_s * 1_000_000
    {
      return true
    }
    forgetExchanges(&state, at: now)
    guard state.exchanges.count < maximumUnproven,
      state.exchangesByNetwork[request.peer.network, default: 0] < maximumUnprovenPerNetwork
    else { return false }
    return state.byAddress.allows(request.peer.network, limit: callsPerAddress, at: now)
  }

  private static func begin(_ request: AdmissionRequest, _ state: inout State, at now: MonotonicTime) {
    endExchange(request.socket, &state)
    state.exchanges[request.socket] = (request.peer.network, now)
    state.exchangesByNetwork[request.peer.network, default: 0] += 1
  }

  private static func endExchange(_ socket: Int32, _ state: inout State) {
    guard let ended = state.exchanges.removeValue(forKey: socket) else { return }
    let left = state.exchangesByNetwork[ended.network, default: 1] - 1
    state.exchangesByNetwork[ended.network] = left > 0 ? left : nil
  }

  /// Exchanges that were not proven in time. Looked for where one more would be too many.
  private static func forgetExchanges(_ state: inout State, at now: MonotonicTime) {
    guard state.exchanges.count >= maximumUnprovenPerNetwork else { return }
    for (socket, exchange) in state.exchanges where now.since(exchange.since) > proof_s * 1_000_000 {
      endExchange(socket, &state)
    }
  }

  /// The attempt behind an accepted connection: its passphrase is proven.
  func takeProven(_ socket: Int32) -> PendingAttempt? {
    let now = clocks.monotonic()
    return state.withLock { state in
      Self.endExchange(socket, &state)
      guard let attempt = state.pending.removeValue(forKey: socket) else { return nil }
      let caller = Caller(camera: attempt.identifier.camera, host: attempt.host)
      if state.proven[caller] == nil, state.proven.count >= Self.maximumProven { state.proven.removeAll() }
      state.proven[caller] = now
      return attempt
    }
  }

  /// Refusals noted since the last call, and attempts that were never proven.
  func drainRefusals() -> [RefusalEntry] {
    let now = clocks.monotonic()
    let wall = clocks.wall()
    return state.withLock { state in
      for (socket, attempt) in state.pending where now.since(attempt.at) > Self.proof_s * 1_000_000 {
        state.pending[socket] = nil
        let camera = attempt.identifier.camera
        Self.note(
          &state,
          RefusalEntry(
            at: wall, camera: camera.rawValue, service: state.cameras[camera]?.service, peer: attempt.peer,
            code: "wrong-passphrase",
            sentence:
              "Appel refusé : phrase secrète fausse, ou absente (appel en clair), ou appel abandonné. Remettez à la caméra celle de son enrôlement.",
            proven: false))
      }
      defer { state.refusals.removeAll() }
      return state.refusals
    }
  }

  /// Like refusals become one line with a count, so that a flood stays small: past ``maximumRefusals`` lines without the
  /// camera's name.
  private static func note(_ state: inout State, _ refusal: RefusalEntry) {
    var refusal = refusal
    if state.refusals.count >= maximumRefusals,
      !state.refusals.contains(where: { $0.code == refusal.code && $0.camera == refusal.camera })
    {
      refusal.camera = nil
      refusal.service = nil
    }
    if let index = state.refusals.lastIndex(where: {
      $0.code == refusal.code && $0.camera == refusal.camera
    }) {
      state.refusals[index].count += 1
    } else {
      state.refusals.append(refusal)
    }
  }

  private static func unknowablePassphrase() -> String {
    SymmetricKey(size: .bits256).withUnsafeBytes { bytes in
      bytes.hexadecimal
    }
  }
}
