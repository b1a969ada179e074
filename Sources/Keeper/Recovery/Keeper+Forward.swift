internal import Crypto
internal import Doctrine
internal import Footage
internal import Foundation
internal import Journal
internal import Logging
internal import Seams
internal import Vault

/// A database that is behind: a kill came between the journal and a row, or an old dump was restored.
///
/// The journal's files and the footage's files are the truth. Invariants: (1) every entry that the index had not is
/// applied in order, and applying one twice changes nothing; (2) every master that the register does not know is brought
/// in from its own header and chunks; (3) what the journal does not carry (names, passwords, answers) is counted by act and
/// named, and the sweeper then asks a person before it erases anything.
// P6, P8, docs/design/durability.md.
extension Keeper {
  struct Forwarded {
    /// The register was lost whole: services and agents are made again too.
    var isRebuild = false
    var entries = 0
    var parts = 0
    /// Files of parts that were erased, with their certificates, and are removed again.
    var removed = 0
    /// Acts that only a person can do again, with how many.
    var left: [String: Int] = [:]
    /// Parts with a certificate, and entries whose act failed after them: looked for before anything is applied.
    var certified: Set<String> = []
    var failed: Set<UInt64> = []
    /// Incidents of recordings, as their openings say: what an erasure leaves hangs on them.
    var incidents: [String: String] = [:]

    mutating func leave(_ act: String) { left[act, default: 0] += 1 }
  }

  /// Brings the register forward from the journal's entries `first..<size`, and from the footage of their time.
  func bringForward(from first: UInt64) async throws {
    guard first < scribe.mark.size, let oldest = try entry(at: first) else { return }
    var done = Forwarded()
    let day = calendar.day(of: UTCTime(microseconds: oldest.time_us)).adding(days: -1)
    try await follow(from: first, footage: try await unknownFootage(since: day), &done)
    guard done.parts > 0 || !done.left.isEmpty else { return }
    try await conclude("register.brought-forward", done)
  }

  /// Says what was done, and stops the sweeper where a person has to look first.
  func conclude(_ act: String, _ done: Forwarded) async throws {
    try await scribe.write(
      .statement, act, author: "keeper", service: nil,
      [
        "entries": .integer(Int64(done.entries)), "parts": .integer(Int64(done.parts)),
        "removed": .integer(Int64(done.removed)), "left": .object(done.left.mapValues { .integer(Int64($0)) }),
      ])
    logger.notice("register brought forward", metadata: ["entries": "\(done.entries)", "parts": "\(done.parts)"])
    if !done.left.isEmpty { try await stopSweeper(behind: UInt64(done.entries), left: done.left) }
  }

  /// Follows the journal from an entry on, and brings in each master at its time: a term is that of the regime then, holds
  /// and threats hang on what was there before them.
  ///
  /// - Parameters:
  ///   - end: entries from there on are left out; nil: up to the newest.
  ///   - acts: entries of these alone are applied; nil: all.
  func follow(
    from first: UInt64, to end: UInt64? = nil, footage: [FoundPart], only acts: Set<String>? = nil,
    _ done: inout Forwarded
  ) async throws {
    let end = end ?? scribe.mark.size
    try await eachEntry(from: first, to: end) { entry, _ in
      if entry.act == "erasure.certificate", let part = entry.facts["part"]?.string { done.certified.insert(part) }
      if entry.act.hasSuffix(".failed"), let failed = entry.facts["entry"]?.integer {
        done.failed.insert(UInt64(failed))
      }
    }
    var waiting = footage[...]
    try await eachEntry(from: first, to: end) { entry, position in
      while let part = waiting.first, part.created.microseconds <= entry.time_us {
        try await bringIn(part, &done)
        waiting.removeFirst()
      }
      guard acts?.contains(entry.act) ?? true else { return }
      done.entries += 1
      guard !done.failed.contains(position) else { return }
      do {
        if try await !apply(entry, position, &done) { done.leave(entry.act) }
      } catch  where store.isTransient(error) {
        throw error
      } catch {
        logger.warning("an entry could not be applied", metadata: ["position": "\(position)", "error": "\(error)"])
        done.leave(entry.act)
      }
    }
    for part in waiting { try await bringIn(part, &done) }
  }

  private func eachEntry(
    from first: UInt64, to size: UInt64, _ body: (JournalEntry, UInt64) async throws -> Void
  ) async throws {
    guard first < size else { return }
    for bundle in (first / 256)...((size - 1) / 256) {
      for (place, bytes) in try scribe.folder.bundle(bundle).enumerated() {
        let position = bundle * 256 + UInt64(place)
        guard position >= first, position < size, let entry = JournalEntry(canonical: bytes) else { continue }
        try await body(entry, position)
      }
    }
  }

  private func entry(at position: UInt64) throws -> JournalEntry? {
    let bundle = try scribe.folder.bundle(position / 256)
    // A purged bundle begins with what is left of it.
    return bundle.dropFirst(Int(position % 256)).lazy.compactMap { JournalEntry(canonical: $0) }.first
  }

  // MARK: Footage

  /// Masters of a day and after that the register does not know, or believes open though they are closed; oldest first.
  func unknownFootage(since day: LocalDate) async throws -> [FoundPart] {
    let root = settings.footageRoot
    let found = await BlockingWork.run {
      var found: [FoundPart] = []
      FootageTree.walk(root) { path in
        // By its folder first: a start does not open the files of six months.
        let folders = path.split(separator: "/").dropLast().suffix(3).compactMap { Int($0) }
        guard folders.count == 3, LocalDate(year: folders[0], month: folders[1], day: folders[2]) >= day else { return }
        guard let header = try? PartReader.header(of: root + "/" + path) else { return }
        let part = FoundPart(header, path: path, isClosed: PartReader.endsWithClose(root + "/" + path))
        if part.localDay >= day { found.append(part) }
      }
      return found.sorted { $0.created < $1.created }
    }
    let open = Set(try await store.openParts().map(\.0.id))
    var unknown: [FoundPart] = []
    for start in stride(from: 0, to: found.count, by: 1000) {
      let some = found[start..<min(start + 1000, found.count)]
      let known = try await store.known(among: some.map(\.part))
      unknown += some.filter { !known.contains($0.part) || $0.isClosed && open.contains($0.part) }
    }
    return unknown
  }

  private func bringIn(_ part: FoundPart, _ done: inout Forwarded) async throws {
    do {
      // It was erased, with its certificate, and a copy of its file came back: it goes again.
      guard !done.certified.contains(part.part.rawValue) else {
        try removeFiles(of: part.part, path: part.path)
        done.removed += 1
        return
      }
      if done.isRebuild { try await makeService(of: part) }
      try await bringIn(part)
      done.parts += 1
    } catch  where store.isTransient(error) {
      throw error
    } catch {
      logger.error("a master could not be brought in", metadata: ["part": "\(part.part)", "error": "\(error)"])
      done.leave("footage")
    }
    rebuilding?.done += 1
  }

  private func bringIn(_ part: FoundPart) async throws {
    let key = try key(of: part)
    _ = try await adopt(part, key: key, isTold: true)
    // One that is open still is the ingest's to go on with, and to tell.
    guard part.isClosed else { return }
    let index = try await fileIndex(
      part.part, of: part.recording, path: part.path, key: key,
      proving: try await store.indexedUpTo(part.part)?.progress)
    try await store.close(index.progress)
    try await store.replaceIndex(of: index.progress, with: index.rows)
    guard let note = index.close, let cause = ClosingCause(rawValue: note.cause) else { return }
    try await store.close(
      IncidentClosed(
        incident: part.incident, recording: part.recording, camera: active[part.incident]?.entry.camera ?? CameraID(""),
        at: UTCTime(microseconds: note.closed_us), cause: cause, by: nil, damage: index.damage))
    active[part.incident] = nil
  }

  // MARK: Entries

  /// What an entry did to the register, done again; false where the journal does not carry enough for that.
  private func apply(_ entry: JournalEntry, _ position: UInt64, _ done: inout Forwarded) async throws -> Bool {
    if done.isRebuild, let applied = try await rebuild(from: entry, position, &done) { return applied }
    let facts = entry.facts
    func text(_ name: String) -> String? { facts[name]?.string }
    let at = UTCTime(microseconds: entry.time_us)
    let service = ServiceID(entry.service ?? "")
    switch entry.act {
    case "threat.declared":
      guard let id = text("threat"), let incident = text("incident"),
        let ground = text("ground").flatMap(ThreatGround.init),
        let origin = text("origin").flatMap(ThreatEntry.Origin.init)
      else { return false }
      guard try await store.activeIncidents().contains(where: { $0.0.id.rawValue == incident }) else { return true }
      try await store.insert(
        ThreatEntry(
          id: ThreatID(id), incident: IncidentID(incident), origin: origin, author: entry.author, ground: ground,
          reason: text("reason"), openedAt: at))
    case "threat.ended":
      guard let id = text("threat") else { return false }
      try await store.closeThreat(ThreatID(id), at: at)
    case "incident.close-requested":
      guard let id = text("incident"), let cause = text("cause").flatMap(ClosingCause.init) else { return false }
      try await store.requestClose(IncidentID(id), cause: cause, by: entry.author)
    case "hold.placed": return try await applyHold(entry, at)
    case "hold.released":
      guard let id = text("hold") else { return false }
      try await store.release(HoldID(id), by: entry.author, reason: text("release_reason") ?? "?", at: at)
    case "accreditation.given", "head.seated":
      guard let id = text("given"), let account = text("to_account"), let role = text("given_role").flatMap(Role.init),
        let until = facts["until_us"]?.integer
      else { return false }
      guard try await store.accreditation(AccreditationID(id)) == nil else { return true }
      try await store.insert(
        Accreditation(
          id: AccreditationID(id), role: role, service: service, act: text("given_act") ?? "?",
          from: facts["from_us"]?.integer.map { UTCTime(microseconds: $0) } ?? at, until: UTCTime(microseconds: until)),
        account: AccountID(account), givenBy: entry.author)
    case "accreditation.ended":
      guard let id = text("ended") else { return false }
      try await store.endAccreditation(AccreditationID(id), by: entry.author, act: text("end_act") ?? "?", at: at)
    case "regime.changed": return try await applyRegime(entry, service)
    case "camera.issued":
      guard let camera = text("camera"), let agent = text("agent") else { return false }
      // Enrolling it again is among what is left to do.
      guard cameras[CameraID(camera)] != nil || !done.isRebuild else { return true }
      let soon = at.adding(seconds: 1)
      if try await !store.wasIssued(CameraID(camera), to: AgentID(agent), at: soon) {
        try await store.issueCamera(CameraID(camera), issue: newID(), to: AgentID(agent), by: entry.author, at: at)
      }
    case "camera.returned":
      guard let camera = text("camera") else { return false }
      try await store.returnCamera(CameraID(camera), at: at)
    case "camera.enabled", "camera.disabled":
      guard let camera = text("camera") else { return false }
      try await store.setCamera(CameraID(camera), enabled: entry.act == "camera.enabled")
    case "camera.reception-set":
      guard let camera = text("camera"), let rate_kbps = facts["maximum_rate_kbps"]?.integer else { return false }
      try await store.setReception(
        of: CameraID(camera), facts["window_ms"]?.integer.map { .timely(window_ms: Int($0)) } ?? .complete,
        maximumRate_kbps: Int(rate_kbps))
    case "service.relay-set":
      guard let budget_ms = facts["budget_ms"]?.integer else { return false }
      // Some were set while more could be.
      let bounds_ms = ReceptionSettings.relayBudgets_ms
      try await store.setRelayBudget(
        of: service, Int(min(max(budget_ms, Int64(bounds_ms.lowerBound)), Int64(bounds_ms.upperBound))))
    case "incident.opened", "recording.clock":
      guard let recording = text("recording"), let offset_ms = facts["clock_offset_ms"]?.integer else { return true }
      // Entries without a source are of a time when only the device told.
      try await store.setClocks([
        RecordingID(recording): RecordingClock(
          offset_ms: offset_ms, source: text("clock_source").flatMap(ClockSource.init) ?? .device,
          isOff: facts["clock_off"] == .bool(true))
      ])
    case "stream.joined":
      guard let recording = text("recording"), let reference = text("reference") else { return true }
      try await store.setReference(of: RecordingID(recording), reference)
    case "account.enabled", "account.disabled":
      guard let account = text("account") else { return false }
      try await store.disableAccount(AccountID(account), at: entry.act == "account.disabled" ? at : nil)
    case "procedure.linked":
      guard let recording = text("recording"), let kind = text("procedure").flatMap(ProcedureKind.init),
        let reference = text("reference")
      else { return false }
      try await store.link(
        RecordingID(recording), service: service, kind: kind, reference: reference, by: entry.author, at: at)
    case "procedure.unlinked":
      guard let recording = text("recording"), let reference = text("reference") else { return false }
      try await store.unlink(RecordingID(recording), reference: reference)
    case "footage.moved":
      guard let part = text("part"), let place = text("place").flatMap(FootagePlace.init) else { return false }
      let isKnown = try await store.setPlace(PartID(part), place, location: text("location") ?? "?")
      // One that nothing here knows, and that was not erased since, lies in the store without a term: a person must look.
      return isKnown || done.certified.contains(part)
    case "erasure.certificate":
      guard let part = text("part"), let recording = text("recording") else { return false }
      // Footage that came back with the register: nothing opens it any more, and it goes again.
      if let known = try await store.part(PartID(part)) { try removeFiles(of: known.id, path: known.path) }
      try await store.eraseFacts(of: PartID(part), recording: RecordingID(recording), certificate: position, at: at)
    case "service.created", "service.authorised", "agent.created", "account.created", "camera.enrolled",
      "second-factor.confirmed", "second-factor.reset", "second-factor.recovery-code-used", "password.changed",
      "identity.linked", "closing.answered", "recording.justified", "request.received", "request.decided",
      "erasure.proposed", "erasure.confirmed", "erasure.withdrawn":
      return try await isApplied(entry)
    default: break
    }
    return true
  }

  /// Whether the register has what an entry cannot bring back: an ordinary kill leaves no more than that behind.
  private func isApplied(_ entry: JournalEntry) async throws -> Bool {
    func text(_ name: String) -> String? { entry.facts[name]?.string }
    switch entry.act {
    case "service.created": return entry.service.map { services[ServiceID($0)] != nil } ?? false
    case "agent.created": return try await store.agent(AgentID(text("agent") ?? newID())) != nil
    case "account.created": return try await store.account(AccountID(text("account") ?? newID())) != nil
    case "camera.enrolled": return cameras[CameraID(text("camera") ?? "")] != nil
    default: return false
    }
  }

  private func applyHold(_ entry: JournalEntry, _ at: UTCTime) async throws -> Bool {
    func text(_ name: String) -> String? { entry.facts[name]?.string }
    guard let id = text("hold"), let recording = text("recording"), let service = entry.service,
      let kind = text("procedure").flatMap(ProcedureKind.init), let reference = text("reference"),
      let authority = text("authority"), let requested = text("requested_on").flatMap({ LocalDate($0) }),
      let review = text("review_on").flatMap({ LocalDate($0) })
    else { return false }
    guard try await store.hold(HoldID(id)) == nil else { return true }
    let hold = HoldEntry(
      id: HoldID(id), recording: RecordingID(recording), service: ServiceID(service), kind: kind, reference: reference,
      authority: authority, requestedOn: requested, reviewOn: review, placedAt: at, placedBy: entry.author)
    return try await store.place(hold, keys: try await heldKeys(of: hold.recording))
  }

  private func applyRegime(_ entry: JournalEntry, _ service: ServiceID) async throws -> Bool {
    let facts = entry.facts
    guard var regime = facts["regime"]?.string.flatMap(Regime.named), let version = facts["version"]?.integer,
      let months = facts["term_months"]?.integer, let known = services[service]
    else { return false }
    guard known.regime.version < Int(version) else { return true }
    regime.version = Int(version)
    regime.term_months = Int(months)
    if case .bool(let value)? = facts["live_sound"] { regime.liveSound = value }
    if case .bool(let value)? = facts["command_room_may_declare"] { regime.commandRoomMayDeclare = value }
    if case .bool(let value)? = facts["wearer_may_extract"] { regime.wearerMayExtract = value }
    _ = try await store.setRegime(of: service, regime)
    services[service]?.regime = regime
    return true
  }
}
