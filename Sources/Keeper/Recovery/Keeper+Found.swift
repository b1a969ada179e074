internal import Crypto
internal import Doctrine
internal import Footage
internal import Foundation
internal import Journal
internal import Logging
internal import Seams
internal import Vault

/// Files that a stop of the ingest left open, or closed without anybody having been told.
extension Keeper {
  /// Answers for a page of files found open or closed lately.
  ///
  /// The newest part of an incident that is still active goes on; every other is to be closed.
  ///
  /// - Parameter taken: parts that the ingest is writing by now, because the database was away when it first asked: nothing
  ///   else is taken up any more.
  /// - Throws: a problem where a page is being answered: one whose answer was late is asked for again.
  func answer(found parts: [FoundPart], taken: Set<PartID>?) async throws -> IngestReply {
    guard !takesFound else { throw Problem.unavailable("le keeper") }
    takesFound = true
    defer { takesFound = false }
    if isDatabaseAway { return .found(try answerFromMemory(parts), isWhole: false) }
    do {
      return .found(try await answer(found: parts, taken), isWhole: true)
    } catch  where store.isTransient(error) {
      setDatabaseAway(true)
      return .found(try answerFromMemory(parts), isWhole: false)
    }
  }

  /// Answers for what only the index believes open: it was closed on disk before that could be told, or its file is gone.
  func answer(foundAll files: FoundFiles) async throws -> IngestReply {
    guard !takesFound else { throw Problem.unavailable("le keeper") }
    takesFound = true
    defer { takesFound = false }
    if isDatabaseAway { return .found([], isWhole: false) }
    do {
      return .found(try await answer(files), isWhole: true)
    } catch  where store.isTransient(error) {
      setDatabaseAway(true)
      return .found([], isWhole: false)
    }
  }

  /// While the database is away: the newest part of an incident that is known to be active goes on, the rest waits.
  private func answerFromMemory(_ parts: [FoundPart]) throws -> [FoundPartAnswer] {
    var answers: [FoundPartAnswer] = []
    for part in parts where !part.isClosed && isNewest(part, of: parts) {
      guard let incident = active[part.incident], incident.closing == nil,
        incident.entry.recording == part.recording, let key = try? key(of: part)
      else { continue }
      partService[part.part] = part.service
      answers.append(
        FoundPartAnswer(
          grant: grant(part.part, incident.lastPart, part.localDay, key, part.wrappedKey), recording: part.recording,
          incident: part.incident, path: part.path, indexed: nil, resume: try resumed(incident, part), closing: nil))
    }
    return answers
  }

  private func answer(found parts: [FoundPart], _ taken: Set<PartID>?) async throws -> [FoundPartAnswer] {
    var answers: [FoundPartAnswer] = []
    // Nearly all are known: asked in one go, so that a start does not wait for each.
    let known = try await store.known(among: parts.filter(\.isClosed).map(\.part))
    let numbers = try await store.numbers(of: parts.filter { !$0.isClosed }.map(\.part))
    for part in parts.sorted(by: { $0.created < $1.created }) where !known.contains(part.part) {
      guard let key = try? key(of: part) else {
        logger.error("an open part's key cannot be had", metadata: ["part": "\(part.part)"])
        continue
      }
      let number: Int
      if let registered = numbers[part.part] {
        partService[part.part] = part.service
        number = registered
      } else {
        do {
          number = try await adopt(part, key: key)
        } catch  where error is VaultError || store.isTransient(error) {
          throw error
        } catch {
          logger.error("a part cannot be registered", metadata: ["part": "\(part.part)", "error": "\(error)"])
          continue
        }
      }
      // A closed file that is registered by now is answered at the end, if the index still believes it open.
      if part.isClosed || taken?.contains(part.part) == true { continue }
      let isNewest = isNewest(part, of: parts)
      if isNewest, taken != nil, let incident = active[part.incident], incident.closing == nil {
        // The ingest did not take it up when it started, and may have opened another incident of this camera since.
        try await requestClose(part.incident, .serverRestart, by: "keeper")
      }
      active[part.incident]?.streaming = false
      let closing = isNewest ? pendingClose(part.incident) : nil
      var resume: ResumedIncident?
      if isNewest, closing == nil, let incident = active[part.incident] { resume = try resumed(incident, part) }
      answers.append(
        FoundPartAnswer(
          grant: grant(part.part, number, part.localDay, key, part.wrappedKey), recording: part.recording,
          incident: part.incident, path: part.path, indexed: nil, resume: resume, closing: closing))
    }
    try await addIndexedPoints(to: &answers)
    publishWall()
    return answers
  }

  private func answer(_ files: FoundFiles) async throws -> [FoundPartAnswer] {
    var answers: [FoundPartAnswer] = []
    let (told, going) = (Set(files.open), Set(files.going))
    let openInIndex = try await store.openParts().filter { !told.contains($0.0.id) }
    let last = Dictionary(grouping: openInIndex, by: \.0.recording).compactMapValues { $0.map(\.0.number).max() }
    for (entry, incident, _) in openInIndex {
      guard let key = try? partKey(of: entry) else { continue }
      var closing: PendingClose?
      if last[entry.recording] == entry.number, !going.contains(incident), let known = active[incident],
        known.entry.openedAt < files.startedAt
      {
        closing =
          pendingClose(incident)
          ?? PendingClose(camera: known.entry.camera, cause: .serverRestart, by: nil)
      }
      answers.append(
        FoundPartAnswer(
          grant: grant(entry.id, entry.number, entry.localDay, key, Blob(entry.wrappedKey)),
          recording: entry.recording, incident: incident, path: entry.path, indexed: nil, resume: nil, closing: closing)
      )
    }
    try await addIndexedPoints(to: &answers)
    try await closeWithoutFile(
      except: going.union(answers.compactMap { $0.closing == nil ? nil : $0.incident }), before: files.startedAt)
    publishWall()
    return answers
  }

  /// How far the register has them, in one go.
  private func addIndexedPoints(to answers: inout [FoundPartAnswer]) async throws {
    let points = try await store.indexedUpTo(answers.map(\.grant.part))
    for index in answers.indices {
      guard let point = points[answers[index].grant.part] else { continue }
      answers[index].indexed = IndexedPoint(
        chunkCount: point.progress.chunkCount, head: point.progress.chainHead, file_bytes: point.progress.file_bytes,
        lastArrival: point.lastArrival ?? UTCTime(microseconds: 0), lastEpoch: point.lastEpoch)
    }
  }

  private func isNewest(_ part: FoundPart, of parts: [FoundPart]) -> Bool {
    !parts.contains { $0.recording == part.recording && $0.created > part.created && !$0.isClosed }
  }

  /// - Throws: where the day key, and what a hold kept of it, are gone.
  func key(of part: FoundPart) throws -> SymmetricKey {
    let wrapping = wrapping(of: part.part, in: part.service, part.localDay, part.wrappedKey.bytes)
    return try keys.openPartKey(
      wrapping.wrapped, service: part.service.rawValue, day: wrapping.name,
      part: UUIDText.binary(part.part.rawValue) ?? [])
  }

  /// How a part's key is wrapped: by its day, as its file says, or by a hold that took it out of its day.
  func wrapping(
    of part: PartID, in service: ServiceID, _ day: LocalDate, _ wrapped: [UInt8]
  ) -> (wrapped: [UInt8], name: String) {
    let name = Self.heldKeyName(part)
    let kept = keys.rewrapped(service: service.rawValue, as: name, part: UUIDText.binary(part.rawValue) ?? [])
    return kept.map { ($0, name) } ?? (wrapped, day.description)
  }

  private func resumed(_ incident: ActiveIncident, _ part: FoundPart) throws -> ResumedIncident {
    incident.streaming = false
    return ResumedIncident(
      camera: incident.entry.camera, agent: incident.entry.agent, activation: incident.entry.activation,
      parts: try partGrants(for: part.service, from: part.localDay))
  }

  /// Incidents that are active here and of which no open file is left: they ended while nobody could tell.
  private func closeWithoutFile(except kept: Set<IncidentID>, before start: UTCTime) async throws {
    for (id, incident) in active where !kept.contains(id) && incident.entry.openedAt < start {
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
  /// - Returns: the part's number in its recording.
  func adopt(_ part: FoundPart, key: SymmetricKey, isTold: Bool = false) async throws -> Int {
    partService[part.part] = part.service
    let indexed = try await store.parts(of: part.recording)
    if let known = indexed.first(where: { $0.0.id == part.part }) { return known.0.number }
    guard let service = services[part.service] else { throw Problem.fault }
    let number = indexed.count + 1
    if try await store.facts(of: part.recording) == nil {
      let named = try foundFacts(of: part, key: key)
      let entry = IncidentEntry(
        id: part.incident, recording: part.recording, service: part.service, camera: CameraID(named.camera),
        agent: AgentID(named.agent), reference: named.reference, activation: named.activation,
        openedAt: part.created)
      // One that the keeper has in memory knows its clock; one that was told has it in its entry.
      let clock = active[part.incident].map(\.clock) ?? (isTold ? nil : clock(of: entry))
      let decision = may(Actor(.device), .openIncident, try await opening(entry), at: part.created)
      if !isTold {
        try await scribe.write(
          .collection, "incident.opened", author: "wearer:\(named.agent)", service: part.service,
          [
            "incident": .string(part.incident.rawValue), "recording": .string(part.recording.rawValue),
            "camera": .string(named.camera), "agent": .string(named.agent), "trigger": .string("wearer"),
            "opened_us": .integer(part.created.microseconds), "recovered": .bool(true),
          ].merging(Self.facts(of: decision)) { $1 }.merging(Self.facts(of: clock)) { $1 })
      }
      try await store.open(entry)
      if let clock { try await store.setClocks([entry.recording: clock]) }
      // One that is known already may be live by now.
      if active[part.incident] == nil {
        let incident = ActiveIncident(entry: entry, agent: try await store.agent(entry.agent))
        incident.clock = clock
        active[part.incident] = incident
      }
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
    return number
  }

  /// What a part's header says, sealed, of who recorded it.
  func foundFacts(of part: FoundPart, key: SymmetricKey) throws -> FoundFacts {
    let facts = try Sealing.open(
      part.sealedFacts.bytes, under: key, purpose: Sealing.factsPurpose,
      subject: UUIDText.binary(part.part.rawValue) ?? [])
    return try JSONDecoder().decode(FoundFacts.self, from: Data(facts))
  }

  struct FoundFacts: Decodable {
    var camera: String
    var agent: String
    var regime: String?
    var regimeVersion: Int?
    var reference: String?
    var activation: String?
  }
}
