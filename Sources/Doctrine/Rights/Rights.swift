/// The one place that decides who may do what. Every route, command and job asks it.
// LIVE-3, ACC-1, ACC-3, ACC-4, ACC-7, CSI R241-3-1, R241-12, R241-22.
package func may(_ actor: Actor, _ act: Act, _ object: ActObject, at now: UTCTime) -> Decision {
  let basis: Basis
  switch actor.standing {
  case .job(let job):
    guard job.acts.contains(act) else { return .refused(.reserved(act, object)) }
    basis = .law(job.article(object.regime))
  case .person(_, let agent, let accreditations):
    switch standing(agent, accreditations, act, object, at: now) {
    case .success(let found): basis = found
    case .failure(let refusal): return .refused(refusal)
    }
  }
  if let refusal = condition(on: act, object, basis, actor) { return .refused(refusal) }
  return .granted(basis: basis)
}

/// The accreditation that an act can rest on, or why there is none.
private func standing(
  _ agent: AgentID, _ accreditations: [Accreditation], _ act: Act, _ object: ActObject, at now: UTCTime
) -> Result<Basis, Refusal> {
  let inService = accreditations.filter { $0.service == object.service }
  guard !inService.isEmpty else {
    return .failure(
      Refusal(
        code: "other-service", article: object.regime.articles.access,
        sentence:
          "Refusé : aucune habilitation dans ce service. Demandez-la à son chef de service. (No accreditation in this service.)"
      ))
  }
  let valid = inService.filter { $0.isValid(at: now) }
  guard !valid.isEmpty else {
    return .failure(
      Refusal(
        code: "accreditation-ended", article: object.regime.articles.access,
        sentence:
          "Refusé : l'habilitation n'est pas en cours de validité. Faites-la renouveler par le chef de service. (Accreditation not in force.)"
      ))
  }
  // ACC-4: a reason of the wearer's is asked as the wearer, whatever else they are.
  if case .wearer? = object.reason, act.isOpenToWearer(object.regime), object.wearer == agent,
    let basis = valid.first(where: { $0.role == .wearer })
  {
    return .success(.accreditation(basis))
  }
  if let basis = valid.first(where: { act.roles.contains($0.role) }) { return .success(.accreditation(basis)) }
  // LIVE-3: agents involved in the intervention; being a reader, auditor or administrator makes nobody one.
  if act == .watchLive, object.attached.contains(agent),
    let basis = valid.first(where: { [.wearer, .head].contains($0.role) })
  {
    return .success(.attachment(basis))
  }
  if act.isOpenToWearer(object.regime), let basis = valid.first(where: { $0.role == .wearer }) {
    guard object.wearer == agent else {
      return .failure(
        Refusal(
          code: "not-own-recording", article: object.regime.articles.wearer,
          sentence:
            "Refusé : un porteur n'accède qu'à ses propres enregistrements. Adressez-vous au chef de service. (Only your own recordings.)"
        ))
    }
    return .success(.accreditation(basis))
  }
  return .failure(.reserved(act, object))
}

extension Refusal {
  fileprivate static func reserved(_ act: Act, _ object: ActObject) -> Refusal {
    let list = act.roles.map(\.french).joined(separator: ", ")
    return Refusal(
      code: "missing-right", article: act.article(object.regime),
      sentence:
        "Refusé : cet acte est réservé à : \(list.isEmpty ? "personne" : list). Adressez-vous à l'une de ces personnes. (Your role does not allow this act.)"
    )
  }
}

extension Job {
  fileprivate var acts: Set<Act> {
    switch self {
    case .sweeper: [.eraseAtTerm]
    case .decodeCheck: [.checkFootage]
    case .archive: [.moveFootage]
    case .device: [.openIncident, .declareThreat, .closeIncident, .readDeviceState, .tellClock]
    case .deadline: [.closeIncident]
    case .localAdministrator: [.administerServer, .administerPeople, .enrolCamera, .issueCamera, .closeIncident]
    }
  }

  fileprivate func article(_ regime: Regime) -> String {
    switch self {
    case .sweeper: regime.articles.term
    case .decodeCheck, .archive: regime.articles.after
    case .device: regime.articles.recording
    case .deadline: regime.articles.recording
    case .localAdministrator: regime.articles.recording
    }
  }
}

extension Act {
  /// The roles an act is open to.
  package var roles: [Role] {
    switch self {
    case .seeWall, .watchLive, .declareThreat, .endThreat, .closeIncident, .confirmIncident: [.operator]
    case .attachAgent: [.operator, .head]
    case .issueCamera: [.operator, .administrator]
    case .enrolCamera, .administerPeople: [.administrator]
    case .administerServer, .eraseAtTerm, .moveFootage, .openIncident, .readDeviceState, .tellClock: []
    case .readLinks: [.operator, .head, .administrator]
    case .readRefusals: [.operator, .auditor, .head, .administrator]
    case .accredit, .changeRegime, .releaseHold, .proposeErasure, .withdrawErasure, .handleRequest: [.head]
    case .justify: [.head, .reader]
    case .consult, .extract, .linkProcedure, .placeHold, .confirmErasure: [.head, .reader]
    case .answerClosing: [.operator, .head]
    case .checkFootage, .readRegister, .readReport: [.auditor, .head]
    case .readJournal: [.auditor]
    }
  }

  /// Whether a wearer may do it to what they recorded.
  fileprivate func isOpenToWearer(_ regime: Regime) -> Bool {
    switch self {
    case .consult, .answerClosing: true
    case .extract: regime.wearerMayExtract
    default: false
    }
  }

  /// Where the law says who may.
  package func article(_ regime: Regime) -> String {
    switch self {
    case .seeWall, .watchLive, .declareThreat, .endThreat, .attachAgent, .confirmIncident: regime.articles.live
    case .openIncident, .closeIncident, .readDeviceState, .tellClock, .readLinks: regime.articles.recording
    case .issueCamera, .enrolCamera, .administerServer: regime.articles.recording
    case .accredit, .administerPeople, .consult, .extract, .justify: regime.articles.access
    case .readRefusals, .readRegister, .readJournal, .readReport, .checkFootage: regime.articles.journal
    case .answerClosing: regime.articles.recording
    case .moveFootage: regime.articles.after
    case .changeRegime, .linkProcedure, .placeHold, .releaseHold, .eraseAtTerm: regime.articles.term
    case .proposeErasure, .confirmErasure, .withdrawErasure, .handleRequest: regime.articles.rights
    }
  }
}

/// What must hold besides the role.
private func condition(on act: Act, _ object: ActObject, _ basis: Basis, _ actor: Actor) -> Refusal? {
  let articles = object.regime.articles
  func refusal(_ code: String, _ article: String, _ sentence: String) -> Refusal {
    Refusal(code: code, article: article, sentence: "Refusé : \(sentence)")
  }
  switch (act, object.phase) {
  case (.openIncident, _): return opening(object)
  case (.accredit, _) where object.beneficiary != nil && object.beneficiary == actor.agent:
    return refusal(
      "second-person", articles.access,
      "nul ne s'habilite soi-même. Demandez-le à un autre chef de service. (Nobody accredits themselves.)")
  case (.watchLive, let phase) where phase != .open:
    return refusal(
      "recording-closed", articles.live,
      "la caméra n'enregistre pas ; le direct n'existe que pendant un enregistrement. (The camera is not recording.)")
  case (.watchLive, _) where !object.isRecorded:
    return refusal(
      "not-recorded", articles.live,
      "le serveur n'arrive plus à enregistrer cette caméra ; le direct reprendra avec l'enregistrement. (Not being recorded: no live.)"
    )
  case (.watchLive, _) where object.live == nil:
    return refusal(
      "no-threat", articles.live,
      "aucune menace n'est déclarée pour cet incident ; le direct s'ouvre par une déclaration de menace. (No threat is declared for this incident.)"
    )
  case (.declareThreat, _) where basis.accreditation != nil && !object.regime.commandRoomMayDeclare:
    return refusal(
      "declaration-by-wearer-only", object.regime.text,
      "dans ce régime, seul le porteur déclare la menace. Demandez-lui de le faire depuis sa caméra. (Only the wearer declares a threat in this regime.)"
    )
  case (.declareThreat, let phase) where phase != .open, (.attachAgent, let phase) where phase != .open,
    (.confirmIncident, let phase) where phase != .open:
    return refusal(
      "recording-closed", articles.live, "l'incident est clos. (The incident is closed.)")
  case (.consult, .open), (.extract, .open):
    return refusal(
      "incident-open", articles.after,
      "l'enregistrement se consulte après la fin de l'intervention et son transfert. Réessayez après la clôture. (The incident is still open.)"
    )
  case (.placeHold, .open), (.linkProcedure, .open), (.proposeErasure, .open), (.confirmErasure, .open):
    return refusal(
      "incident-open", articles.term,
      "l'incident n'est pas clos. Réessayez après la clôture. (The incident is still open.)")
  case (.consult, .erased), (.extract, .erased), (.answerClosing, .erased), (.justify, .erased),
    (.linkProcedure, .erased), (.placeHold, .erased), (.releaseHold, .erased), (.proposeErasure, .erased),
    (.confirmErasure, .erased):
    return refusal(
      "erased", articles.term,
      "l'enregistrement a été effacé au terme de sa conservation. (Erased at the end of its term.)")
  case (.placeHold, .heldPastTerm):
    return refusal(
      "term-over", articles.term,
      "le terme est passé : une autre procédure ne peut plus le faire conserver ; demandez une extraction. (The term is over: no new hold.)"
    )
  case (.consult, .ordered), (.extract, .ordered), (.placeHold, .ordered), (.linkProcedure, .ordered),
    (.proposeErasure, .ordered), (.confirmErasure, .ordered), (.withdrawErasure, .ordered):
    return refusal(
      "erasure-ordered", articles.rights,
      "deux personnes ont ordonné son effacement, que la loi commande ; il va être effacé. (Its erasure is ordered.)")
  case (.enrolCamera, _) where object.camerasLeft.map { $0 <= 0 } ?? false:
    return refusal(
      "too-many-cameras", object.regime.articles.cameras,
      "le service a toutes les caméras que son acte autorise ; une de plus demande un nouvel acte (plastron admin authorise). (All authorised cameras are enrolled.)"
    )
  case (.consult, .due), (.extract, .due), (.placeHold, .due), (.linkProcedure, .due):
    return refusal(
      "term-over", articles.term,
      "le terme est venu, l'enregistrement va être effacé ; il ne peut plus être consulté ni conservé. (The term is over.)"
    )
  case (.proposeErasure, .held), (.confirmErasure, .held), (.proposeErasure, .heldPastTerm),
    (.confirmErasure, .heldPastTerm):
    return refusal(
      "held", articles.term,
      "l'enregistrement est conservé pour une procédure. Faites d'abord lever la conservation. (A hold must be released first.)"
    )
  case (.confirmErasure, _) where object.proposedBy == nil || object.proposedBy == actor.agent:
    return refusal(
      "second-person", articles.rights,
      "un effacement ordonné par la loi demande deux personnes nommées : une autre que celle qui l'a proposé. (A second person must confirm.)"
    )
  case (.eraseAtTerm, let phase) where phase != .due && phase != .ordered:
    return refusal(
      "not-due", articles.term, "le terme n'est pas venu, ou l'enregistrement est conservé. (Not due.)")
  case (.moveFootage, let phase) where phase != .closed && phase != .held && phase != .heldPastTerm:
    return refusal(
      "not-closed", articles.after,
      "seul un enregistrement clos, et dont le terme n'est pas venu, change de place. (Not closed.)")
  default: return purpose(act, object, basis)
  }
}

/// Whether a wearer's activation opens an incident: the camera is the service's, handed out, and may be started here.
// MET-2, STO-6, REC-7.
private func opening(_ object: ActObject) -> Refusal? {
  let article = object.regime.articles.recording
  switch object.camera {
  case .issued: return nil
  case .notIssued:
    return Refusal(
      code: "not-issued", article: article,
      sentence:
        "Refusé : caméra non perçue, aucun agent ne la porte. Enregistrez sa perception, l'agent relance l'enregistrement. (Not issued.)"
    )
  case .disabled:
    return Refusal(
      code: "camera-disabled", article: article,
      sentence: "Refusé : caméra désactivée. L'administrateur doit la réactiver. (Disabled camera.)")
  case .search, .medicalSecret:
    guard object.camera == object.regime.inhibitedBy else { return nil }
    return Refusal(
      code: object.camera.rawValue, article: article,
      sentence:
        "Refusé : dans ce régime, l'enregistrement ne se déclenche pas pendant une fouille ou s'il touche au secret médical. Relancez-le ensuite. (Not to be recorded.)"
    )
  }
}

/// Whether the reason given is one that this person may have.
// ACC-4 to ACC-6.
private func purpose(_ act: Act, _ object: ActObject, _ basis: Basis) -> Refusal? {
  guard act == .consult || act == .extract else { return nil }
  let articles = object.regime.articles
  guard let reason = object.reason else {
    return Refusal(
      code: "reason-required", article: articles.journal,
      sentence: "Refusé : un motif de la liste est demandé. (A reason is required.)")
  }
  let isWearer = basis.accreditation?.role == .wearer
  switch reason {
  case .wearer(let reason):
    guard isWearer, act == .consult, object.regime.wearerReasons.contains(reason) else {
      let list = object.regime.wearerReasons.map(\.french).joined(separator: ", ")
      return Refusal(
        code: "reason-not-allowed", article: articles.wearer,
        sentence:
          "Refusé : ce motif n'est pas ouvert ici ; ceux du porteur sont : \(list). (This reason is not open to you.)")
    }
  case .purpose(.training) where act == .extract:
    // GOV-1: a training copy is anonymised first.
    return Refusal(
      code: "not-anonymised", article: articles.term,
      sentence:
        "Refusé : une copie de formation doit être anonymisée ; ce serveur n'en produit pas encore. (A training copy must be anonymised.)"
    )
  case .purpose:
    guard !isWearer || act == .extract else {
      return Refusal(
        code: "reason-not-allowed", article: articles.wearer,
        sentence:
          "Refusé : un porteur consulte pour l'un de ces motifs : \(object.regime.wearerReasons.map(\.french).joined(separator: ", ")). (A wearer has reasons of their own.)"
      )
    }
  }
  return nil
}
