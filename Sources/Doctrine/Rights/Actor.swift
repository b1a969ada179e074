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
  /// Its end, planned or ordered, whichever is earlier.
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

/// What the server does of its own, because the law orders it or a wearer pressed a button.
package enum Job: String, Sendable, Codable, CaseIterable {
  /// Erases at the term.
  case sweeper
  /// Checks that what was recorded decodes.
  case decodeCheck = "decode-check"
  /// Moves closed masters to the object store.
  case archive
  /// A camera, by its passphrase or token: the wearer's own acts on their incident.
  case device
  /// Closes an incident whose camera stopped or was lost, when its time is over.
  case deadline
  /// Whoever can open the administrator's socket on the machine.
  case localAdministrator = "local-administrator"
}

/// Who acts: a person with the accreditations that were given, or the server itself.
package struct Actor: Equatable, Sendable, Codable {
  package enum Standing: Equatable, Sendable, Codable {
    case person(AccountID, AgentID, [Accreditation])
    case job(Job)
  }

  package var name: String
  package var standing: Standing

  package init(account: AccountID, agent: AgentID, name: String, accreditations: [Accreditation]) {
    self.name = name
    standing = .person(account, agent, accreditations)
  }

  package init(_ job: Job, name: String? = nil) {
    self.name = name ?? job.rawValue
    standing = .job(job)
  }

  package var accreditations: [Accreditation] {
    if case .person(_, _, let accreditations) = standing { accreditations } else { [] }
  }

  package var agent: AgentID? { if case .person(_, let agent, _) = standing { agent } else { nil } }
}
