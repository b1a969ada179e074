import Doctrine
import Footage
import Logging
import SRT
import Seams
import Vault

extension ShardCore {
  /// A second device takes over only from one that has been silent this long.
  static let takeover_us: Int64 = 1_000_000

  /// A connection of this shard's listener: it goes to the shard that owns its camera.
  func accepted(_ socket: AcceptedSocket) {
    guard let attempt = common.table.takeProven(socket.socket.id) else { return }
    let owner = Shard.owner(of: attempt.identifier.camera, among: mailboxes.count)
    if owner == number {
      admit(socket, attempt)
    } else if !mailboxes[owner].hand(over: socket, attempt),
      let admission = common.table.admission(of: attempt.identifier.camera)
    {
      refuse(attempt, admission, "busy", "Appel refusé : le serveur est débordé. La caméra rappelle et passe.")
    }
  }

  func admit(_ socket: AcceptedSocket, _ attempt: PendingAttempt) {
    let now = common.clocks.monotonic()
    let camera = attempt.identifier.camera
    if holds(socket, attempt, at: now) { return }
    guard let admission = common.table.admission(of: camera) else { return }
    if attempt.identifier.isLinkTest, admission.enabled {
      test(socket, attempt, admission, at: now)
      return
    }
    if case .refused(let refusal) = admission.opening(attempt.identifier.context, at: common.clocks.wall()) {
      refuse(attempt, admission, refusal.code, refusal.sentence + " [\(refusal.article)]", refusal.article)
      return
    }
    guard let agent = admission.issuedTo else { return }
    let state = cameras[camera] ?? CameraState(machine: IncidentMachine())
    cameras[camera] = state
    if let other = state.connection {
      // While the disk holds reading back, silence says nothing about the first device; a socket that is gone does.
      let isGone = other.ended || other.endedSince != nil || !other.accepted.socket.isConnected()
      guard isGone || hasRoom && now.since(max(other.lastPacket, roomSince)) >= Self.takeover_us else {
        refuse(
          attempt, admission, "two-devices",
          "Deux appareils sous une identité : la première connexion est active. Changez la phrase secrète de cette caméra."
        )
        return
      }
      if isGone, other.lastWindow_us > 0, !other.ended {
        // What waits for its time comes first: the new connection is kept by the transport until the next turn.
        return mailboxes[number].post(.accepted(socket, attempt))
      }
      end(other, at: now)
    }
    switch state.machine.streamArrived(activation: attempt.identifier.activation, at: now) {
    case .refuseClosed:
      refuse(
        attempt, admission, "incident-closed",
        "Incident clos : la caméra continue d'appeler. Un nouvel incident demande une nouvelle activation, ou \(IncidentMachine.quiet_s) s sans appel."
      )
    case .open:
      guard open(state, attempt, admission, agent: agent) else {
        refuse(
          attempt, admission, "no-key",
          "Aucune clé d'avance pour cette caméra : le service « keeper » ne répond pas. Réessayez.")
        return
      }
      join(state, socket, attempt, admission.reception, at: now)
    case .rejoin:
      join(state, socket, attempt, admission.reception, at: now)
    }
  }

  /// Measures a link for ``linkTest_us`` at the most: one test of a camera at a time, under its bound like a recording.
  private func test(
    _ socket: AcceptedSocket, _ attempt: PendingAttempt, _ admission: CameraAdmission, at now: MonotonicTime
  ) {
    let camera = admission.camera
    let state = linkTests[camera] ?? CameraState(machine: IncidentMachine())
    linkTests[camera] = state
    if let other = state.connection {
      guard other.ended || other.endedSince != nil || !other.accepted.socket.isConnected() else {
        refuse(
          attempt, admission, "link-test-under-way",
          "Essai de liaison refusé : un autre de cette caméra est en cours, de \(Self.linkTest_us / 1_000_000) s au plus."
        )
        return
      }
      end(other, at: now)
    }
    let connection = Connection(
      socket, state, camera, peer: attempt.peer, at: now, isLinkTest: true, epoch: 0, reception: admission.reception,
      wall: common.clocks.wall())
    state.connection = connection
    state.limit(to: admission.reception.maximumRate_kbps, at: now)
    add(connection)
  }

  private func join(
    _ state: CameraState, _ socket: AcceptedSocket, _ attempt: PendingAttempt, _ reception: ReceptionSettings,
    at now: MonotonicTime
  ) {
    guard let recording = state.recording else { return }
    let wall = common.clocks.wall()
    guard case .begin(let epoch, let gap) = recording.machine.connected(at: wall) else { return }
    // The time that is missing is written down before what comes next (INT-6).
    if let gap { write(gap, epoch: epoch, in: recording) }
    if wall >= recording.current.dayEnd { turnDay(state, recording) }
    submit(
      .append(
        part: recording.current.part.rawValue,
        ChunkContent(
          kind: .epoch, epoch: epoch, firstArrival_us: wall.microseconds,
          lastArrival_us: wall.microseconds,
          plaintext: Array("{\"peer\":\"\(attempt.peer)\",\"started_us\":\(wall.microseconds)}".utf8))))
    let connection = Connection(
      socket, state, attempt.identifier.camera, peer: attempt.peer, at: now, isLinkTest: false, epoch: epoch,
      reception: reception, wall: wall)
    connection.intake.assembler.tapsLive = recording.isLive
    state.connection = connection
    state.limit(to: reception.maximumRate_kbps, at: now)
    common.streaming.joined(recording.recording)
    common.spool.append(
      .streamJoined(
        recording.incident, recording.recording, epoch: Int64(epoch), at: wall, peer: attempt.peer,
        said: StreamClaims(threat: attempt.identifier.threat, reference: attempt.identifier.reference)))
    add(connection)
  }

  private func add(_ connection: Connection) {
    connections.append(connection)
    logger.info("stream opened", metadata: ["connection": "\(connection.id)"])
  }

  func refuse(
    _ attempt: PendingAttempt, _ admission: CameraAdmission, _ code: String, _ reason: String,
    _ article: String? = nil
  ) {
    common.table.note(
      RefusalEntry(
        at: common.clocks.wall(), camera: admission.camera.rawValue, service: admission.service,
        peer: attempt.peer, code: code, sentence: reason, article: article, proven: true))
  }

  /// A camera that sends more than it may, for longer than the grace: its connection ends, the incident goes on.
  func tooFast(_ connection: Connection, at now: MonotonicTime) {
    connection.ended = true
    connection.endCause = .tooFast
    let service = connection.state.recording?.service ?? common.table.admission(of: connection.camera)?.service
    guard connection.isLinkTest || connection.state.recording != nil else { return }
    common.table.note(
      RefusalEntry(
        at: common.clocks.wall(), camera: connection.camera.rawValue, service: service,
        peer: connection.peer, code: "too-fast",
        sentence:
          "Connexion terminée : la caméra envoie plus vite que son débit maximal, depuis plus de \(RateBound.grace_s) s. Réduisez le débit de son encodeur, ou relevez sa limite (plastron admin reception --rate).",
        proven: true))
  }

  /// A connection is over: what it delivered is handed over, then the incident is told.
  ///
  /// - Parameter cause: why this end ended it; nil where the other did.
  func end(_ connection: Connection, at now: MonotonicTime, cause: GapCause? = nil) {
    guard let place = connections.firstIndex(where: { $0 === connection }) else { return }
    connections.remove(at: place)
    let figures = connection.accepted.socket.statistics()
    connection.meter.looked(figures)
    guard !connection.isLinkTest else {
      connection.state.connection = nil
      sayClosed(connection, "link-test")
      tellLinkTest(connection, at: now)
      return
    }
    let state = connection.state
    if state.connection === connection { state.connection = nil }
    // INT-6: what came while its buffer was full is missing since then, whoever ended it and whenever the rest is read.
    if let figures { connection.stall.came(received: figures.packetsReceived) }
    let cause = cause ?? (connection.stall.fullSince == nil ? nil : .notDeliverable)
    if cause != .tooFast { readRest(of: connection, at: now) }
    connection.intake.finish(at: now)
    handOver(connection, at: now)
    guard let recording = state.recording else {
      sayClosed(connection, "incident-closed")
      return
    }
    recording.damage += connection.intake.assembler.inspector.foreign
    writeGaps(of: connection, in: recording, now: now, isOver: true)
    tellHealth([health(of: connection, in: recording, now: now)])
    let age = now.since(connection.lastPacket)
    let why = cause ?? (age < IncidentMachine.freshPacket_us ? .stoppedBySender : .linkLost)
    sayClosed(connection, why.rawValue)
    recording.machine.disconnected(why, since: connection.stall.fullSince)
    // A camera that was sent away did not stop of its own accord.
    let isStop = cause == nil && age < IncidentMachine.freshPacket_us
    state.machine.streamEnded(lastPacketAge_us: isStop ? age : IncidentMachine.freshPacket_us, at: now)
    common.streaming.left(recording.recording)
    common.spool.append(
      .streamLeft(
        recording.incident, recording.recording, epoch: Int64(connection.epoch), at: common.clocks.wall()))
  }

  private func sayClosed(_ connection: Connection, _ cause: String) {
    logger.info(
      "stream closed",
      metadata: [
        "connection": "\(connection.id)", "cause": "\(cause)", "missing": "\(connection.intake.reorderer.missing)",
        "duplicates": "\(connection.intake.reorderer.duplicates)",
        "foreign": "\(connection.intake.assembler.inspector.foreign)",
        "relay-skips": "\(connection.intake.reorderer.relaySkips)",
        "discontinuities": "\(connection.intake.assembler.inspector.discontinuities)",
      ])
  }

  private func tellLinkTest(_ connection: Connection, at now: MonotonicTime) {
    let figures = connection.meter.figures
    common.spool.append(
      .linkTested(
        LinkTestResult(
          camera: connection.camera, at: common.clocks.wall(), duration_ms: now.since(connection.acceptedAt) / 1000,
          packets: max(figures?.packetsReceived ?? 0, connection.intake.messages), lost: figures?.packetsLost ?? 0,
          roundTrip_ms: figures?.roundTrip_ms ?? 0, rate_mbps: figures?.rate_mbps ?? 0)))
  }
}
