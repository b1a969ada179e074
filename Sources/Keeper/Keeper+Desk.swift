internal import Doctrine
internal import Foundation
internal import Identity
internal import Journal
internal import Seams

/// What is done at a desk: rights, regimes, incidents' questions, requests.
extension Keeper {
  func desk(_ person: Person, _ call: DeskCall) async throws -> DeskReply {
    do { return try await perform(person, call) } catch let refusal as Refusal {
      throw try await refused(person, "desk", service(of: call) ?? person.account.agent.service, refusal)
    }
  }

  private func perform(_ person: Person, _ call: DeskCall) async throws -> DeskReply {
    switch call {
    case .accredit(let account, let service, let role, let act, let from, let until):
      return try await accredit(person, account, service, role, act, from, until)
    case .endAccreditation(let id, let act): return try await endAccreditation(person, id, act)
    case .changeRegime(let service, let change, let act):
      return try await changeRegime(person, service, change, act)
    case .attach(let incident, let agent, let until): return try await attach(person, incident, agent, until)
    case .detach(let incident, let agent): return try await detach(person, incident, agent)
    case .confirmIncident(let incident): return try await confirmIncident(person, incident)
    case .answerClosing(let recording, let answers): return try await answerClosing(person, recording, answers)
    case .justify(let recording, let sentence): return try await justify(person, recording, sentence)
    case .linkProcedure(let recording, let kind, let reference):
      return try await link(person, recording, kind, reference)
    case .unlinkProcedure(let recording, let reference): return try await unlink(person, recording, reference)
    case .placeHold(let recording, let kind, let reference, let authority, let requested, let review):
      return try await placeHold(person, recording, kind, reference, authority, requested, review)
    case .releaseHold(let hold, let reason): return try await releaseHold(person, hold, reason)
    case .proposeErasure(let recording, let ground, let reference):
      return try await proposeErasure(person, recording, ground, reference)
    case .confirmErasure(let recording): return try await confirmErasure(person, recording)
    case .withdrawErasure(let recording): return try await withdrawErasure(person, recording)
    case .receiveRequest(
      let service, let kind, let reference, let received, let due, let place, let camera, let from, let to):
      return try await receive(person, service, kind, reference, received, due, place, camera, from, to)
    case .decideRequest(let id, let decision, let ground, let reply):
      return try await decide(person, id, decision, ground, reply)
    case .retentionPlan(let until): return try await plan(person, until)
    case .completeness(let from, let to): return try await completeness(person, from, to)
    case .report(let service, let year): return try await report(person, service, year)
    case .rights: return .text(RightsMatrix.guide)
    }
  }

  /// The service that an act names itself.
  private func service(of call: DeskCall) -> ServiceID? {
    switch call {
    case .accredit(_, let service, _, _, _, _), .changeRegime(let service, _, _): services[service]?.id
    default: nil
    }
  }

  /// Journals an act of a person, granted, with what it is about.
  func record(
    _ kind: JournalEntry.Kind, _ act: String, _ person: Person, _ basis: Basis, _ service: ServiceID,
    _ more: [String: CanonicalJSON]
  ) async throws {
    try await scribe.write(
      kind, act, author: person.account.name, service: service, facts(of: person, basis).merging(more) { $1 })
  }

  // MARK: Accreditations

  // ACC-1, ACC-2.
  private func accredit(
    _ person: Person, _ name: String, _ service: ServiceID, _ role: Role, _ act: String, _ from: UTCTime?,
    _ until: UTCTime
  ) async throws -> DeskReply {
    // The name is looked up first: who it is decides, and a name that no account has is told to heads only.
    let account = AccountName.isValid(name) ? try await store.account(named: name) : nil
    var object = try object(in: service)
    object.beneficiary = account?.agent.id
    let basis = try await allow(
      person, .accredit, object,
      ["to": .string(String(name.prefix(64))), "given_role": .string(role.rawValue)])
    guard role != .head, role != .administrator else {
      throw Refusal(
        code: "ceremony-required", article: services[service]?.regime.articles.access ?? "CSI R241-3-1",
        sentence:
          "Refusé : un chef de service est installé par deux personnes (plastron admin seat-head), un administrateur par la machine. (Needs the two-person ceremony.)"
      )
    }
    let reference = try words(act, "La référence de l'acte d'habilitation", upTo: 500)
    guard let account, account.agent.service == service || role != .wearer else {
      throw Problem.notFound("Le compte")
    }
    let now = clock()
    let start = max(from ?? now, now)
    guard until > start, until <= start.adding(seconds: 3660 * 86_400) else {
      throw Problem.badRequest("La fin suit le début, de dix ans au plus. (The end follows the start.)")
    }
    let given = Accreditation(
      id: AccreditationID(newID()), role: role, service: service, act: reference, from: start, until: until)
    try await record(
      .modification, "accreditation.given", person, basis, service,
      [
        "to": .string(account.name), "to_account": .string(account.id.rawValue),
        "to_matricule": .string(account.agent.matricule), "given_role": .string(role.rawValue),
        "given_act": .string(reference), "given": .string(given.id.rawValue),
        "from_us": .integer(start.microseconds), "until_us": .integer(until.microseconds),
      ])
    try await store.insert(given, account: account.id, givenBy: person.account.name)
    return .created(given.id.rawValue)
  }

  private func endAccreditation(_ person: Person, _ id: AccreditationID, _ act: String) async throws -> DeskReply {
    guard Self.isID(id.rawValue), let known = try await store.accreditation(id) else {
      throw Problem.notFound("L'habilitation")
    }
    let basis = try await allow(
      person, .accredit, try object(in: known.service), ["ended": .string(id.rawValue)])
    let reference = try words(act, "La référence de l'acte", upTo: 500)
    try await record(
      .modification, "accreditation.ended", person, basis, known.service,
      ["ended": .string(id.rawValue), "ended_role": .string(known.role.rawValue), "end_act": .string(reference)])
    await cutViewings(of: known.account, in: known.service, cause: "accreditation-ended")
    try await store.endAccreditation(id, by: person.account.name, act: reference, at: clock())
    // Whoever joined in between is out as well.
    await cutViewings(of: known.account, in: known.service, cause: "accreditation-ended")
    return .done
  }

  /// Ends the running views of an account, in one service or in all.
  func cutViewings(
    of account: AccountID, in service: ServiceID?, cause: String, except session: [UInt8]? = nil
  ) async {
    forget(account, except: session)
    for (id, viewing) in viewings
    where viewing.account == account && (service == nil || viewing.service == service) && viewing.session != session {
      try? await leave(id, cause: cause)
    }
  }

  // MARK: Regime

  // GOV-5, RET-1.
  private func changeRegime(
    _ person: Person, _ service: ServiceID, _ change: RegimeChange, _ act: String
  ) async throws -> DeskReply {
    let basis = try await allow(person, .changeRegime, try object(in: service))
    let reference = try words(act, "La référence de l'acte", upTo: 500)
    guard let current = services[service]?.regime else { throw Problem.notFound("Le service") }
    let next = try current.changed(by: change)
    guard !next.camerasCounted || services[service]?.authorisedCameras != nil else {
      throw Problem.badRequest(
        "Ce régime demande un nombre de caméras autorisé, que le service n'a pas déclaré (CSI R241-8 II). (Needs an authorised number of cameras.)"
      )
    }
    try await record(
      .modification, "regime.changed", person, basis, service,
      [
        "regime": .string(next.name), "version": .integer(Int64(next.version)),
        "before": .string(current.name), "term_months": .integer(Int64(next.term_months)),
        "live_sound": .bool(next.liveSound), "command_room_may_declare": .bool(next.commandRoomMayDeclare),
        "wearer_may_extract": .bool(next.wearerMayExtract), "act": .string(reference),
      ])
    // At once: what is opened from here on has the new term, whatever the register takes to follow.
    guard services[service]?.regime.version == current.version else {
      throw Problem(
        409, "changed-meanwhile", "Déjà changé (Changed meanwhile)",
        "Le régime vient de changer : recommencez. (Start again.)")
    }
    services[service]?.regime = next
    let shortened: Int
    do { shortened = try await store.setRegime(of: service, next) } catch {
      // What the register did not take is not in force.
      if services[service]?.regime == next { services[service]?.regime = current }
      throw error
    }
    for camera in cameras.values where camera.service == service { publish(camera) }
    if current.liveSound != next.liveSound {
      // LIVE-8: running sound is cut; a viewer who joins anew has the new regime's.
      for (id, viewing) in viewings where viewing.service == service && viewing.kind == .live {
        try? await leave(id, cause: "regime-changed")
      }
    }
    publishWall()
    return .created("\(next.version) (\(shortened) parts shortened)")
  }

  // MARK: Incidents

  private func incident(_ id: IncidentID) throws -> ActiveIncident {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    return incident
  }

  // LIVE-3, LIVE-4.
  private func attach(_ person: Person, _ id: IncidentID, _ agent: AgentID, _ until: UTCTime?) async throws -> DeskReply
  {
    let known = try incident(id)
    let subject: [String: CanonicalJSON] = ["incident": .string(id.rawValue), "attached": .string(agent.rawValue)]
    let basis = try await allow(person, .attachAgent, try object(known), subject)
    guard Self.isID(agent.rawValue), let attached = try await store.agent(agent),
      attached.service == known.entry.service
    else { throw Problem.notFound("L'agent") }
    let now = clock()
    let end = min(until ?? .init(microseconds: .max), now.adding(seconds: IncidentMachine.confirmationBound_s))
    guard end > now else { throw Problem.badRequest("« until » est passé. (until lies in the past.)") }
    try await record(
      .modification, "agent.attached", person, basis, known.entry.service,
      subject.merging(["until_us": .integer(end.microseconds), "attached_matricule": .string(attached.matricule)]) {
        $1
      })
    try await store.attach(agent, to: id, by: person.account.name, at: now, until: end)
    active[id]?.attached[agent] = end
    return .done
  }

  private func detach(_ person: Person, _ id: IncidentID, _ agent: AgentID) async throws -> DeskReply {
    let known = try incident(id)
    guard Self.isID(agent.rawValue) else { throw Problem.notFound("L'agent") }
    let subject: [String: CanonicalJSON] = ["incident": .string(id.rawValue), "attached": .string(agent.rawValue)]
    let basis = try await allow(person, .attachAgent, try object(known), subject)
    try await record(.modification, "agent.detached", person, basis, known.entry.service, subject)
    active[id]?.attached[agent] = nil
    for (viewing, open) in viewings where open.recording == known.entry.recording && open.attachedAgent == agent {
      try? await leave(viewing, cause: "detached")
    }
    if Self.isID(agent.rawValue) { try await store.detach(agent, from: id) }
    return .done
  }

  // REC-4.
  private func confirmIncident(_ person: Person, _ id: IncidentID) async throws -> DeskReply {
    let known = try incident(id)
    let basis = try await allow(person, .confirmIncident, try object(known), ["incident": .string(id.rawValue)])
    let until = clock().adding(seconds: IncidentMachine.confirmationBound_s)
    try await record(
      .modification, "incident.confirmed", person, basis, known.entry.service,
      ["incident": .string(id.rawValue), "until_us": .integer(until.microseconds)])
    try await store.confirm(id, until: until)
    active[id]?.confirmedUntil = until
    publishWall()
    return .done
  }

  // REC-7, REC-10, MET-1.
  private func answerClosing(
    _ person: Person, _ recording: RecordingID, _ answers: ClosingAnswers
  ) async throws -> DeskReply {
    let known = try await known(recording)
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(person, .answerClosing, try object(known), subject)
    var checked = answers
    checked.place = try answers.place.map { try words($0, "Le lieu", upTo: 300) }
    checked.notInformedReason = try answers.notInformedReason.map {
      try words($0, "La circonstance qui interdisait d'informer", upTo: 500)
    }
    guard checked.informed != false || checked.notInformedReason != nil else {
      throw Problem.badRequest(
        "Les personnes n'ont pas été informées : dites quelle circonstance l'interdisait. (Say which circumstance forbade it.) [CSI L241-1 al. 4]"
      )
    }
    try await record(
      .modification, "closing.answered", person, basis, known.service,
      subject.merging([
        // What was answered is a fact of the recording and is erased with it; that it was answered stays.
        "place_told": .bool(checked.place != nil), "informed": checked.informed.map(CanonicalJSON.bool) ?? .null,
        "medical_secret": checked.medicalSecret.map(CanonicalJSON.bool) ?? .null,
      ]) { $1 })
    try await store.answer(recording, checked, by: person.account.name)
    return .done
  }

  private func justify(_ person: Person, _ recording: RecordingID, _ sentence: String) async throws -> DeskReply {
    let known = try await known(recording)
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(person, .justify, try object(known), subject)
    let text = try words(sentence, "La justification", upTo: 500)
    try await record(.modification, "recording.justified", person, basis, known.service, subject)
    try await store.justify(recording, text, by: person.account.name)
    return .done
  }

  // MARK: Requests of persons recorded

  // GOV-2.
  private func receive(
    _ person: Person, _ service: ServiceID, _ kind: DataRight, _ reference: String, _ received: LocalDate,
    _ due: LocalDate?, _ place: String?, _ camera: String?, _ from: UTCTime?, _ to: UTCTime?
  ) async throws -> DeskReply {
    let basis = try await allow(person, .handleRequest, try object(in: service))
    let latest = received.adding(months: DataRequestEntry.answer_months)
    guard received <= calendar.day(of: clock()), (due ?? latest) > received, (due ?? latest) <= latest else {
      throw Problem.badRequest(
        "La demande est reçue au plus tard aujourd'hui, et la réponse due dans les \(DataRequestEntry.answer_months) mois. (Received by today, due within two months.)"
      )
    }
    if let from, let to, to <= from { throw Problem.badRequest("« to » suit « from ». (to follows from.)") }
    let request = DataRequestEntry(
      id: DataRequestID(newID()), service: service, kind: kind,
      reference: try words(reference, "La référence du dossier", upTo: 200), receivedOn: received, dueOn: due ?? latest,
      place: try place.map { try words($0, "Le lieu", upTo: 300) },
      camera: try camera.map { try words($0, "La caméra", upTo: 64) }, from: from, to: to,
      enteredBy: person.account.name)
    try await record(
      .modification, "request.received", person, basis, service,
      [
        "request": .string(request.id.rawValue), "right": .string(kind.rawValue),
        "reference": .string(request.reference), "due": .string(request.dueOn.description),
      ])
    try await store.insert(request)
    return .created(request.id.rawValue)
  }

  private func decide(
    _ person: Person, _ id: DataRequestID, _ decision: DataRequestDecision, _ ground: String, _ reply: String
  ) async throws -> DeskReply {
    guard Self.isID(id.rawValue), let known = try await store.dataRequest(id) else {
      throw Problem.notFound("La demande")
    }
    let basis = try await allow(
      person, .handleRequest, try object(in: known.service), ["request": .string(id.rawValue)])
    guard !known.isDecided else {
      throw Problem(
        409, "decided", "Déjà décidée (Already decided)", "La demande a reçu sa réponse. (Already answered.)")
    }
    let why = try words(ground, "Le fondement de la décision", upTo: 500)
    let answer = try words(reply, "La réponse faite à la personne", upTo: 4000)
    try await record(
      .modification, "request.decided", person, basis, known.service,
      [
        "request": .string(id.rawValue), "reference": .string(known.reference), "decision": .string(decision.rawValue),
        "ground": .string(why),
      ])
    try await store.decide(id, decision, ground: why, reply: answer, by: person.account.name, at: clock())
    return .done
  }
}
