internal import Retention
internal import Doctrine
internal import Foundation
internal import Identity
internal import Journal
package import Seams
internal import Vault

/// The administrator's acts. An administrator sees no footage, and every act is journalled first.
extension Keeper {
  /// Over the socket that only root and the keeper's own user can open.
  ///
  /// - Parameter user: the user of the machine, as the system says it.
  package func answer(_ request: AdminRequest, by user: String) async throws -> AdminReply {
    let actor = Actor(.localAdministrator, name: "administrator:\(user.prefix(64))")
    do {
      let decision = may(actor, request.call.act, try object(of: request.call), at: clock())
      if case .refused(let refusal) = decision { throw Problem(refusal) }
      var facts = Self.facts(of: decision)
      if request.call != .status, request.call != .reindexProgress {
        facts["reason"] = .string(
          try words(request.reason ?? "", "Le motif (--reason, ou PLASTRON_REASON)", upTo: 300))
      }
      if let behind = request.behind { facts["behind"] = .string(String(behind.prefix(64))) }
      return try await scribe.tracing { try await self.carryOut(request.call, by: actor.name, facts: facts) }
    } catch is VaultError {
      throw Problem.journalUnwritable
    } catch let problem as Problem where problem.article != nil {
      // LOG-3: what is refused on the machine is journalled as well.
      try await scribe.write(
        .modification, "administer.refused", author: actor.name, service: nil,
        [
          "code": .string(problem.code), "article": .string(problem.article ?? ""), "result": .string("refused"),
        ])
      throw problem
    }
  }

  /// By an accredited administrator, through the console: only what concerns a service of theirs.
  func administer(_ person: Person, _ call: AdminCall) async throws -> AdminReply {
    guard let service = try service(of: call) else {
      throw try await refused(
        person, "administer", person.account.agent.service,
        Refusal(
          code: "on-the-machine-only", article: "CSI L241-1 al. 4",
          sentence:
            "Refusé : cet acte se fait sur la machine du serveur (plastron admin). (Only on the server's machine.)"))
    }
    let basis = try await allow(person, call.act, try object(of: call, in: service))
    return try await carryOut(call, by: person.account.name, facts: facts(of: person, basis))
  }

  /// What an act is done to: a service's, or nobody's where it is the machine's.
  private func object(of call: AdminCall) throws -> ActObject {
    guard let service = try service(of: call) else {
      return ActObject(service: ServiceID(""), regime: Regime.all[0])
    }
    return try object(of: call, in: service)
  }

  private func object(of call: AdminCall, in service: ServiceID) throws -> ActObject {
    var object = try object(in: service)
    if case .enrolCamera = call, let limit = services[service]?.authorisedCameras {
      // Those whose entry is being written count too.
      object.camerasLeft = limit - cameras.values.count { $0.service == service } - enrolling[service, default: 0]
    }
    return object
  }

  /// The service that an act concerns; nil for those of the machine.
  private func service(of call: AdminCall) throws -> ServiceID? {
    switch call {
    case .createAgent(let service, _, _, _), .enrolCamera(let service, _, _): return try find(service).id
    case .setRelayBudget(let service, _): return try find(service).id
    case .returnCamera(let camera), .setCamera(let camera, _), .issueCamera(let camera, _),
      .setReception(let camera, _, _):
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      return known.service
    default: return nil
    }
  }

  private func carryOut(_ call: AdminCall, by author: String, facts: [String: CanonicalJSON]) async throws -> AdminReply
  {
    do { return try await perform(call, by: author, facts) } catch {
      switch store.complaint(error) {
      case .exists:
        throw Problem(
          409, "exists", "Existe déjà (Exists)", "Ce nom ou ce matricule existe déjà. (This name is taken.)")
      case .refused:
        throw Problem.badRequest(
          "Une valeur n'est pas admise, ou désigne ce qui n'existe pas. Une caméra se nomme avec A-Z, a-z, 0-9, « . », « _ », « - » (64 au plus). (A value is not allowed or names nothing.)"
        )
      case nil: throw error
      }
    }
  }

  private func perform(
    _ call: AdminCall, by author: String, _ who: [String: CanonicalJSON]
  ) async throws -> AdminReply {
    let now = clock()
    switch call {
    case .createService(let name, let regimeName, let act, let date, let cameras):
      guard let regime = Regime.named(regimeName) else {
        throw Problem.badRequest("Régime inconnu : \(Regime.all.map(\.name).joined(separator: ", ")).")
      }
      guard !act.isEmpty else {
        throw Problem.badRequest("La référence de l'acte autorisant le traitement est demandée.")
      }
      let name = try words(name, "Le nom du service", upTo: 200)
      guard !regime.camerasCounted || cameras != nil else {
        throw Problem.badRequest(
          "Le régime \(regime.name) demande le nombre de caméras autorisé (CSI R241-8 II, R241-18 III).")
      }
      let service = ServiceEntry(
        id: ServiceID(newID()), name: name, regime: regime, authorisingAct: act, authorisingDate: date,
        authorisedCameras: cameras)
      try await scribe.write(
        .modification, "service.created", author: author, service: service.id,
        who.merging([
          "name": .string(name), "regime": .string(regime.name), "act": .string(act),
          "act_date": .string(date.description),
          "cameras": cameras.map { .integer(Int64($0)) } ?? .null,
        ]) { $1 })
      try await store.insert(service, at: now)
      services[service.id] = service
      return .created(service.id.rawValue)
    case .authorise(let service, let act, let date, let cameras):
      let owner = try find(service)
      let reference = try words(act, "La référence de l'acte autorisant le traitement", upTo: 500)
      guard !owner.regime.camerasCounted || cameras != nil, cameras ?? 1 > 0 else {
        throw Problem.badRequest(
          "Le régime \(owner.regime.name) demande le nombre de caméras autorisé (CSI R241-8 II, R241-18 III).")
      }
      try await scribe.write(
        .modification, "service.authorised", author: author, service: owner.id,
        who.merging([
          "act": .string(reference), "act_date": .string(date.description),
          "cameras": cameras.map { .integer(Int64($0)) } ?? .null,
          "cameras_before": owner.authorisedCameras.map { .integer(Int64($0)) } ?? .null,
        ]) { $1 })
      try await store.authorise(owner.id, act: reference, on: date, cameras: cameras)
      services[owner.id]?.authorisingAct = reference
      services[owner.id]?.authorisingDate = date
      services[owner.id]?.authorisedCameras = cameras
      return .done
    case .createAgent(let service, let matricule, let name, let rank):
      let owner = try find(service)
      // One spelling: a blank more must not make a second person.
      let matricule = try words(matricule, "Le matricule", upTo: 64)
      let agent = AgentEntry(
        id: AgentID(newID()), service: owner.id, matricule: matricule, name: try words(name, "Le nom", upTo: 200),
        rank: try words(rank, "Le grade", upTo: 100))
      try await scribe.write(
        .modification, "agent.created", author: author, service: owner.id,
        who.merging([
          "agent": .string(agent.id.rawValue), "matricule": .string(matricule), "name": .string(agent.name),
          "rank": .string(agent.rank),
        ]) { $1 })
      try await store.insert(agent)
      return .created(agent.id.rawValue)
    case .createAccount(let name, let agent, let password):
      guard (PasswordHash.minimumLength...PasswordHash.maximumLength).contains(password.utf8.count) else {
        throw Problem.badRequest(
          "Un mot de passe a de \(PasswordHash.minimumLength) à \(PasswordHash.maximumLength) caractères.")
      }
      guard AccountName.isValid(name) else {
        throw Problem.badRequest(
          "Un identifiant a de 2 à 64 caractères parmi a-z, 0-9, « . », « _ », « - », et commence par une lettre ou un chiffre."
        )
      }
      guard let person = try await store.agent(agent) else { throw Problem.notFound("L'agent") }
      let id = AccountID(newID())
      let hash = try PasswordHash.make(password)
      try await scribe.write(
        .modification, "account.created", author: author, service: person.service,
        who.merging(["account": .string(id.rawValue), "name": .string(name), "agent": .string(agent.rawValue)]) { $1 })
      try await store.insertAccount(id, name: name, agent: agent, passwordHash: hash, at: now)
      return .created(id.rawValue)
    case .setAccount(let name, let enabled):
      guard let account = try await store.account(named: name) else { throw Problem.notFound("Le compte") }
      try await scribe.write(
        .modification, enabled ? "account.enabled" : "account.disabled", author: author, service: account.agent.service,
        who.merging(["account": .string(account.id.rawValue), "name": .string(name)]) { $1 })
      try await store.disableAccount(account.id, at: enabled ? nil : now)
      if !enabled { await cutViewings(of: account.id, in: nil, cause: "account-disabled") }
      return .done
    case .resetSecondFactor(let name):
      guard let account = try await store.account(named: name) else { throw Problem.notFound("Le compte") }
      try await scribe.write(
        .modification, "second-factor.reset", author: author, service: account.agent.service,
        who.merging(["account": .string(account.id.rawValue), "name": .string(name)]) { $1 })
      _ = try await store.setSecondFactor(account.id, sealed: nil)
      await cutViewings(of: account.id, in: nil, cause: "session-ended")
      return .done
    case .linkIdentity(let name, let identity):
      guard let account = try await store.account(named: name) else { throw Problem.notFound("Le compte") }
      try await scribe.write(
        .modification, "identity.linked", author: author, service: account.agent.service,
        who.merging([
          "account": .string(account.id.rawValue), "issuer": .string(identity.issuer),
          "subject": .string(identity.subject),
        ]) { $1 })
      try await store.link(account.id, issuer: identity.issuer, subject: identity.subject, at: now)
      return .done
    case .seatHead(let service, let name, let act, let days, let first, let second):
      return try await seatHead(try find(service), name, act, days, first, second, by: author, who)
    case .accreditAdministrator(let name, let service, let act, let days):
      let owner = try find(service)
      guard let account = try await store.account(named: name) else { throw Problem.notFound("Le compte") }
      return try await give(.administrator, to: account, in: owner, act, days, by: author, who)
    case .enrolCamera(let service, let camera, let model):
      return try await enrol(camera, model: model, in: try find(service), by: author, who, at: now)
    case .issueCamera(let camera, let agent):
      try await issue(camera, to: agent, by: author, facts: who)
      return .done
    case .returnCamera(let camera):
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      try await scribe.write(
        .modification, "camera.returned", author: author, service: known.service,
        who.merging(["camera": .string(camera.rawValue)]) { $1 })
      // The ingest first: a camera that calls again while its incident is closed finds itself returned.
      cameras[camera]?.issuedTo = nil
      if let updated = cameras[camera] { publish(updated) }
      try await withdraw(camera, by: author, who)
      do { try await store.returnCamera(camera, at: now) } catch {
        cameras[camera] = known
        publish(known)
        throw error
      }
      return .done
    case .setCamera(let camera, let enabled):
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      try await scribe.write(
        .modification, enabled ? "camera.enabled" : "camera.disabled", author: author, service: known.service,
        who.merging(["camera": .string(camera.rawValue)]) { $1 })
      if !enabled {
        cameras[camera]?.enabled = false
        if let updated = cameras[camera] { publish(updated) }
        try await withdraw(camera, by: author, who)
      }
      do { try await store.setCamera(camera, enabled: enabled) } catch {
        cameras[camera]?.enabled = known.enabled
        publish(known)
        throw error
      }
      cameras[camera]?.enabled = enabled
      if let updated = cameras[camera] { publish(updated) }
      return .done
    case .setReception(let camera, let delivery, let rate_kbps):
      try await setReception(of: camera, delivery, rate_kbps, by: author, who)
      return .done
    case .setRelayBudget(let service, let budget_ms):
      try await setRelayBudget(of: try find(service), budget_ms, by: author, who)
      return .done
    case .closeIncident(let incident):
      guard active[incident] != nil else { throw Problem.notFound("L'incident") }
      try await requestClose(incident, .closedByAdministrator, by: author, facts: who)
      return .done
    case .status:
      return .status(
        wall(), mark(),
        sweeper: SweeperStatus(
          lastRun: sweeper.lastRun, overdue: sweeper.overdue, stopped: sweeper.stopped,
          isPurgeOverdue: sweeper.isPurgeOverdue))
    case .sweep:
      let report = try await sweep()
      if let reason = sweeper.stopped {
        throw Problem(
          409, "sweeper-stopped", "L'effaceur demande (The sweeper asks)", "\(reason). plastron admin confirm-clock")
      }
      return .swept(erased: report.erased, overdue: report.overdue)
    case .confirmClock:
      try await confirmClock(by: author, who)
      return .done
    case .rotateJournalKey:
      try await scribe.write(.statement, "journal.rotation-asked", author: author, service: nil, who)
      try await scribe.rotateKey(by: author)
      return .done
    case .reindexProgress:
      return .reindexing(rebuilding ?? ReindexProgress(total: 0, done: 0, outcome: "no rebuilding was asked for"))
    case .reindex: return try await reindex(by: author, who)
    case .rotateMasterKey: return try await rotateMasterKey(by: author, who)
    case .retireMasterKey: return try await retireMasterKey(by: author, who)
    case .purgeJournal:
      try await scribe.write(.statement, "journal.purge-asked", author: author, service: nil, who)
      return .purged(entries: try await scribe.purge(by: author))
    }
  }

  // ACC-1: the first head is seated by two persons, each with their own password and code.
  private func seatHead(
    _ service: ServiceEntry, _ name: String, _ act: String, _ days: Int, _ first: Witness, _ second: Witness,
    by author: String, _ who: [String: CanonicalJSON]
  ) async throws -> AdminReply {
    guard let candidate = try await store.account(named: name) else { throw Problem.notFound("Le compte") }
    var witnesses: [AccountEntry] = []
    for witness in [first, second] {
      witnesses.append(
        try await authenticate(
          witness.account, witness.password, witness.code, peer: "ceremony", act: "ceremony"))
    }
    if settings.secondFactorRequired {
      // A password alone may be the administrator's own doing.
      guard witnesses.allSatisfy({ $0.secondFactor?.isConfirmed ?? false }) else {
        throw Problem(
          Refusal(
            code: "second-factor-missing", article: service.regime.articles.access,
            sentence:
              "Refusé : chacune des deux personnes doit avoir activé son second facteur. (Both need their second factor.)"
          ))
      }
    }
    let persons = Set(witnesses.map(\.agent.id) + [candidate.agent.id])
    guard persons.count == 3 else {
      throw Problem(
        Refusal(
          code: "second-person", article: service.regime.articles.access,
          sentence:
            "Refusé : un chef de service est installé par deux personnes différentes, autres que lui-même. (Two other persons must seat a head.)"
        ))
    }
    return try await give(
      .head, to: candidate, in: service, act, days, by: "\(witnesses[0].name), \(witnesses[1].name)",
      who.merging([
        "first": .string(witnesses[0].name), "first_matricule": .string(witnesses[0].agent.matricule),
        "second": .string(witnesses[1].name), "second_matricule": .string(witnesses[1].agent.matricule),
        "through": .string(author),
      ]) { $1 })
  }

  private func give(
    _ role: Role, to account: AccountEntry, in service: ServiceEntry, _ act: String, _ days: Int, by author: String,
    _ facts: [String: CanonicalJSON]
  ) async throws -> AdminReply {
    let reference = try words(act, "La référence de l'acte", upTo: 500)
    let now = clock()
    let given = Accreditation(
      id: AccreditationID(newID()), role: role, service: service.id, act: reference, from: now,
      until: now.adding(seconds: Int64(max(1, min(days, 3660))) * 86_400))
    try await scribe.write(
      .modification, role == .head ? "head.seated" : "accreditation.given", author: author, service: service.id,
      facts.merging([
        "to": .string(account.name), "to_account": .string(account.id.rawValue),
        "to_matricule": .string(account.agent.matricule), "given_role": .string(role.rawValue),
        "given_act": .string(reference), "given": .string(given.id.rawValue),
        "until_us": .integer(given.until.microseconds),
      ]) { $1 })
    try await store.insert(given, account: account.id, givenBy: author)
    return .created(given.id.rawValue)
  }

  private func find(_ service: String) throws -> ServiceEntry {
    guard let found = services.values.first(where: { $0.name == service || $0.id.rawValue == service }) else {
      throw Problem.notFound("Le service")
    }
    return found
  }

  private func withdraw(_ camera: CameraID, by author: String, _ who: [String: CanonicalJSON]) async throws {
    for incident in active.values where incident.entry.camera == camera {
      try await requestClose(incident.entry.id, .cameraWithdrawn, by: author, facts: who)
    }
  }

  // STO-5, STO-6.
  private func enrol(
    _ id: CameraID, model: String, in service: ServiceEntry, by author: String, _ who: [String: CanonicalJSON],
    at now: UTCTime
  ) async throws -> AdminReply {
    guard cameras[id] == nil else {
      throw Problem(409, "exists", "Déjà enrôlée (Exists)", "Une caméra porte déjà ce nom.")
    }
    enrolling[service.id, default: 0] += 1
    defer { enrolling[service.id, default: 1] -= 1 }
    let passphrase = Tokens.passphrase()
    let token = Tokens.make()
    let camera = CameraEntry(
      id: id, service: service.id, model: model,
      passphraseSealed: try keys.seal(
        Array(passphrase.utf8), purpose: Self.passphrasePurpose, subject: id.rawValue),
      tokenHash: Tokens.hash(token), enabled: true, issuedTo: nil)
    try await scribe.write(
      .modification, "camera.enrolled", author: author, service: service.id,
      who.merging(["camera": .string(id.rawValue), "model": .string(model)]) { $1 })
    try await store.insert(camera, at: now)
    cameras[id] = camera
    publish(camera)
    return .enrolled(id, passphrase: passphrase, token: token)
  }
}

extension AdminCall {
  fileprivate var act: Act {
    switch self {
    case .createService, .status, .sweep, .confirmClock, .rotateJournalKey, .reindex, .reindexProgress,
      .rotateMasterKey,
      .retireMasterKey,
      .purgeJournal,
      .seatHead,
      .accreditAdministrator, .authorise:
      .administerServer
    case .createAgent, .createAccount, .setAccount, .resetSecondFactor, .linkIdentity: .administerPeople
    case .enrolCamera, .setCamera, .setReception, .setRelayBudget: .enrolCamera
    case .issueCamera, .returnCamera: .issueCamera
    case .closeIncident: .closeIncident
    }
  }
}
