/// What a person may be in a service. Roles come from accreditations, never from a token or a name.
package enum Role: String, Sendable, Codable, CaseIterable {
  case wearer
  case `operator`
  case head
  case reader
  case auditor
  case administrator

  package var french: String {
    switch self {
    case .wearer: "porteur"
    case .operator: "opérateur"
    case .head: "chef de service"
    case .reader: "lecteur habilité"
    case .auditor: "auditeur"
    case .administrator: "administrateur"
    }
  }
}

/// Who may do what, where, from when to when, by whose act (ACC-1).
package struct Accreditation: Equatable, Sendable, Codable {
  package var id: AccreditationID
  package var role: Role
  package var service: ServiceID
  /// Reference of the act by which it was given.
  package var act: String
  package var from: UTCTime
  package var until: UTCTime

  package init(
    id: AccreditationID, role: Role, service: ServiceID, act: String, from: UTCTime, until: UTCTime
  ) {
    self.id = id
    self.role = role
    self.service = service
    self.act = act
    self.from = from
    self.until = until
  }

  package func isValid(at time: UTCTime) -> Bool { from <= time && time < until }
}

/// A person who acts, with the accreditations that were given.
package struct Actor: Equatable, Sendable, Codable {
  package var account: AccountID
  package var name: String
  package var accreditations: [Accreditation]

  package init(account: AccountID, name: String, accreditations: [Accreditation]) {
    self.account = account
    self.name = name
    self.accreditations = accreditations
  }
}

/// What somebody wants to do.
package enum Act: String, Sendable, Codable, CaseIterable {
  case seeWall = "see-wall"
  case watchLive = "watch-live"
  case declareThreat = "declare-threat"
  case closeIncident = "close-incident"
  case issueCamera = "issue-camera"
  case readRefusals = "read-refusals"
  case readRegister = "read-register"
  case extract
  case checkFootage = "check-footage"
}

/// What the act is done to, as far as the law asks.
package struct ActObject: Equatable, Sendable {
  package var service: ServiceID
  package var regime: Regime
  package var recordingIsOpen: Bool
  package var live: LiveAuthorization?

  package init(
    service: ServiceID, regime: Regime, recordingIsOpen: Bool = false, live: LiveAuthorization? = nil
  ) {
    self.service = service
    self.regime = regime
    self.recordingIsOpen = recordingIsOpen
    self.live = live
  }
}

/// A refusal that can be shown: the article, and a sentence that says what was refused, why, and what to do.
package struct Refusal: Error, Equatable, Sendable, Codable {
  package var code: String
  package var article: String
  package var sentence: String

  package init(code: String, article: String, sentence: String) {
    self.code = code
    self.article = article
    self.sentence = sentence
  }
}

/// The answer to ``may(_:_:_:at:)``, which is also what the journal stores.
package enum Decision: Equatable, Sendable {
  case granted(basis: Accreditation)
  case refused(Refusal)
}

/// The one place that decides who may do what. Every route, command and job asks it.
// LIVE-3, ACC-1, ACC-3, ACC-7, CSI R241-3-1.
package func may(_ actor: Actor, _ act: Act, _ object: ActObject, at now: UTCTime) -> Decision {
  let inService = actor.accreditations.filter { $0.service == object.service }
  guard !inService.isEmpty else {
    return .refused(
      Refusal(
        code: "other-service", article: "CSI R241-3-1",
        sentence:
          "Refusé : aucune habilitation dans ce service. Demandez-la à son chef de service. (No accreditation in this service.)"
      ))
  }
  let valid = inService.filter { $0.isValid(at: now) }
  guard !valid.isEmpty else {
    return .refused(
      Refusal(
        code: "accreditation-ended", article: "CSI R241-3-1",
        sentence:
          "Refusé : l'habilitation n'est pas en cours de validité. Faites-la renouveler par le chef de service. (Accreditation not in force.)"
      ))
  }
  let roles = permitted(act)
  guard let basis = valid.first(where: { roles.contains($0.role) }) else {
    let list = roles.map(\.french).joined(separator: ", ")
    return .refused(
      Refusal(
        code: "missing-right", article: act.article,
        sentence:
          "Refusé : cet acte est réservé à : \(list). Adressez-vous à l'une de ces personnes. (Your role does not allow this act.)"
      ))
  }
  if let refusal = condition(on: act, object) { return .refused(refusal) }
  return .granted(basis: basis)
}

/// The roles an act is open to.
private func permitted(_ act: Act) -> [Role] {
  switch act {
  case .seeWall, .watchLive, .declareThreat, .closeIncident, .issueCamera: [.operator]
  case .readRefusals: [.operator, .auditor, .head]
  case .readRegister: [.auditor]
  case .extract: [.head, .reader]
  case .checkFootage: [.auditor, .head]
  }
}

extension Act {
  /// Where the law says who may.
  package var article: String {
    switch self {
    case .seeWall, .watchLive, .declareThreat: "CSI R241-3-1 II"
    case .closeIncident, .issueCamera: "CSI L241-1 al. 2 et 4"
    case .readRefusals, .checkFootage: "CSI R241-3 V"
    case .readRegister: "CSI R241-5"
    case .extract: "CSI R241-3-1 I"
    }
  }
}

/// What must hold besides the role.
private func condition(on act: Act, _ object: ActObject) -> Refusal? {
  switch act {
  case .watchLive where !object.recordingIsOpen:
    Refusal(
      code: "recording-closed", article: "CSI L241-1 al. 5",
      sentence:
        "Refusé : la caméra n'enregistre pas ; le direct n'existe que pendant un enregistrement. (The camera is not recording.)"
    )
  case .watchLive where object.live == nil:
    Refusal(
      code: "no-threat", article: "CSI R241-3 I",
      sentence:
        "Refusé : aucune menace n'est déclarée pour cet incident ; le direct s'ouvre par une déclaration de menace. (No threat is declared for this incident.)"
    )
  case .declareThreat where !object.regime.commandRoomMayDeclare:
    Refusal(
      code: "declaration-by-wearer-only", article: object.regime.text,
      sentence:
        "Refusé : dans ce régime, seul le porteur déclare la menace. Demandez-lui de le faire depuis sa caméra. (Only the wearer declares a threat in this regime.)"
    )
  case .declareThreat where !object.recordingIsOpen:
    Refusal(
      code: "recording-closed", article: "CSI R241-3 I",
      sentence: "Refusé : l'incident est clos, aucune menace ne peut y être déclarée. (The incident is closed.)"
    )
  case .extract where object.recordingIsOpen:
    Refusal(
      code: "incident-open", article: "CSI R241-3 IV",
      sentence:
        "Refusé : l'enregistrement se consulte après la fin de l'intervention et son transfert. Réessayez après la clôture. (The incident is still open.)"
    )
  default: nil
  }
}

/// Why a recording is extracted: the closed list (ACC-5/6, LOG-4).
package enum ExtractionReason: String, Sendable, Codable, CaseIterable {
  case judicial
  case administrative
  case disciplinary
  case training
}
