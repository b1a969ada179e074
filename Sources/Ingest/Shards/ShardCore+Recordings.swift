import Doctrine
import Footage
import Logging
import Seams
import Vault

/// Recordings and their parts: opening, midnight, another disk, the close.
extension ShardCore {
  func open(
    _ state: CameraState, _ attempt: PendingAttempt, _ admission: CameraAdmission, agent: AgentID
  ) -> Bool {
    let wall = common.clocks.wall()
    guard let grant = takeGrant(of: admission.camera),
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
    common.spool.append(
      .incidentOpened(
        IncidentEntry(
          id: grant.incident, recording: grant.recording, service: admission.service,
          camera: admission.camera, agent: agent, reference: attempt.identifier.reference,
          activation: attempt.identifier.activation, openedAt: wall),
        threat: attempt.identifier.threat, peer: attempt.peer))
    // A register that is made again from the file has the incident begin at the same instant.
    openPart(recording, after: nil, at: wall)
    return true
  }

  /// The camera's next grant whose files can be made.
  private func takeGrant(of camera: CameraID) -> IncidentGrant? {
    while let grant = common.table.takeGrant(of: camera) {
      guard grant.parts.contains(where: { common.namesInTheWay.contains($0.part) }) else { return grant }
      logger.error("a file that cannot be read is in a grant's way", metadata: ["incident": "\(grant.incident)"])
    }
    return nil
  }

  private func openPart(_ recording: OpenRecording, after previous: PartID?, at wall: UTCTime? = nil) {
    let grant = recording.current
    guard let header = try? PartHeader(grant, recording, created: wall ?? common.clocks.wall()) else {
      logger.critical("a part's header could not be made", metadata: ["part": "\(grant.part)"])
      return
    }
    let day = grant.localDay.description.split(separator: "-")
    let path = "\(common.volumes.choose())\(day[0])/\(day[1])/\(day[2])/\(grant.part).plm"
    common.index.register(
      PartOpened(
        part: grant.part, recording: recording.recording, service: recording.service, number: grant.number,
        localDay: grant.localDay, wrappedKey: grant.wrappedKey, path: path))
    submit(
      .open(
        part: grant.part.rawValue, path: path, header: header, key: grant.symmetricKey,
        after: previous?.rawValue))
  }

  /// Local midnight: the recording goes on in a part of its own day, key and term (RET-2).
  func turnDay(_ state: CameraState, _ recording: OpenRecording) {
    recording.upcoming.removeAll { $0.dayEnd <= recording.current.dayEnd }
    guard let next = recording.upcoming.first, let number = recording.machine.nextPart() else { return }
    if let connection = state.connection {
      connection.intake.assembler.close()
      handOver(connection, at: common.clocks.monotonic())
    }
    let previous = recording.current
    submit(
      .close(
        part: previous.part.rawValue,
        CloseNote.content(cause: "day-ended", at: common.clocks.wall(), epoch: recording.machine.epoch)))
    recording.upcoming.removeFirst()
    recording.current = next
    recording.current.number = number
    openPart(recording, after: previous.part)
  }

  /// The disk failed under a part: what it did not take, and all that comes, goes into another of the same day.
  func goOnElsewhere(_ part: PartID, at now: MonotonicTime) {
    if let (camera, state) = cameras.first(where: { $0.value.recording?.current.part == part }),
      let recording = state.recording
    {
      if takeSpare(recording) {
        openPart(recording, after: part)
      } else {
        // Disk after disk failed under it: nothing is left to write on, and that is said.
        guard state.machine.closeRequested(recording.incident, at: now) else { return }
        finish(state, camera, recording.incident, .storageFailed, by: nil, at: now)
        submit(.abandon(part: part.rawValue))
        tellUnended(part)
      }
    } else if let (recording, closing, _) = ended.first(where: { $0.recording.current.part == part }),
      takeSpare(recording)
    {
      // It was closed before the disk took its end.
      openPart(recording, after: part)
      if common.index.takeUnended(part) != nil { common.index.closesIncident(recording.current.part, closing) }
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
    if let closing = common.index.takeUnended(part) { common.spool.append(.incidentClosed(closing)) }
  }

  func finish(
    _ state: CameraState, _ camera: CameraID, _ incident: IncidentID, _ cause: ClosingCause, by: String?,
    at now: MonotonicTime
  ) {
    guard let recording = state.recording, recording.incident == incident else { return }
    if let connection = state.connection {
      end(connection, at: now)
      // SRT tells a sender nothing: the reason stands here, and in the device API's state.
      common.table.note(
        RefusalEntry(
          at: common.clocks.wall(), camera: camera.rawValue, service: recording.service, peer: connection.peer,
          code: RefusalEntry.streamEnded, sentence: "Connexion terminée : incident \(cause.sentence).", proven: true))
    }
    setLive(state, recording, false)
    let wall = common.clocks.wall()
    guard case .close(let gap) = recording.machine.closed(at: wall) else { return }
    // What is missing up to the close is written down though no camera came back after it (INT-6).
    if let gap { write(gap, epoch: max(1, recording.machine.epoch), in: recording) }
    let closing = IncidentClosed(
      incident: incident, recording: recording.recording, camera: camera, at: wall, cause: cause, by: by,
      damage: recording.damage)
    common.index.closesIncident(recording.current.part, closing)
    submit(
      .close(
        part: recording.current.part.rawValue,
        CloseNote.content(cause: cause.rawValue, at: wall, epoch: recording.machine.epoch)))
    ended.append((recording, closing, now))
    state.recording = nil
  }
}
