internal import Doctrine
internal import Foundation
internal import Journal
internal import Seams

/// Asking the doctrine, and keeping its answer.
extension Keeper {
  struct Person {
    var account: AccountEntry
    var actor: Actor
    var info: SessionInfo
    var session: [UInt8]
    /// The session's absolute end: nothing that was begun in it goes on beyond.
    var until: UTCTime
  }

  // MARK: Objects

  func object(in service: ServiceID) throws -> ActObject {
    guard let entry = services[service] else { throw Problem.notFound("Le service") }
    return ActObject(service: service, regime: entry.regime)
  }

  func object(_ incident: ActiveIncident) throws -> ActObject {
    var object = try object(in: incident.entry.service)
    object.phase = incident.closing == nil ? .open : .closed
    object.live = incident.live.authorization
    if case .suspended = incident.live.state { object.isRecorded = false }
    object.wearer = incident.entry.agent
    let now = clock()
    object.attached = Set(incident.attached.filter { $0.value > now }.keys)
    return object
  }

  func object(_ facts: RecordingFacts) throws -> ActObject {
    var object = try object(in: facts.service)
    object.phase = facts.phase(on: calendar.day(of: clock()))
    object.wearer = facts.agent
    return object
  }

  /// A recording of the register, by an id that came from outside.
  func known(_ recording: RecordingID) async throws -> RecordingFacts {
    guard Self.isID(recording.rawValue), let facts = try await store.facts(of: recording) else {
      throw Problem.notFound("L'enregistrement")
    }
    return facts
  }

  /// An identifier as the server writes it: one spelling, so that what is journalled is what is found again.
  static func isID(_ text: String) -> Bool { UUID(uuidString: text) != nil && text == text.lowercased() }

  // MARK: Asking

  /// Asks, and journals a refusal before it is given (LIVE-7, LOG-3).
  @discardableResult
  func allow(
    _ person: Person, _ act: Act, _ object: ActObject, _ facts: [String: CanonicalJSON] = [:]
  ) async throws -> Basis {
    switch may(person.actor, act, object, at: clock()) {
    case .granted(let basis): return basis
    case .refused(let refusal):
      try await journal(refusal, of: person, act, object, facts)
      throw Problem(refusal)
    }
  }

  func journal(
    _ refusal: Refusal, of person: Person, _ act: Act, _ object: ActObject, _ facts: [String: CanonicalJSON]
  ) async throws {
    var all = facts
    all["account"] = .string(person.account.id.rawValue)
    all["matricule"] = .string(person.account.agent.matricule)
    all["rank"] = .string(person.account.agent.rank)
    all["agent_service"] = .string(person.account.agent.service.rawValue)
    all["result"] = .string("refused")
    all["code"] = .string(refusal.code)
    all["article"] = .string(refusal.article)
    try await scribe.write(
      .consultation, "\(act.rawValue).refused", author: person.account.name, service: object.service, all)
  }

  /// The services of a person in which an act is granted; at least one, or its refusal.
  func granted(_ person: Person, _ act: Act) async throws -> [ServiceID] {
    var granted: [ServiceID] = []
    var last: (Refusal, ActObject)?
    for service in Set(person.actor.accreditations.map(\.service)) {
      let object = try object(in: service)
      switch may(person.actor, act, object, at: clock()) {
      case .granted: granted.append(service)
      case .refused(let reason): last = (reason, object)
      }
    }
    guard granted.isEmpty else { return granted.sorted { $0.rawValue < $1.rawValue } }
    if let (refusal, object) = last {
      try await journal(refusal, of: person, act, object, [:])
      throw Problem(refusal)
    }
    throw try await self.refused(
      person, act.rawValue, person.account.agent.service,
      Refusal(
        code: "no-accreditation", article: "CSI R241-3-1",
        sentence:
          "Refusé : ce compte n'a aucune habilitation. Demandez-la au chef de service. (No accreditation.)"))
  }

  /// Journals a refusal that the doctrine gives outside of ``may(_:_:_:at:)``; returns what is answered.
  func refused(_ person: Person, _ act: String, _ service: ServiceID, _ refusal: Refusal) async throws -> Problem {
    try await scribe.write(
      .consultation, "\(act).refused", author: person.account.name, service: service,
      [
        "account": .string(person.account.id.rawValue), "matricule": .string(person.account.agent.matricule),
        "rank": .string(person.account.agent.rank), "result": .string("refused"), "code": .string(refusal.code),
        "article": .string(refusal.article),
      ])
    return Problem(refusal)
  }

  /// What LOG-3 keeps of the person who acts, as they are now.
  func facts(of person: Person, _ basis: Basis) -> [String: CanonicalJSON] {
    var facts: [String: CanonicalJSON] = [
      "account": .string(person.account.id.rawValue), "matricule": .string(person.account.agent.matricule),
      "rank": .string(person.account.agent.rank), "agent_service": .string(person.account.agent.service.rawValue),
      "result": .string("granted"),
    ]
    switch basis {
    case .accreditation(let accreditation), .attachment(let accreditation):
      facts["accreditation"] = .string(accreditation.id.rawValue)
      facts["accreditation_act"] = .string(accreditation.act)
      facts["role"] = .string(accreditation.role.rawValue)
      if case .attachment = basis { facts["attached"] = .bool(true) }
    case .law(let article): facts["article"] = .string(article)
    }
    return facts
  }

  /// A text of a person, without blanks around it.
  ///
  /// - Throws: a problem that says what was asked for.
  func words(_ text: String, _ what: String, upTo limit: Int) throws -> String {
    let words = text.trimmingCharacters(in: .whitespacesAndNewlines)
    // As the register counts: by code points, however they combine.
    guard (1...limit).contains(words.unicodeScalars.count), !words.unicodeScalars.contains(where: { $0.value == 0 })
    else {
      throw Problem.badRequest(
        "\(what) est demandé (1 à \(limit) caractères). (Required, at most \(limit) characters.)")
    }
    return words
  }
}
