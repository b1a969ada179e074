internal import Crypto
internal import Doctrine
internal import Footage
internal import Foundation
internal import Journal
internal import Logging
package import Seams
internal import Vault

/// What the ingest tells, and what it asks when it starts.
extension Keeper {
  package func answer(_ call: IngestCall) async throws -> IngestReply {
    switch call {
    case .events(let boot, let oldest, let events): return try await take(events, boot: boot, oldest: oldest)
    case .status(let status):
      took(status)
      return .acknowledged(upTo: ingestDone, noted: ingestNoted)
    case .found(let parts):
      return .found(try await answer(found: parts))
    }
  }

  /// One batch at a time: a second one, sent because the answer to the first was late, is told to wait.
  private func take(_ events: [NumberedEvent], boot: String, oldest: UInt64) async throws -> IngestReply {
    guard !takesEvents else { throw Problem.unavailable("le keeper") }
    takesEvents = true
    defer { takesEvents = false }
    if ingestBoot != boot {
      ingestBoot = boot
      ingestDone = 0
      ingestNoted = 0
      ingestJournalled = []
    }
    // What was acknowledged, to this keeper or to one before it, is not told again; nor what could not be told.
    ingestDone = max(ingestDone, max(oldest, 1) - 1)
    ingestNoted = max(ingestNoted, ingestDone)
    // First what takes effect at once, whatever the database does: memory and journal.
    for event in events where event.number == ingestNoted + 1 {
      do {
        try await note(event)
      } catch  where error is VaultError {
        logger.warning("events wait for the journal", metadata: ["number": "\(event.number)", "error": "\(error)"])
        throw Problem.unavailable("le journal")
      } catch {
        logger.error("an event was not noted", metadata: ["number": "\(event.number)", "error": "\(error)"])
      }
      ingestNoted = event.number
    }
    // Then the register, in order; while it is known to be away nothing new waits behind it.
    for event in events where event.number == ingestDone + 1 && !isDatabaseAway {
      do {
        try await index(event.event)
        setDatabaseAway(false)
      } catch  where store.isTransient(error) {
        logger.warning(
          "events wait for the database", metadata: ["number": "\(event.number)", "error": "\(error)"])
        setDatabaseAway(true)
        break
      } catch {
        // One event that can never be taken must not hold every camera's back; the files have what it says.
        logger.error("an event was not taken", metadata: ["number": "\(event.number)", "error": "\(error)"])
      }
      ingestDone = event.number
      ingestJournalled.remove(event.number)
    }
    // What hung on an incident of this batch: its threat must not wait for the slow clock.
    if !pendingWrites.isEmpty, !isDatabaseAway { await drainPending() }
    return .acknowledged(upTo: ingestDone, noted: ingestNoted)
  }

  func setDatabaseAway(_ isAway: Bool) {
    guard isDatabaseAway != isAway else { return }
    isDatabaseAway = isAway
    if isAway {
      logger.critical("the database is away: incidents, threats and live go on; the register follows")
    } else {
      logger.notice("the database is back")
    }
    publishWall()
  }

  /// Journals once, however often the event is told.
  private func journalOnce(
    _ number: UInt64, _ kind: JournalEntry.Kind, _ act: String, author: String, service: ServiceID?,
    _ facts: [String: CanonicalJSON]
  ) async throws {
    guard !ingestJournalled.contains(number) else { return }
    try await scribe.write(kind, act, author: author, service: service, facts)
    ingestJournalled.insert(number)
  }

  /// What an event does at once: memory and journal.
  private func note(_ numbered: NumberedEvent) async throws {
    let number = numbered.number
    switch numbered.event {
    case .incidentOpened(let entry, let threat, let peer):
      try await opened(number, entry, threat: threat, peer: peer)
    case .partOpened(let part):
      guard services[part.service] != nil else { return }
      partService[part.part] = part.service
      try await journalOnce(
        number, .collection, "part.opened", author: "ingest", service: part.service,
        [
          "recording": .string(part.recording.rawValue), "part": .string(part.part.rawValue),
          "day": .string(part.localDay.description),
        ])
    case .streamJoined(let incident, let recording, let epoch, let at, let peer):
      active[incident]?.streaming = true
      publishWall()
      try await journalOnce(
        number, .collection, "stream.joined", author: "camera", service: active[incident]?.entry.service,
        [
          "recording": .string(recording.rawValue), "epoch": .integer(epoch), "at_us": .integer(at.microseconds),
          "peer": .string(peer),
        ])
    case .streamLeft(let incident, let recording, let epoch, let at):
      active[incident]?.streaming = false
      publishWall()
      try await journalOnce(
        number, .collection, "stream.left", author: "camera", service: active[incident]?.entry.service,
        [
          "recording": .string(recording.rawValue), "epoch": .integer(epoch), "at_us": .integer(at.microseconds),
        ])
    case .gap(let gap):
      try await journalOnce(
        number, .collection, "recording.gap", author: "ingest", service: partService[gap.part],
        [
          "part": .string(gap.part.rawValue), "from_us": .integer(gap.from.microseconds),
          "to_us": .integer(gap.to.microseconds), "cause": .string(gap.cause.rawValue),
        ])
    case .chainHeads(let heads):
      // One entry a service: nobody reads another's parts in it.
      let byService = Dictionary(grouping: heads) { partService[$0.part]?.rawValue ?? "" }
      guard !ingestJournalled.contains(number) else { return }
      for (service, heads) in byService.sorted(by: { $0.key < $1.key }) {
        try await scribe.write(
          .statement, "chain.heads", author: "ingest", service: service.isEmpty ? nil : ServiceID(service),
          ["heads": .array(heads.map(Self.fact))])
      }
      ingestJournalled.insert(number)
    case .partClosed(let progress):
      try await journalOnce(
        number, .collection, "part.closed", author: "ingest", service: partService[progress.part],
        ["head": Self.fact(progress)])
    case .incidentClosed(let closed):
      _ = try await ended(number, closed)
    case .refused(let refusal):
      if let name = refusal.camera, cameras[CameraID(name)] != nil {
        lastRefusal[CameraID(name)] = refusal.sentence
        if refusal.code != RefusalEntry.streamEnded { alarm(refusal) }
      }
      // LOG-3: a camera that proved who it is and was refused; strangers' calls are counted in the register alone.
      if refusal.proven, let service = refusal.service, refusal.code != RefusalEntry.streamEnded {
        try await journalOnce(
          number, .collection, "open-incident.refused", author: "camera:\(refusal.camera ?? "")", service: service,
          [
            "camera": refusal.camera.map(CanonicalJSON.string) ?? .null, "code": .string(refusal.code),
            "article": .string(
              refusal.article ?? services[service]?.regime.articles.recording ?? "CSI L241-1"),
            "result": .string("refused"), "peer": .string(refusal.peer),
          ])
      }
    case .linkTested(let result):
      lastLinkTest[result.camera] = result
    case .streaming(let recordings):
      for (id, incident) in active { active[id]?.streaming = recordings.contains(incident.entry.recording) }
      publishWall()
    case .segment: break
    }
  }

  /// What an event is in the register. Told again, it changes nothing.
  private func index(_ event: IngestEvent) async throws {
    switch event {
    case .incidentOpened(let entry, _, _): try await store.open(entry)
    case .partOpened(let part):
      // The regime of now, read after the wait: a change meanwhile shortens this one too.
      guard let service = services[part.service] else { return }
      try await store.open(entry(of: part, service))
    case .segment(let segment): try await store.insert(segment)
    case .gap(let gap): try await store.insert(gap)
    case .partClosed(let progress):
      try await store.close(progress)
      partService[progress.part] = nil
    case .incidentClosed(let closed):
      var stored = closed
      stored.by = closed.by ?? active[closed.incident]?.closing?.by
      try await store.close(stored)
      active[closed.incident] = nil
      publishWall()
    case .refused(let refusal): try await store.insert(refusal)
    case .streamJoined, .streamLeft, .chainHeads, .linkTested, .streaming: break
    }
  }

  private static func fact(_ progress: PartProgress) -> CanonicalJSON {
    .object([
      "part": .string(progress.part.rawValue), "chunks": .integer(progress.chunkCount),
      "hash": .string(progress.chainHead.hexadecimal),
    ])
  }

  private func entry(of part: PartOpened, _ service: ServiceEntry) -> PartEntry {
    PartEntry(
      id: part.part, recording: part.recording, service: part.service, number: part.number,
      localDay: part.localDay, termDay: Term(recordedOn: part.localDay, under: service.regime).endDay,
      regime: service.regime.name, regimeVersion: service.regime.version, wrappedKey: part.wrappedKey.bytes,
      keyName: part.localDay.description, path: part.path)
  }

  // REC-5, MET-1, LOG-1.
  private func opened(_ number: UInt64, _ entry: IncidentEntry, threat: ThreatGround?, peer: String) async throws {
    if let used = grants[entry.camera]?.firstIndex(where: { $0.incident == entry.id }) {
      grants[entry.camera]?.remove(at: used)
      if let camera = cameras[entry.camera] { publish(camera) }
    }
    alarms.removeAll { $0.camera == entry.camera }
    if active[entry.id] == nil {
      let agent = cameras[entry.camera]?.issuedTo
      active[entry.id] = ActiveIncident(entry: entry, agent: agent?.id == entry.agent ? agent : nil)
    }
    publishWall()
    // The camera is recording by now: what the doctrine says of it is kept, and a refusal ends it.
    let decision = may(Actor(.device), .openIncident, try await opening(entry), at: entry.openedAt)
    try await journalOnce(
      number, .collection, "incident.opened",
      author: "wearer:\(active[entry.id]?.agent?.matricule ?? entry.agent.rawValue)",
      service: entry.service,
      [
        "incident": .string(entry.id.rawValue), "recording": .string(entry.recording.rawValue),
        "camera": .string(entry.camera.rawValue), "agent": .string(entry.agent.rawValue),
        "trigger": .string("wearer"), "reference": entry.reference.map(CanonicalJSON.string) ?? .null,
        "opened_us": .integer(entry.openedAt.microseconds), "peer": .string(peer),
      ].merging(Self.facts(of: decision)) { $1 })
    if case .refused = decision {
      try await requestClose(entry.id, .cameraWithdrawn, by: "keeper", facts: Self.facts(of: decision))
    }
    guard let threat, let known = active[entry.id], known.threat == nil else { return }
    let threatDecision = may(Actor(.device), .declareThreat, try object(known), at: clock())
    if case .granted = threatDecision {
      try await declare(
        threat, incident: entry.id, origin: .wearer,
        author: "wearer:\(active[entry.id]?.agent?.matricule ?? entry.agent.rawValue)", reason: nil,
        facts: Self.facts(of: threatDecision))
    }
  }

  /// How the camera of an incident stood when it was opened: what is told late is judged by its own time.
  private func opening(_ entry: IncidentEntry) async throws -> ActObject {
    var object = try object(in: entry.service)
    guard let camera = cameras[entry.camera] else {
      object.camera = .disabled
      return object
    }
    if camera.issuedTo?.id == entry.agent {
      object.camera = camera.enabled ? .issued : .disabled
    } else {
      do {
        let was = try await store.wasIssued(entry.camera, to: entry.agent, at: entry.openedAt)
        object.camera = was ? .issued : .notIssued
      } catch  where store.isTransient(error) {
        // The ingest's table, which is the register's of the moment, had it as issued.
        object.camera = .issued
      }
    }
    return object
  }

  /// What the journal keeps of an answer of the doctrine to the server itself.
  static func facts(of decision: Decision) -> [String: CanonicalJSON] {
    switch decision {
    case .granted(.law(let article)): ["result": .string("granted"), "article": .string(article)]
    case .granted: ["result": .string("granted")]
    case .refused(let refusal):
      ["result": .string("refused"), "code": .string(refusal.code), "article": .string(refusal.article)]
    }
  }

  /// Opens a threat declaration: the journal first, then live.
  // LIVE-1, LIVE-2, CSI R241-3 I.
  func declare(
    _ ground: ThreatGround, incident: IncidentID, origin: ThreatEntry.Origin, author: String, reason: String?,
    facts: [String: CanonicalJSON] = [:]
  ) async throws {
    guard let known = active[incident] else { throw Problem.notFound("L'incident") }
    let threat = ThreatEntry(
      id: ThreatID(newID()), incident: incident, origin: origin, author: author, ground: ground, reason: reason,
      openedAt: clock())
    try await scribe.write(
      .modification, "threat.declared", author: author, service: known.entry.service,
      facts.merging([
        "incident": .string(incident.rawValue), "threat": .string(threat.id.rawValue),
        "ground": .string(ground.rawValue), "origin": .string(origin.rawValue),
        "reason": reason.map(CanonicalJSON.string) ?? .null,
      ]) { $1 })
    let store = self.store
    try await follow("threat declared") { try await store.insert(threat) }
    guard active[incident]?.live.threatDeclared(threat) == .begin else { return }
    publishLive(incident)
    publishWall()
  }

  /// - Parameter number: of the event; nil where the keeper itself finds the incident over.
  ///
  /// Memory and journal; the register follows by what this returns.
  private func ended(_ number: UInt64?, _ closed: IncidentClosed) async throws -> IncidentClosed {
    let known = active[closed.incident]
    let author = closed.by ?? known?.closing?.by ?? (closed.cause == .endedByWearer ? "wearer" : "server")
    // Somebody's close has its own entry; one by the passing of time rests on the text.
    let decision = try known.map { may(Actor(.deadline), .closeIncident, try object($0), at: clock()) }
    active[closed.incident]?.close(closed.cause, by: author)
    publishLive(closed.incident)
    await leaveAll(closed.recording, cause: "incident-closed")
    var facts: [String: CanonicalJSON] = [
      "incident": .string(closed.incident.rawValue), "recording": .string(closed.recording.rawValue),
      "camera": .string(closed.camera.rawValue), "cause": .string(closed.cause.rawValue),
      "closed_us": .integer(closed.at.microseconds), "damage": .integer(closed.damage),
    ]
    if closed.by == nil, let decision { facts.merge(Self.facts(of: decision)) { $1 } }
    if let number {
      try await journalOnce(
        number, .collection, "incident.closed", author: author, service: known?.entry.service, facts)
    } else {
      try await scribe.write(
        .collection, "incident.closed", author: author, service: known?.entry.service, facts)
    }
    publishWall()
    var stored = closed
    stored.by = author
    return stored
  }

  private func alarm(_ refusal: RefusalEntry) {
    guard let name = refusal.camera, let camera = cameras[CameraID(name)] else { return }
    alarms.removeAll { $0.camera == camera.id && $0.code == refusal.code }
    alarms.append(
      CameraAlarm(
        camera: camera.id, service: camera.service, at: refusal.at, code: refusal.code,
        sentence: refusal.sentence, canIssue: refusal.code == "not-issued" && camera.issuedTo == nil))
    if alarms.count > Self.maximumAlarms { alarms.removeFirst() }
    publishWall()
  }

  // MARK: Files found open

  /// Answers for the files found open and for what only the index believes open.
  ///
  /// The newest part of an incident that is still active goes on; every other is to be closed. A part that is
  /// open in the index only was closed on disk before that could be told.
  private func answer(found parts: [FoundPart]) async throws -> [FoundPartAnswer] {
    var answers: [FoundPartAnswer] = []
    // Files closed lately are nearly all known: asked in one go, so that a start does not wait for each.
    let known = try await store.known(among: parts.filter(\.isClosed).map(\.part))
    for part in parts.sorted(by: { $0.created < $1.created }) where !known.contains(part.part) {
      guard let binary = UUIDText.binary(part.part.rawValue),
        let key = try? keys.openPartKey(
          part.wrappedKey.bytes, service: part.service.rawValue, day: part.localDay.description, part: binary)
      else {
        logger.error("an open part's key cannot be had", metadata: ["part": "\(part.part)"])
        continue
      }
      let indexed: (number: Int, chunks: Int64)
      do {
        indexed = try await adopt(part, key: key, binary: binary)
      } catch  where error is VaultError || store.isTransient(error) {
        throw error
      } catch {
        logger.error("a part cannot be registered", metadata: ["part": "\(part.part)", "error": "\(error)"])
        continue
      }
      // A closed file that is registered by now is answered below, if the index still believes it open.
      if part.isClosed { continue }
      let isNewest = !parts.contains { $0.recording == part.recording && $0.created > part.created && !$0.isClosed }
      active[part.incident]?.streaming = false
      let closing = isNewest ? pendingClose(part.incident) : nil
      var resume: ResumedIncident?
      if isNewest, closing == nil, let incident = active[part.incident] {
        resume = ResumedIncident(
          camera: incident.entry.camera, agent: incident.entry.agent, activation: incident.entry.activation,
          parts: try partGrants(for: part.service, from: part.localDay))
      }
      answers.append(
        FoundPartAnswer(
          grant: grant(part.part, indexed.number, part.localDay, key, part.wrappedKey), recording: part.recording,
          incident: part.incident, path: part.path, indexedChunks: indexed.chunks, resume: resume, closing: closing))
    }
    let resumed = Set(answers.filter { $0.resume != nil || $0.closing != nil }.map(\.incident))
    let told = Set(parts.filter { !$0.isClosed }.map(\.part))
    let openInIndex = try await store.openParts().filter { !told.contains($0.0.id) }
    for (entry, incident, chunks) in openInIndex {
      guard
        let key = try? keys.openPartKey(
          entry.wrappedKey, service: entry.service.rawValue, day: entry.keyName,
          part: UUIDText.binary(entry.id.rawValue) ?? [])
      else { continue }
      let isLast = !openInIndex.contains { $0.0.recording == entry.recording && $0.0.number > entry.number }
      var closing: PendingClose?
      if isLast, !resumed.contains(incident), let known = active[incident] {
        closing =
          pendingClose(incident)
          ?? PendingClose(camera: known.entry.camera, cause: .serverRestart, by: nil)
      }
      answers.append(
        FoundPartAnswer(
          grant: grant(entry.id, entry.number, entry.localDay, key, Blob(entry.wrappedKey)),
          recording: entry.recording, incident: incident, path: entry.path, indexedChunks: chunks, resume: nil,
          closing: closing))
    }
    try await closeWithoutFile(except: resumed.union(answers.compactMap { $0.closing == nil ? nil : $0.incident }))
    publishWall()
    return answers
  }

  /// Incidents that are active here and of which no open file is left: they ended while nobody could tell.
  private func closeWithoutFile(except kept: Set<IncidentID>) async throws {
    for (id, incident) in active where !kept.contains(id) {
      let stored = try await ended(
        nil,
        IncidentClosed(
          incident: id, recording: incident.entry.recording, camera: incident.entry.camera, at: clock(),
          cause: incident.closing?.cause ?? .serverRestart, by: incident.closing?.by, damage: 0))
      try await store.close(stored)
      active[id] = nil
      publishWall()
    }
  }

  private func pendingClose(_ id: IncidentID) -> PendingClose? {
    guard let incident = active[id], let closing = incident.closing else { return nil }
    return PendingClose(camera: incident.entry.camera, cause: closing.cause, by: closing.by)
  }

  private func grant(_ part: PartID, _ number: Int, _ day: LocalDate, _ key: SymmetricKey, _ wrapped: Blob) -> PartGrant
  {
    PartGrant(
      part: part, number: number, localDay: day, dayStart: calendar.start(of: day),
      dayEnd: calendar.start(of: day.adding(days: 1)), key: Blob(key.rawBytes), wrappedKey: wrapped)
  }

  /// Brings a part into the register that a stop kept from being told: its file says what it is.
  ///
  /// - Parameter isTold: the journal has the opening already; only the register had not.
  func adopt(
    _ part: FoundPart, key: SymmetricKey, binary: [UInt8], isTold: Bool = false
  ) async throws -> (number: Int, chunks: Int64) {
    partService[part.part] = part.service
    let indexed = try await store.parts(of: part.recording)
    if let known = indexed.first(where: { $0.0.id == part.part }) { return (known.0.number, known.chunkCount) }
    guard let service = services[part.service] else { throw Problem.fault }
    let number = indexed.count + 1
    if try await store.facts(of: part.recording) == nil {
      let facts = try Sealing.open(
        part.sealedFacts.bytes, under: key, purpose: Sealing.factsPurpose, subject: binary)
      let named = try JSONDecoder().decode(FoundFacts.self, from: Data(facts))
      let entry = IncidentEntry(
        id: part.incident, recording: part.recording, service: part.service, camera: CameraID(named.camera),
        agent: AgentID(named.agent), reference: named.reference, activation: named.activation,
        openedAt: part.created)
      let decision = may(Actor(.device), .openIncident, try await opening(entry), at: part.created)
      if !isTold {
        try await scribe.write(
          .collection, "incident.opened", author: "wearer:\(named.agent)", service: part.service,
          [
            "incident": .string(part.incident.rawValue), "recording": .string(part.recording.rawValue),
            "camera": .string(named.camera), "agent": .string(named.agent), "trigger": .string("wearer"),
            "opened_us": .integer(part.created.microseconds), "recovered": .bool(true),
          ].merging(Self.facts(of: decision)) { $1 })
      }
      try await store.open(entry)
      active[part.incident] = ActiveIncident(entry: entry, agent: try await store.agent(entry.agent))
      if !isTold, case .refused = decision {
        try await requestClose(part.incident, .cameraWithdrawn, by: "keeper", facts: Self.facts(of: decision))
      }
      // Its grant is used up, whether or not the opening was told.
      grants[entry.camera]?.removeAll { $0.incident == entry.id }
    }
    try await store.open(
      self.entry(
        of: PartOpened(
          part: part.part, recording: part.recording, service: part.service, number: number,
          localDay: part.localDay, wrappedKey: part.wrappedKey, path: part.path), service))
    return (number, 0)
  }

  private struct FoundFacts: Decodable {
    var camera: String
    var agent: String
    var reference: String?
    var activation: String?
  }
}
