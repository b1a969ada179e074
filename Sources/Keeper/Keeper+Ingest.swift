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
    case .refusals(let boot, let number, let lines): return try await take(refusals: lines, boot: boot, number: number)
    case .status(let status):
      took(status)
      return .acknowledged(upTo: ingestDone, noted: ingestNoted)
    case .found(let parts, let taken): return try await answer(found: parts, taken: taken.map { Set($0) })
    case .foundAll(let files): return try await answer(foundAll: files)
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
    var due = events[...]
    while !isDatabaseAway, let event = due.first {
      guard event.number == ingestDone + 1 else {
        due.removeFirst()
        continue
      }
      let done = try await indexNext(due)
      guard done > 0 else { break }
      for event in due.prefix(done) { ingestJournalled.remove(event.number) }
      ingestDone += UInt64(done)
      due.removeFirst(done)
    }
    // What hung on an incident of this batch: its threat must not wait for the slow clock.
    if !pendingWrites.isEmpty, !isDatabaseAway { await drainPending() }
    return .acknowledged(upTo: ingestDone, noted: ingestNoted)
  }

  /// Brings the next of what is due into the register, index rows together in one go; returns how many that were, none
  /// where the database is away.
  private func indexNext(_ due: ArraySlice<NumberedEvent>) async throws -> Int {
    var rows = IndexRows()
    var count = 0
    for event in due {
      // Only what follows without a hole.
      guard event.number == ingestDone + 1 + UInt64(count), event.event.adds(to: &rows) else { break }
      count += 1
    }
    do {
      if count > 1 {
        try await store.insert(rows)
      } else {
        count = 1
        if let event = due.first?.event { try await index(event) }
      }
      setDatabaseAway(false)
      return count
    } catch  where store.isTransient(error) {
      logger.warning("events wait for the database", metadata: ["number": "\(ingestDone + 1)", "error": "\(error)"])
      setDatabaseAway(true)
      return 0
    } catch  where count > 1 {
      // One of them cannot be taken: which, is found one by one.
      return try await indexNext(due.prefix(1))
    } catch {
      // One event that can never be taken must not hold every camera's back; the files have what it says.
      logger.error("an event was not taken", metadata: ["number": "\(ingestDone + 1)", "error": "\(error)"])
      return 1
    }
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
      if let incident = active.values.first(where: { $0.entry.recording == part.recording }) {
        incident.lastPart = max(incident.lastPart, part.number)
      }
      if sweptDay(after: part.localDay) != nil, sweeper.stopped == nil {
        try? await stopSweeper(
          because:
            "un enregistrement est daté du \(part.localDay), avant le dernier passage : l'horloge était fausse ; vérifiez-la (clock was wrong)"
        )
      }
      try await journalOnce(
        number, .collection, "part.opened", author: "ingest", service: part.service,
        [
          "recording": .string(part.recording.rawValue), "part": .string(part.part.rawValue),
          "day": .string(part.localDay.description),
        ])
    case .streamJoined(let incident, let recording, let epoch, let at, let peer, let said):
      if let known = active[incident] {
        known.streaming = true
        linkJoined(known.entry.camera, recording, at: at)
        if known.entry.reference == nil { known.entry.reference = said.reference }
      }
      publishWall()
      var facts: [String: CanonicalJSON] = [
        "recording": .string(recording.rawValue), "epoch": .integer(epoch), "at_us": .integer(at.microseconds),
        "peer": .string(peer),
      ]
      facts["ground"] = said.threat.map { .string($0.rawValue) }
      facts["reference"] = said.reference.map(CanonicalJSON.string)
      try await journalOnce(
        number, .collection, "stream.joined", author: "camera", service: active[incident]?.entry.service, facts)
      if let threat = said.threat { try await declare(threat, byWearerOf: incident) }
    case .streamLeft(let incident, let recording, let epoch, let at):
      if let known = active[incident] {
        known.streaming = false
        linkLeft(known.entry.camera)
      }
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
          "missing": .integer(gap.missing),
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
    case .linkTested(let result):
      lastLinkTest[result.camera] = result
    case .streaming(let recordings):
      linksStand(recordings)
      publishWall()
    case .linkHealth(let list): took(list)
    case .segment: break
    }
  }

  /// What an event is in the register. Told again, it changes nothing.
  private func index(_ event: IngestEvent) async throws {
    switch event {
    case .incidentOpened(let entry, _, _):
      try await store.open(entry)
      if let clock = active[entry.id]?.clock {
        try await store.setClocks([entry.recording: clock])
      }
    case .partOpened(let part):
      // The regime of now, read after the wait: a change meanwhile shortens this one too.
      guard let service = services[part.service] else { return }
      var entry = entry(of: part, service)
      if let swept = sweptDay(after: part.localDay) {
        entry.termDay = Term(recordedOn: swept, under: service.regime).endDay
      }
      try await store.open(entry)
    case .segment(let segment): try await store.insert(IndexRows(segments: [segment]))
    case .gap(let gap): try await store.insert(IndexRows(gaps: [gap]))
    case .partClosed(let progress):
      try await store.close(progress)
      // Rows that were dropped or lost are in the file: read beside, as the other cameras' news do not wait for it.
      if try await !store.isIndexWhole(progress.part) { unwholeParts.append(progress) }
      partService[progress.part] = nil
    case .incidentClosed(let closed):
      var stored = closed
      stored.by = closed.by ?? active[closed.incident]?.closing?.by
      try await store.close(stored)
      active[closed.incident] = nil
      publishWall()
    case .streamJoined(_, let recording, _, _, _, let said):
      if let reference = said.reference { try await store.setReference(of: recording, reference) }
    case .streamLeft, .chainHeads, .linkTested, .linkHealth, .streaming: break
    }
  }

  /// The day of the last pass of the sweeper, where a part that is opened now is dated before it: the clock is wrong, and a
  /// term that began with it would end too soon (MET-3, RET-2).
  private func sweptDay(after day: LocalDate) -> LocalDate? {
    guard let swept = sweeper.lastRun.map({ calendar.day(of: $0) }), day < swept.adding(days: -1) else { return nil }
    return swept
  }

  private static func fact(_ progress: PartProgress) -> CanonicalJSON {
    .object([
      "part": .string(progress.part.rawValue), "chunks": .integer(progress.chunkCount),
      "hash": .string(progress.chainHead.hexadecimal),
    ])
  }

  func entry(of part: PartOpened, _ service: ServiceEntry) -> PartEntry {
    let wrapping = wrapping(of: part.part, in: part.service, part.localDay, part.wrappedKey.bytes)
    return PartEntry(
      id: part.part, recording: part.recording, service: part.service, number: part.number,
      localDay: part.localDay, termDay: Term(recordedOn: part.localDay, under: service.regime).endDay,
      regime: service.regime.name, regimeVersion: service.regime.version, wrappedKey: wrapping.wrapped,
      keyName: wrapping.name, path: part.path)
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
      let incident = ActiveIncident(entry: entry, agent: agent?.id == entry.agent ? agent : nil)
      incident.clock = clock(of: entry)
      active[entry.id] = incident
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
      ].merging(Self.facts(of: decision)) { $1 }.merging(Self.facts(of: active[entry.id]?.clock)) { $1 })
    if case .refused = decision {
      try await requestClose(entry.id, .cameraWithdrawn, by: "keeper", facts: Self.facts(of: decision))
    }
    if let threat { try await declare(threat, byWearerOf: entry.id) }
  }

  /// A threat that a camera's call carries, at the opening or when it comes back: declared once in an incident. A call that
  /// is made again says what the first one said, and declares no ended threat anew.
  // LIVE-1.
  private func declare(_ ground: ThreatGround, byWearerOf incident: IncidentID) async throws {
    guard let known = active[incident], !known.wasThreatened else { return }
    let decision = may(Actor(.device), .declareThreat, try object(known), at: clock())
    guard case .granted = decision else { return }
    try await declare(
      ground, incident: incident, origin: .wearer,
      author: "wearer:\(known.agent?.matricule ?? known.entry.agent.rawValue)", reason: nil,
      facts: Self.facts(of: decision))
  }

  /// How the camera of an incident stood when it was opened: what is told late is judged by its own time.
  func opening(_ entry: IncidentEntry) async throws -> ActObject {
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
    let position = try await scribe.write(
      .modification, "threat.declared", author: author, service: known.entry.service,
      facts.merging([
        "incident": .string(incident.rawValue), "threat": .string(threat.id.rawValue),
        "ground": .string(ground.rawValue), "origin": .string(origin.rawValue),
        "reason": reason.map(CanonicalJSON.string) ?? .null,
      ]) { $1 })
    known.wasThreatened = true
    // It is in force from here on, whatever becomes of its row.
    if active[incident]?.live.threatDeclared(threat) == .begin {
      publishLive(incident)
      publishWall()
    }
    let store = self.store
    await follow("threat declared", position) { try await store.insert(threat) }
  }

  /// - Parameter number: of the event; nil where the keeper itself finds the incident over.
  ///
  /// Memory and journal; the register follows by what this returns.
  func ended(_ number: UInt64?, _ closed: IncidentClosed) async throws -> IncidentClosed {
    let known = active[closed.incident]
    let author = closed.by ?? known?.closing?.by ?? (closed.cause == .endedByWearer ? "wearer" : "server")
    // Somebody's close has its own entry; one by the passing of time rests on the text.
    let decision = try known.map { may(Actor(.deadline), .closeIncident, try object($0), at: clock()) }
    active[closed.incident]?.close(closed.cause, by: author)
    if let known, known.streaming {
      known.streaming = false
      linkLeft(known.entry.camera)
    }
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
}

extension IngestEvent {
  /// Adds an index row; false where the event is none.
  fileprivate func adds(to rows: inout IndexRows) -> Bool {
    switch self {
    case .segment(let segment): rows.segments.append(segment)
    case .gap(let gap): rows.gaps.append(gap)
    default: return false
    }
    return true
  }
}
