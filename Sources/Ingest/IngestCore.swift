import Doctrine
import Footage
import Foundation
import Logging
import SRT
import Seams
import Vault

/// One SRT connection whose passphrase is proven.
final class Connection {
  let socket: SRTSocket
  let camera: CameraID
  let peer: String
  let acceptedAt: MonotonicTime
  let isLinkTest: Bool
  var lastPacket: MonotonicTime
  var epoch: UInt32 = 0
  var orderer = PacketOrderer()
  var assembler: ChunkAssembler
  var ended = false

  init(
    socket: consuming SRTSocket, camera: CameraID, peer: String, at now: MonotonicTime, isLinkTest: Bool,
    epoch: UInt32
  ) {
    self.socket = socket
    self.camera = camera
    self.peer = peer
    acceptedAt = now
    lastPacket = now
    self.isLinkTest = isLinkTest
    self.epoch = epoch
    assembler = ChunkAssembler(epoch: epoch)
  }
}

/// An open recording.
final class OpenRecording {
  let incident: IncidentID
  let recording: RecordingID
  let service: ServiceID
  var current: PartGrant
  var upcoming: [PartGrant]
  var facts: [UInt8]
  var machine: RecordingMachine
  var damage: Int64 = 0
  var isLive = false

  init(
    incident: IncidentID, recording: RecordingID, service: ServiceID, current: PartGrant,
    upcoming: [PartGrant], facts: [UInt8], machine: consuming RecordingMachine
  ) {
    self.incident = incident
    self.recording = recording
    self.service = service
    self.current = current
    self.upcoming = upcoming
    self.facts = facts
    self.machine = machine
  }
}

/// A camera that has, or had, an incident since the start.
final class CameraState {
  var machine: IncidentMachine
  var recording: OpenRecording?
  var connection: Int32?

  init(machine: consuming IncidentMachine) { self.machine = machine }
}

/// The state of one ingest thread and its turns. Not `Sendable`: one thread.
final class IngestCore {
  /// Data waits in the transport and nothing is handed over: the sender gave a packet up (upstream 2657).
  static let stuck_us: Int64 = 3_000_000
  /// A second device takes over only from one that has been silent this long.
  static let takeover_us: Int64 = 1_000_000
  static let linkTest_us: Int64 = 10_000_000
  static let slowTurn_us: Int64 = 250_000
  /// A disk that hangs says so after minutes at the most.
  static let remembered_us: Int64 = 600_000_000

  private let listener: SRTListener
  let table: AdmissionTable
  let spool: EventSpool
  private let feed: LiveFeed
  private let writer: FootageWriter
  private let index: IndexFeed
  let clocks: IngestClocks
  let logger: Logger
  private var connections: [Int32: Connection] = [:]
  private var cameras: [CameraID: CameraState] = [:]
  /// Recordings that were closed lately: a disk may yet fail to take their end.
  private var ended: [(recording: OpenRecording, closing: IncidentClosed, at: MonotonicTime)] = []
  private var lastSlowTurn = MonotonicTime(microseconds: 0)
  /// Whether the writer's line has room in this turn, and since when: while it has none nothing is read, and
  /// silence says nothing about a camera.
  private var hasRoom = true
  private var roomSince = MonotonicTime(microseconds: 0)

  init(
    listener: consuming SRTListener, table: AdmissionTable, spool: EventSpool, feed: LiveFeed,
    writer: FootageWriter, index: IndexFeed, clocks: IngestClocks, logger: Logger
  ) {
    self.listener = listener
    self.table = table
    self.spool = spool
    self.feed = feed
    self.writer = writer
    self.index = index
    self.clocks = clocks
    self.logger = logger
  }

  func run(commands: () -> [LoopCommand], stopping: () -> Bool) {
    do throws(SRTError) {
      let poll = try SRTPoll()
      try poll.add(listener.id)
      turn(poll, commands: commands, stopping: stopping)
    } catch {
      logger.critical("no poll set", metadata: ["error": "\(error)"])
    }
  }

  private func turn(_ poll: borrowing SRTPoll, commands: () -> [LoopCommand], stopping: () -> Bool) {
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 16) { buffer in
      while !stopping() {
        for command in commands() { perform(command, poll) }
        while let socket = listener.accept() { accepted(socket, poll) }
        let room = writer.hasRoom
        if room, !hasRoom { roomSince = clocks.monotonic() }
        hasRoom = room
        if hasRoom { for connection in connections.values { drain(connection, buffer) } }
        let now = clocks.monotonic()
        let wall = clocks.wall()
        for connection in connections.values where !connection.isLinkTest {
          connection.orderer.timePassed(now: now, into: &connection.assembler)
          connection.assembler.timePassed(at: now)
          handOver(connection)
        }
        for connection in connections.values where connection.ended { end(connection, poll, at: now) }
        if now.since(lastSlowTurn) >= Self.slowTurn_us {
          lastSlowTurn = now
          slowTurn(poll, now: now, wall: wall)
        }
        if hasRoom, connections.count <= IngestLoop.eventDrivenConnections {
          _ = poll.wait(timeout_ms: IngestLoop.wait_ms)
        } else {
          usleep(IngestLoop.tick_ms * 1000)
        }
      }
      let now = clocks.monotonic()
      for connection in connections.values { end(connection, poll, at: now) }
    }
  }

  // MARK: Receiving

  private func drain(_ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer) {
    guard !connection.ended else { return }
    for _ in 0..<IngestLoop.messagesPerTurn {
      switch connection.socket.receive(into: buffer) {
      case .nothing:
        return
      case .ended:
        connection.ended = true
        return
      case .message(let length, let sequence):
        let now = clocks.monotonic()
        connection.lastPacket = now
        // The gate: bytes go on only where a recording is open. P1, REC-1.
        guard !connection.isLinkTest, let recording = cameras[connection.camera]?.recording else { continue }
        let arrival = clocks.wall()
        guard recording.machine.packetArrived(at: arrival) else { continue }
        connection.orderer.arrived(
          sequence31: sequence, bytes: UnsafeRawBufferPointer(rebasing: buffer[0..<length]), arrival: arrival,
          now: now, into: &connection.assembler)
      }
    }
  }

  /// Hands finished chunks to the writer and live bytes to the feed.
  private func handOver(_ connection: Connection) {
    guard let recording = cameras[connection.camera]?.recording else {
      _ = connection.assembler.takeFinished()
      _ = connection.assembler.takeLive()
      return
    }
    for chunk in connection.assembler.takeFinished() {
      submit(.append(part: recording.current.part.rawValue, chunk))
    }
    let live = connection.assembler.takeLive()
    if !live.isEmpty, recording.isLive { feed.offer(recording.recording, live) }
  }

  private func submit(_ command: FootageCommand) {
    // The line has twice the room at which reading stops: what is in hand always fits.
    if !writer.submit(command) { logger.critical("writer line full: a chunk was dropped") }
  }

  // MARK: Connections

  private func accepted(_ socket: consuming SRTSocket, _ poll: borrowing SRTPoll) {
    let now = clocks.monotonic()
    guard let attempt = table.takeProven(socket.id) else { return }
    let camera = attempt.identifier.camera
    guard let admission = table.admission(of: camera) else { return }
    if attempt.identifier.isLinkTest, admission.enabled {
      add(Connection(socket: socket, camera: camera, peer: attempt.peer, at: now, isLinkTest: true, epoch: 0), poll)
      return
    }
    if case .refused(let refusal) = admission.opening(attempt.identifier.context, at: clocks.wall()) {
      refuse(attempt, admission, refusal.code, refusal.sentence + " [\(refusal.article)]", refusal.article)
      return
    }
    guard let agent = admission.issuedTo else { return }
    let state = cameras[camera] ?? CameraState(machine: IncidentMachine())
    cameras[camera] = state
    if let id = state.connection, let other = connections[id] {
      // While the disk holds reading back, silence says nothing about the first device.
      guard hasRoom, now.since(max(other.lastPacket, roomSince)) >= Self.takeover_us else {
        refuse(
          attempt, admission, "two-devices",
          "Deux appareils sous une identité : la première connexion est active. Changez la phrase secrète de cette caméra."
        )
        return
      }
      end(other, poll, at: now)
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
      join(state, socket, attempt, poll, at: now)
    case .rejoin:
      join(state, socket, attempt, poll, at: now)
    }
  }

  private func open(
    _ state: CameraState, _ attempt: PendingAttempt, _ admission: CameraAdmission, agent: AgentID
  ) -> Bool {
    let wall = clocks.wall()
    guard let grant = table.takeGrant(of: admission.camera),
      let start = grant.parts.firstIndex(where: { $0.dayStart <= wall && wall < $0.dayEnd })
        ?? grant.parts.indices.first
    else { return false }
    let facts = RecordingFacts(
      camera: admission.camera.rawValue, agent: agent.rawValue, regime: admission.regime,
      regimeVersion: admission.regimeVersion, reference: attempt.identifier.reference,
      activation: attempt.identifier.activation)
    let recording = OpenRecording(
      incident: grant.incident, recording: grant.recording, service: admission.service,
      current: grant.parts[start], upcoming: Array(grant.parts[(start + 1)...]), facts: facts.encoded,
      machine: RecordingMachine(openedAt: wall))
    recording.current.number = recording.machine.part
    state.machine.incidentOpened(grant.incident, activation: attempt.identifier.activation)
    state.recording = recording
    spool.append(
      .incidentOpened(
        IncidentEntry(
          id: grant.incident, recording: grant.recording, service: admission.service,
          camera: admission.camera, agent: agent, reference: attempt.identifier.reference,
          activation: attempt.identifier.activation, openedAt: wall),
        threat: attempt.identifier.threat, peer: attempt.peer))
    openPart(recording, after: nil)
    return true
  }

  private func openPart(_ recording: OpenRecording, after previous: PartID?) {
    let grant = recording.current
    guard let header = try? PartHeader(grant, recording, created: clocks.wall()) else {
      logger.critical("a part's header could not be made", metadata: ["part": "\(grant.part)"])
      return
    }
    let day = grant.localDay.description.split(separator: "-")
    let path = "\(writer.volumes.choose())\(day[0])/\(day[1])/\(day[2])/\(grant.part).plm"
    index.register(
      PartOpened(
        part: grant.part, recording: recording.recording, service: recording.service, number: grant.number,
        localDay: grant.localDay, wrappedKey: grant.wrappedKey, path: path))
    submit(
      .open(
        part: grant.part.rawValue, path: path, header: header, key: grant.symmetricKey,
        after: previous?.rawValue))
  }

  private func join(
    _ state: CameraState, _ socket: consuming SRTSocket, _ attempt: PendingAttempt,
    _ poll: borrowing SRTPoll, at now: MonotonicTime
  ) {
    guard let recording = state.recording else { return }
    let wall = clocks.wall()
    guard case .begin(let epoch, let gap) = recording.machine.connected(at: wall) else { return }
    if let gap {
      // The time that is missing is written down before what comes next (INT-6).
      let note = GapNote(from_us: gap.from.microseconds, to_us: gap.to.microseconds, cause: gap.cause.rawValue)
      submit(
        .append(
          part: recording.current.part.rawValue,
          ChunkContent(
            kind: .gap, epoch: epoch, firstArrival_us: note.from_us, lastArrival_us: note.to_us,
            plaintext: note.encoded)))
    }
    if wall >= recording.current.dayEnd { turnDay(state, recording) }
    submit(
      .append(
        part: recording.current.part.rawValue,
        ChunkContent(
          kind: .epoch, epoch: epoch, firstArrival_us: wall.microseconds,
          lastArrival_us: wall.microseconds,
          plaintext: Array("{\"peer\":\"\(attempt.peer)\",\"started_us\":\(wall.microseconds)}".utf8))))
    let connection = Connection(
      socket: socket, camera: attempt.identifier.camera, peer: attempt.peer, at: now, isLinkTest: false,
      epoch: epoch)
    connection.assembler.tapsLive = recording.isLive
    state.connection = connection.socket.id
    spool.append(
      .streamJoined(
        recording.incident, recording.recording, epoch: Int64(epoch), at: wall, peer: attempt.peer))
    add(connection, poll)
  }

  private func add(_ connection: Connection, _ poll: borrowing SRTPoll) {
    let id = connection.socket.id
    do throws(SRTError) { try poll.add(id) } catch {
      logger.warning("connection is not polled", metadata: ["error": "\(error)"])
    }
    connections[id] = connection
    logger.info("stream opened", metadata: ["connection": "\(id)"])
  }

  private func refuse(
    _ attempt: PendingAttempt, _ admission: CameraAdmission, _ code: String, _ reason: String,
    _ article: String? = nil
  ) {
    spool.append(
      .refused(
        RefusalEntry(
          at: clocks.wall(), camera: admission.camera.rawValue, service: admission.service,
          peer: attempt.peer, code: code, sentence: reason, article: article, proven: true)))
  }

  /// A connection is over: what it delivered is handed over, then the incident is told.
  private func end(
    _ connection: Connection, _ poll: borrowing SRTPoll, at now: MonotonicTime, cause: GapCause? = nil
  ) {
    let id = connection.socket.id
    guard connections.removeValue(forKey: id) != nil else { return }
    poll.remove(id)
    logger.info(
      "stream closed",
      metadata: [
        "connection": "\(id)", "missing": "\(connection.orderer.missing)",
        "duplicates": "\(connection.orderer.duplicates)", "damage": "\(connection.assembler.damage)",
      ])
    guard !connection.isLinkTest else {
      tellLinkTest(connection, at: now)
      return
    }
    guard let state = cameras[connection.camera] else { return }
    if state.connection == id { state.connection = nil }
    connection.orderer.finish(now: now, into: &connection.assembler)
    connection.assembler.close()
    handOver(connection)
    guard let recording = state.recording else { return }
    recording.damage += connection.assembler.damage
    let age = now.since(connection.lastPacket)
    recording.machine.disconnected(
      cause ?? (age < IncidentMachine.freshPacket_us ? .stoppedBySender : .linkLost))
    if connection.orderer.missing > 0 {
      let at = recording.machine.lastPacket.microseconds
      let note = GapNote(from_us: at, to_us: at, cause: GapCause.lostInTransport.rawValue)
      submit(
        .append(
          part: recording.current.part.rawValue,
          ChunkContent(
            kind: .gap, epoch: connection.epoch, packetCount: UInt32(clamping: connection.orderer.missing),
            firstArrival_us: at, lastArrival_us: at, plaintext: note.encoded)))
    }
    state.machine.streamEnded(lastPacketAge_us: age, at: now)
    spool.append(
      .streamLeft(
        recording.incident, recording.recording, epoch: Int64(connection.epoch), at: clocks.wall()))
  }

  private func tellLinkTest(_ connection: Connection, at now: MonotonicTime) {
    let figures = connection.socket.statistics()
    spool.append(
      .linkTested(
        LinkTestResult(
          camera: connection.camera, at: clocks.wall(), duration_ms: now.since(connection.acceptedAt) / 1000,
          packets: figures?.packetsReceived ?? 0, lost: figures?.packetsLost ?? 0,
          roundTrip_ms: figures?.roundTrip_ms ?? 0, rate_mbps: figures?.rate_mbps ?? 0)))
  }

  // MARK: Time and commands

  private func slowTurn(_ poll: borrowing SRTPoll, now: MonotonicTime, wall: UTCTime) {
    for refusal in table.drainRefusals() { spool.append(.refused(refusal)) }
    ended.removeAll { now.since($0.at) >= Self.remembered_us }
    for connection in connections.values {
      if connection.isLinkTest {
        if now.since(connection.acceptedAt) >= Self.linkTest_us { end(connection, poll, at: now) }
      } else if hasRoom, now.since(max(connection.lastPacket, roomSince)) >= Self.stuck_us,
        let figures = connection.socket.statistics(), figures.receiveBuffer_bytes > 0
      {
        end(connection, poll, at: now, cause: .notDeliverable)
      }
    }
    for (camera, state) in cameras {
      // While nobody sends the day is not turned: the gap belongs to the part before, and is written when it ends.
      if let recording = state.recording, wall >= recording.current.dayEnd, case .receiving = recording.machine.state {
        turnDay(state, recording)
      }
      if let (incident, cause) = state.machine.timePassed(at: now) {
        finish(state, camera, incident, cause, by: nil, poll, at: now)
      }
    }
  }

  /// Local midnight: the recording goes on in a part of its own day, key and term (RET-2).
  private func turnDay(_ state: CameraState, _ recording: OpenRecording) {
    recording.upcoming.removeAll { $0.dayEnd <= recording.current.dayEnd }
    guard let next = recording.upcoming.first, let number = recording.machine.nextPart() else { return }
    if let id = state.connection, let connection = connections[id] {
      connection.assembler.close()
      handOver(connection)
    }
    let previous = recording.current
    submit(
      .close(
        part: previous.part.rawValue,
        CloseNote.content(cause: "day-ended", at: clocks.wall(), epoch: recording.machine.epoch)))
    recording.upcoming.removeFirst()
    recording.current = next
    recording.current.number = number
    openPart(recording, after: previous.part)
  }

  /// The disk failed under a part: what it did not take, and all that comes, goes into another of the same day.
  private func goOnElsewhere(_ part: PartID, _ poll: borrowing SRTPoll, at now: MonotonicTime) {
    if let (camera, state) = cameras.first(where: { $0.value.recording?.current.part == part }),
      let recording = state.recording
    {
      if takeSpare(recording) {
        openPart(recording, after: part)
      } else {
        // Disk after disk failed under it: nothing is left to write on, and that is said.
        guard state.machine.closeRequested(recording.incident, at: now) else { return }
        finish(state, camera, recording.incident, .storageFailed, by: nil, poll, at: now)
        submit(.abandon(part: part.rawValue))
        tellUnended(part)
      }
    } else if let (recording, closing, _) = ended.first(where: { $0.recording.current.part == part }),
      takeSpare(recording)
    {
      // It was closed before the disk took its end.
      openPart(recording, after: part)
      if index.takeUnended(part) != nil { index.closesIncident(recording.current.part, closing) }
      submit(
        .close(
          part: recording.current.part.rawValue,
          CloseNote.content(cause: closing.cause.rawValue, at: closing.at, epoch: recording.machine.epoch)))
    } else {
      submit(.abandon(part: part.rawValue))
      tellUnended(part)
    }
  }

  /// Goes over to the day's spare part; false where there is none left.
  private func takeSpare(_ recording: OpenRecording) -> Bool {
    guard let place = recording.upcoming.firstIndex(where: { $0.dayStart == recording.current.dayStart }) else {
      return false
    }
    let number = recording.machine.nextPart() ?? recording.machine.part + 1
    recording.current = recording.upcoming.remove(at: place)
    recording.current.number = number
    return true
  }

  private func tellUnended(_ part: PartID) {
    if let closing = index.takeUnended(part) { spool.append(.incidentClosed(closing)) }
  }

  private func finish(
    _ state: CameraState, _ camera: CameraID, _ incident: IncidentID, _ cause: ClosingCause, by: String?,
    _ poll: borrowing SRTPoll, at now: MonotonicTime
  ) {
    guard let recording = state.recording, recording.incident == incident else { return }
    if let id = state.connection, let connection = connections[id] {
      end(connection, poll, at: now)
      // SRT tells a sender nothing: the reason stands here, and in the device API's state.
      spool.append(
        .refused(
          RefusalEntry(
            at: clocks.wall(), camera: camera.rawValue, service: recording.service, peer: connection.peer,
            code: RefusalEntry.streamEnded, sentence: "Connexion terminée : incident \(cause.sentence).", proven: true))
      )
    }
    setLive(state, recording, false)
    guard recording.machine.closed() else { return }
    let wall = clocks.wall()
    let closing = IncidentClosed(
      incident: incident, recording: recording.recording, camera: camera, at: wall, cause: cause, by: by,
      damage: recording.damage)
    index.closesIncident(recording.current.part, closing)
    submit(
      .close(
        part: recording.current.part.rawValue,
        CloseNote.content(cause: cause.rawValue, at: wall, epoch: recording.machine.epoch)))
    ended.append((recording, closing, now))
    state.recording = nil
  }

  private func setLive(_ state: CameraState, _ recording: OpenRecording, _ open: Bool) {
    guard recording.isLive != open else { return }
    recording.isLive = open
    if let id = state.connection { connections[id]?.assembler.tapsLive = open }
    if open {
      feed.begin(recording.recording)
    } else {
      feed.end(recording.recording)
      let dropped = feed.droppedPieces
      if dropped > 0 { logger.info("live pieces dropped since the start", metadata: ["count": "\(dropped)"]) }
    }
  }

  private func perform(_ command: LoopCommand, _ poll: borrowing SRTPoll) {
    let now = clocks.monotonic()
    switch command {
    case .close(let incident, let cause, let by):
      for (camera, state) in cameras where state.recording?.incident == incident {
        // What was sent before the close is kept: closing first would leave it at the gate.
        if state.machine.closeRequested(incident, at: now) {
          finish(state, camera, incident, cause, by: by, poll, at: now)
        }
      }
    case .live(let recording, let open):
      for state in cameras.values {
        if let known = state.recording, known.recording == recording { setLive(state, known, open) }
      }
    case .goOnElsewhere(let part): goOnElsewhere(part, poll, at: now)
    case .allLiveEnds:
      for state in cameras.values {
        if let known = state.recording { setLive(state, known, false) }
      }
    case .reportStreams:
      spool.append(
        .streaming(cameras.values.compactMap { $0.connection == nil ? nil : $0.recording?.recording }))
    case .resume(let resumed):
      let state = CameraState(
        machine: IncidentMachine(resuming: resumed.incident, activation: resumed.resumed.activation, at: now))
      let recording = OpenRecording(
        incident: resumed.incident, recording: resumed.recording, service: resumed.service,
        current: resumed.current, upcoming: resumed.resumed.parts, facts: resumed.facts,
        machine: RecordingMachine(
          resumingPart: resumed.current.number, lastEpoch: resumed.lastEpoch, lastPacket: resumed.lastArrival))
      state.recording = recording
      cameras[resumed.resumed.camera] = state
    }
  }
}
