internal import Doctrine
internal import Footage
internal import Foundation
internal import Identity
internal import Journal
internal import Logging
package import Seams
internal import Vault

/// A holder for the limiter, which the module's face does not name.
struct AddressLimiterBox { var limiter = AddressLimiter() }

/// What people ask through the console.
extension Keeper {
  package func answer(_ call: ConsoleCall) async throws -> ConsoleReply {
    switch call {
    case .logIn(let name, let password, let peer): return try await logIn(name, password, peer: peer)
    case .logOut(let token):
      let hash = Tokens.hash(token)
      let person = try await session(token)
      try await scribe.write(
        .consultation, "log-out", author: person.account.name, service: person.account.agent.service, [:])
      try await store.deleteSession(hash)
      for (id, viewing) in viewings where viewing.session == hash { try await leave(id, cause: "logged-out") }
      return .done
    case .session(let token): return .session(try await session(token).info)
    case .joinLive(let token, let recording): return try await joinLive(try await session(token), recording)
    case .leave(let viewing):
      try await leave(viewing, cause: "left")
      return .done
    case .closeIncident(let token, let incident):
      return try await closeIncident(try await session(token), incident)
    case .declareThreat(let token, let incident, let ground, let reason):
      return try await declareThreat(try await session(token), incident, ground, reason)
    case .endThreat(let token, let incident): return try await endThreat(try await session(token), incident)
    case .agents(let token, let service):
      try allow(try await session(token), .issueCamera, in: service)
      return .agents(try await store.agents(of: service))
    case .issueCamera(let token, let camera, let agent):
      let person = try await session(token)
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      try allow(person, .issueCamera, in: known.service)
      try await issue(camera, to: agent, by: person.account.name)
      return .done
    case .refusals(let token, let limit): return try await refusals(try await session(token), limit)
    case .register(let token, let filter): return try await register(try await session(token), filter)
    case .extract(let token, let recording, let reason, let reference, let form):
      return try await extract(try await session(token), recording, reason, reference, form)
    case .indexFacts(let token): return try await indexFacts(try await session(token))
    case .deviceState(let token): return .deviceState(deviceState(try camera(byToken: token)))
    case .deviceCloseIncident(let token): return try await deviceClose(try camera(byToken: token))
    case .deviceDeclareThreat(let token, let ground):
      return try await deviceDeclare(try camera(byToken: token), ground)
    case .nextDecodeCheck: return try await nextDecodeCheck()
    case .decodeChecked(let recording, let verdict, let detail):
      try await store.setDecodeVerdict(recording, verdict: verdict, detail: detail)
      return .done
    }
  }

  // MARK: Who

  struct Person {
    var account: AccountEntry
    var actor: Actor
    var info: SessionInfo
    var session: [UInt8]
  }

  // ACC-8.
  private func logIn(_ name: String, _ password: String, peer: String) async throws -> ConsoleReply {
    let now = clock()
    let refused = Problem(
      401, "wrong-credentials", "Connexion refusée (Log-in refused)",
      "Identifiant ou mot de passe faux, ou compte bloqué ; après \(LogInPolicy.attemptsBeforeLock) essais le compte est bloqué \(LogInPolicy.lock_s / 60) minutes. (Wrong name or password, or locked.)"
    )
    guard addresses.limiter.allows(peer, at: now) else {
      throw Problem(
        429, "too-many-tries", "Trop d'essais (Too many tries)",
        "Plus de \(AddressLimiter.triesPerMinute) essais par minute depuis cette adresse : attendez une minute. (Wait a minute.)"
      )
    }
    // A name that no account can have is looked up as none: it must not be cut at a zero byte on its way.
    let account = AccountName.isValid(name) ? try await store.account(named: name) : nil
    let hash = account?.passwordHash ?? PasswordHash.decoy
    let matches = await Self.onThread { PasswordHash.matches(password, hash) }
    guard let account, !account.disabled, !LogInPolicy.isLocked(until: account.lockedUntil, at: now) else {
      addresses.limiter.failed(peer, at: now)
      try await scribe.write(
        .consultation, "log-in.refused", author: account?.name ?? "unknown", service: account?.agent.service,
        ["peer": .string(peer)])
      throw refused
    }
    guard matches else {
      addresses.limiter.failed(peer, at: now)
      let next = LogInPolicy.afterFailure(attempts: account.failedAttempts, at: now)
      try await store.setLogInState(account.id, failedAttempts: next.attempts, lockedUntil: next.lockedUntil)
      try await scribe.write(
        .consultation, "log-in.refused", author: account.name, service: account.agent.service,
        ["peer": .string(peer), "locked": .bool(next.lockedUntil != nil)])
      throw refused
    }
    if account.failedAttempts > 0 || account.lockedUntil != nil {
      try await store.setLogInState(account.id, failedAttempts: 0, lockedUntil: nil)
    }
    try await scribe.write(
      .consultation, "log-in", author: account.name, service: account.agent.service, ["peer": .string(peer)])
    let token = Tokens.make()
    try await store.insertSession(
      Tokens.hash(token), account: account.id, at: now, until: now.adding(seconds: LogInPolicy.sessionAbsolute_s))
    return .loggedIn(token: token, info(account, token: token))
  }

  private func session(_ token: String) async throws -> Person {
    let now = clock()
    guard
      let id = try await store.useSession(
        Tokens.hash(token), at: now, idleSince: now.adding(seconds: -LogInPolicy.sessionIdle_s)),
      let account = try await store.account(id), !account.disabled
    else { throw Problem.unauthenticated }
    return Person(
      account: account, actor: account.actor, info: info(account, token: token), session: Tokens.hash(token))
  }

  private func info(_ account: AccountEntry, token: String) -> SessionInfo {
    let wall = Set(account.accreditations.map(\.service)).filter { service in
      guard let object = try? object(in: service),
        case .granted = may(account.actor, .seeWall, object, at: clock())
      else { return false }
      return true
    }
    return SessionInfo(
      account: account.id, name: account.name, agentName: account.agent.name,
      accreditations: account.accreditations, csrf: Tokens.csrf(of: token),
      wall: wall.sorted { $0.rawValue < $1.rawValue })
  }

  /// Runs a heavy computation outside the cooperative pool.
  private static func onThread<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
      DispatchQueue.global(qos: .userInitiated).async { continuation.resume(returning: body()) }
    }
  }

  // MARK: May

  private func object(in service: ServiceID, _ incident: ActiveIncident? = nil, open: Bool = false) throws -> ActObject
  {
    guard let entry = services[service] else { throw Problem.notFound("Le service") }
    return ActObject(
      service: service, regime: entry.regime, recordingIsOpen: incident.map { $0.closing == nil } ?? open,
      live: incident?.live)
  }

  @discardableResult
  private func allow(_ person: Person, _ act: Act, in service: ServiceID) throws -> Accreditation {
    switch may(person.actor, act, try object(in: service), at: clock()) {
    case .granted(let basis): return basis
    case .refused(let refusal): throw Problem(refusal)
    }
  }

  /// Asks, and journals a refusal before it is given (LIVE-7, LOG-3).
  private func allow(
    _ person: Person, _ act: Act, _ object: ActObject, facts: [String: CanonicalJSON]
  ) async throws -> Accreditation {
    switch may(person.actor, act, object, at: clock()) {
    case .granted(let basis): return basis
    case .refused(let refusal):
      var all = facts
      all["result"] = .string("refused")
      all["code"] = .string(refusal.code)
      all["article"] = .string(refusal.article)
      try await scribe.write(
        .consultation, "\(act.rawValue).refused", author: person.account.name, service: object.service, all)
      throw Problem(refusal)
    }
  }

  /// What LOG-3 keeps of the person who acts, as they are now.
  private func facts(of person: Person, basis: Accreditation) -> [String: CanonicalJSON] {
    [
      "account": .string(person.account.id.rawValue), "matricule": .string(person.account.agent.matricule),
      "rank": .string(person.account.agent.rank), "agent_service": .string(person.account.agent.service.rawValue),
      "accreditation": .string(basis.id.rawValue), "accreditation_act": .string(basis.act),
      "role": .string(basis.role.rawValue), "result": .string("granted"),
    ]
  }

  // MARK: Live

  // LIVE-1, LIVE-3, LIVE-7, P2.
  private func joinLive(_ person: Person, _ recording: RecordingID) async throws -> ConsoleReply {
    let incident = active.values.first { $0.entry.recording == recording }
    let service: ServiceID
    if let incident {
      service = incident.entry.service
    } else {
      guard UUID(uuidString: recording.rawValue) != nil, let known = try await store.recording(recording) else {
        throw Problem.notFound("L'enregistrement")
      }
      service = known.service
    }
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(person, .watchLive, try object(in: service, incident), facts: subject)
    guard let incident, let threat = incident.threat else { throw Problem.fault }
    let viewing = ViewingID(newID())
    var facts = facts(of: person, basis: basis)
    facts["viewing"] = .string(viewing.rawValue)
    facts["recording"] = .string(recording.rawValue)
    facts["camera"] = .string(incident.entry.camera.rawValue)
    facts["incident"] = .string(incident.entry.id.rawValue)
    facts["threat"] = .string(threat.id.rawValue)
    facts["reason"] = .string("live:\(threat.ground.rawValue)")
    try await scribe.write(.consultation, "viewing.joined", author: person.account.name, service: service, facts)
    // The state may have changed while the entry became durable.
    guard active[incident.entry.id]?.live != nil else {
      _ = try await allow(
        person, .watchLive, try object(in: service, active[incident.entry.id], open: false), facts: subject)
      throw Problem.fault
    }
    viewings[viewing] = OpenViewing(
      recording: recording, account: person.account.id, name: person.account.name, service: service,
      session: person.session, until: basis.until)
    publishWall()
    do {
      try await store.insertViewing(
        viewing, recording: recording, account: person.account.id, accreditation: basis.id, kind: "live", at: clock())
    } catch {
      // The journal has it; the register's row is a convenience.
      logger.warning("a viewing is not in the register", metadata: ["error": "\(error)"])
    }
    // It may have been ended while the register was written.
    guard viewings[viewing] != nil else { throw Problem.unavailable("Le direct") }
    return .joined(viewing, sound: services[service]?.regime.liveSound ?? false)
  }

  private func declareThreat(
    _ person: Person, _ id: IncidentID, _ ground: ThreatGround, _ reason: String
  ) async throws -> ConsoleReply {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    _ = try await allow(
      person, .declareThreat, try object(in: incident.entry.service, incident),
      facts: ["incident": .string(id.rawValue)])
    guard incident.threat == nil else { return .done }
    let words = reason.trimmingCharacters(in: .whitespacesAndNewlines)
    guard (1...500).contains(words.count) else {
      throw Problem.badRequest(
        "Un motif écrit de 1 à 500 caractères est demandé pour déclarer une menace. (A written reason is required.)")
    }
    try await declare(ground, incident: id, origin: .commandRoom, author: person.account.name, reason: words)
    return .done
  }

  private func endThreat(_ person: Person, _ id: IncidentID) async throws -> ConsoleReply {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    // Ending is open to whoever may close the incident: it only ever takes sight away.
    try allow(person, .closeIncident, in: incident.entry.service)
    guard let threat = incident.threat else { throw Problem.notFound("La déclaration de menace") }
    try await scribe.write(
      .modification, "threat.ended", author: person.account.name, service: incident.entry.service,
      ["incident": .string(id.rawValue), "threat": .string(threat.id.rawValue)])
    active[id]?.threat = nil
    publishLive(id)
    await leaveAll(incident.entry.recording, cause: "threat-ended")
    publishWall()
    try await store.closeThreat(of: id, at: clock())
    return .done
  }

  private func closeIncident(_ person: Person, _ id: IncidentID) async throws -> ConsoleReply {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    try allow(person, .closeIncident, in: incident.entry.service)
    try await requestClose(id, .closedByCommandRoom, by: person.account.name)
    return .done
  }

  /// Journals the decision, ends live, and has the ingest carry it out.
  func requestClose(_ id: IncidentID, _ cause: ClosingCause, by author: String) async throws {
    guard let incident = active[id] else { return }
    if let closing = incident.closing {
      // Decided already: told again, in case it was lost on its way.
      tellIngest(.closeIncident(id, cause: closing.cause, by: closing.by))
      return
    }
    try await scribe.write(
      .modification, "incident.close-requested", author: author, service: incident.entry.service,
      ["incident": .string(id.rawValue), "cause": .string(cause.rawValue)])
    active[id]?.closing = (cause, author)
    publishLive(id)
    tellIngest(.closeIncident(id, cause: cause, by: author))
    await leaveAll(incident.entry.recording, cause: "incident-closed")
    publishWall()
    try await store.requestClose(id, cause: cause, by: author)
  }

  // MARK: Cameras

  // MET-2.
  func issue(_ camera: CameraID, to agent: AgentID, by author: String) async throws {
    guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
    guard UUID(uuidString: agent.rawValue) != nil, let person = try await store.agent(agent),
      person.service == known.service
    else { throw Problem.notFound("L'agent") }
    guard known.issuedTo == nil else {
      throw Problem(
        409, "already-issued", "Déjà perçue (Already issued)",
        "La caméra est portée par un agent : enregistrez d'abord sa réintégration. (Return it first.)")
    }
    try await scribe.write(
      .modification, "camera.issued", author: author, service: known.service,
      ["camera": .string(camera.rawValue), "agent": .string(agent.rawValue), "matricule": .string(person.matricule)])
    try await store.issueCamera(camera, issue: newID(), to: agent, by: author, at: clock())
    cameras[camera]?.issuedTo = person
    alarms.removeAll { $0.camera == camera && $0.code == "not-issued" }
    if let updated = cameras[camera] { publish(updated) }
    publishWall()
  }

  private func refusals(_ person: Person, _ limit: Int) async throws -> ConsoleReply {
    let services = try granted(person, .readRefusals)
    return .refusals(try await store.refusals(of: services, limit: max(1, min(limit, 1000))))
  }

  /// The services of a person in which an act is granted; at least one, or its refusal.
  private func granted(_ person: Person, _ act: Act) throws -> [ServiceID] {
    var services: [ServiceID] = []
    var refusal: Refusal?
    for service in Set(person.actor.accreditations.map(\.service)) {
      switch may(person.actor, act, try object(in: service), at: clock()) {
      case .granted: services.append(service)
      case .refused(let reason): refusal = reason
      }
    }
    if services.isEmpty {
      throw Problem(
        refusal
          ?? Refusal(
            code: "no-accreditation", article: "CSI R241-3-1",
            sentence: "Refusé : ce compte n'a aucune habilitation. (No accreditation.)"))
    }
    return services
  }

  // MARK: Auditors

  // LOG-8, ACC-7.
  private func register(_ person: Person, _ filter: RegisterFilter) async throws -> ConsoleReply {
    let services = try granted(person, .readRegister)
    try await scribe.write(
      .consultation, "register.read", author: person.account.name, service: services.first,
      ["services": .array(services.map { .string($0.rawValue) })])
    let rows = try await store.rows(filter, services: services)
    return .register(rows, mark())
  }

  func mark() -> JournalMark {
    let mark = scribe.mark
    return JournalMark(
      size: mark.size, root: mark.root.hexadecimal)
  }

  // ACC-3, ACC-5/6, LOG-2, EXP-4.
  private func extract(
    _ person: Person, _ recording: RecordingID, _ reason: ExtractionReason, _ reference: String, _ form: String
  ) async throws -> ConsoleReply {
    guard UUID(uuidString: recording.rawValue) != nil, let known = try await store.recording(recording) else {
      throw Problem.notFound("L'enregistrement")
    }
    guard known.state != "erased" else {
      throw Problem(
        410, "erased", "Effacé (Erased)",
        "L'enregistrement a été effacé au terme de sa conservation. (Erased at the end of its term.)",
        article: "CSI R241-4")
    }
    guard reason != .training else {
      // GOV-1: a training copy is anonymised first; this server does not make one.
      throw Problem(
        403, "not-anonymised", "Extraction refusée (Refused)",
        "Une copie de formation doit être anonymisée ; ce serveur n'en produit pas encore. (A training copy must be anonymised.) [CSI R241-4 al. 5]",
        article: "CSI R241-4 al. 5")
    }
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(
      person, .extract, try object(in: known.service, nil, open: known.state == "open"), facts: subject)
    let words = reference.trimmingCharacters(in: .whitespacesAndNewlines)
    guard (1...200).contains(words.count) else {
      throw Problem.badRequest(
        "Le numéro de procédure ou une référence (1 à 200 caractères) est demandé. (A procedure number or reference is required.)"
      )
    }
    let parts = try await store.parts(of: recording)
    var facts = facts(of: person, basis: basis)
    facts["recording"] = .string(recording.rawValue)
    facts["camera"] = known.camera.map { .string($0.rawValue) } ?? .null
    facts["reason"] = .string(reason.rawValue)
    facts["reference"] = .string(words)
    facts["recipient"] = .string(person.account.name)
    facts["form"] = .string(form)
    try await scribe.write(
      .communication, "extraction", author: person.account.name, service: known.service, facts)
    return .read(try readGrant(recording, parts.map(\.0)))
  }

  private func readGrant(_ recording: RecordingID, _ parts: [PartEntry]) throws -> ReadGrant {
    ReadGrant(
      recording: recording,
      parts: try parts.map { part in
        let key = try keys.openPartKey(
          part.wrappedKey, service: part.service.rawValue, day: part.localDay.description,
          part: UUIDText.binary(part.id.rawValue) ?? [])
        return PartReadGrant(part: part.id, path: part.path, key: Blob(key.rawBytes))
      })
  }

  /// A closed recording to be decoded in the sandbox; the check is the server's own act and is journalled.
  private func nextDecodeCheck() async throws -> ConsoleReply {
    guard let recording = try await store.nextDecodeCheck() else { return .read(nil) }
    let parts = try await store.parts(of: recording)
    guard let grant = try? readGrant(recording, parts.map(\.0)) else {
      try await store.setDecodeVerdict(recording, verdict: "does-not", detail: "la clé ne peut pas être ouverte")
      return .read(nil)
    }
    try await scribe.write(
      .statement, "decode-check", author: "console", service: parts.first?.0.service,
      ["recording": .string(recording.rawValue)])
    return .read(grant)
  }

  private func indexFacts(_ person: Person) async throws -> ConsoleReply {
    let services = try granted(person, .checkFootage)
    return .indexFacts(
      try await store.partFacts(of: services).map { row in
        PartIndexFacts(
          part: row.0.part, recording: row.recording, path: row.path, state: row.state,
          chunkCount: row.0.chunkCount, chainHead: Blob(row.0.chainHead), file_bytes: row.0.file_bytes,
          media_bytes: row.media_bytes)
      }, paths: try await store.partPaths())
  }

  // MARK: Devices

  private func camera(byToken token: String) throws -> CameraEntry {
    let hash = Tokens.hash(token)
    guard let camera = cameras.values.first(where: { $0.tokenHash == hash }), camera.enabled else {
      throw Problem.unauthenticated
    }
    return camera
  }

  private func deviceState(_ camera: CameraEntry) -> DeviceState {
    let incident = active.values.first { $0.entry.camera == camera.id && $0.closing == nil }
    return DeviceState(
      camera: camera.id, recording: incident?.streaming ?? false, incident: incident?.entry.id,
      threatOpen: incident?.live != nil,
      watchers: viewings.values.count { $0.recording == incident?.entry.recording },
      lastRefusal: lastRefusal[camera.id], lastLinkTest: lastLinkTest[camera.id])
  }

  private func deviceClose(_ camera: CameraEntry) async throws -> ConsoleReply {
    guard let incident = active.values.first(where: { $0.entry.camera == camera.id && $0.closing == nil }) else {
      throw Problem(
        409, "no-incident", "Aucun incident (No incident)",
        "Cette caméra n'a pas d'incident ouvert. (This camera has no open incident.)")
    }
    try await requestClose(
      incident.entry.id, .closedByWearer, by: incident.agent?.matricule ?? camera.id.rawValue)
    return .done
  }

  private func deviceDeclare(_ camera: CameraEntry, _ ground: ThreatGround) async throws -> ConsoleReply {
    guard let incident = active.values.first(where: { $0.entry.camera == camera.id && $0.closing == nil }) else {
      throw Problem(
        409, "no-incident", "Aucun incident (No incident)",
        "Cette caméra n'a pas d'incident ouvert : lancez l'enregistrement d'abord. (Start recording first.)")
    }
    guard incident.threat == nil else { return .done }
    try await declare(
      ground, incident: incident.entry.id, origin: .wearer,
      author: incident.agent?.matricule ?? camera.id.rawValue, reason: nil)
    return .done
  }
}
