internal import Logging
internal import Doctrine
internal import Foundation
internal import Journal
internal import Seams

/// The live picture: joins, threats, and what ends them.
extension Keeper {
  // MARK: Live

  // LIVE-1, LIVE-3, LIVE-7, P2.
  func joinLive(_ person: Person, _ recording: RecordingID) async throws -> ConsoleReply {
    let incident = active.values.first { $0.entry.recording == recording }
    let service: ServiceID
    if let incident {
      service = incident.entry.service
    } else {
      service = try await known(recording).service
    }
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    var object = try object(in: service)
    object.phase = .closed
    if let incident { object = try self.object(incident) }
    let basis = try await allow(person, .watchLive, object, subject)
    guard let incident, let threat = incident.threat else { throw Problem.fault }
    let viewing = ViewingID(newID())
    var facts = facts(of: person, basis)
    facts["viewing"] = .string(viewing.rawValue)
    facts["recording"] = .string(recording.rawValue)
    facts["camera"] = .string(incident.entry.camera.rawValue)
    facts["incident"] = .string(incident.entry.id.rawValue)
    facts["threat"] = .string(threat.id.rawValue)
    facts["reason"] = .string("live:\(threat.ground.rawValue)")
    try await scribe.write(.consultation, "viewing.joined", author: person.account.name, service: service, facts)
    // The state may have changed while the entry became durable.
    // So may the right: the session, the accreditation, the attachment are asked again.
    let again = try await session(hash: person.session)
    guard let still = active[incident.entry.id], still.live.authorization != nil else {
      object.phase = .closed
      object.live = nil
      if let still = active[incident.entry.id] { object = try self.object(still) }
      _ = try await allow(again, .watchLive, object, subject)
      throw Problem.fault
    }
    let standing = try await allow(again, .watchLive, try self.object(still), subject)
    viewings[viewing] = OpenViewing(
      kind: .live, recording: recording, account: person.account.id, name: person.account.name, service: service,
      session: person.session, until: end(of: standing, again, still),
      attachedAgent: standing.isAttachment ? person.account.agent.id : nil)
    publishWall()
    if !isDatabaseAway {
      do {
        try await store.insertViewing(
          viewing, recording: recording, account: person.account.id, accreditation: basis.accreditation?.id,
          kind: "live", at: clock())
      } catch {
        // The journal has it; the register's row is a convenience.
        logger.warning("a viewing is not in the register", metadata: ["error": "\(error)"])
      }
    }
    // It may have been ended while the register was written.
    guard viewings[viewing] != nil else { throw Problem.unavailable("Le direct") }
    return .joined(viewing, sound: services[service]?.regime.liveSound ?? false, wall: wallMark(newestConsole))
  }

  func declareThreat(
    _ person: Person, _ id: IncidentID, _ ground: ThreatGround, _ reason: String
  ) async throws -> ConsoleReply {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    let basis = try await allow(
      person, .declareThreat, try object(incident), ["incident": .string(id.rawValue)])
    guard incident.threat == nil else { return .done }
    let words = reason.trimmingCharacters(in: .whitespacesAndNewlines)
    guard (1...500).contains(words.count) else {
      throw Problem.badRequest(
        "Un motif écrit de 1 à 500 caractères est demandé pour déclarer une menace. (A written reason is required.)")
    }
    try await declare(
      ground, incident: id, origin: .commandRoom, author: person.account.name, reason: words,
      facts: facts(of: person, basis))
    return .done
  }

  func endThreat(_ person: Person, _ id: IncidentID) async throws -> ConsoleReply {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    let basis = try await allow(person, .endThreat, try object(incident), ["incident": .string(id.rawValue)])
    guard let threat = incident.threat else { throw Problem.notFound("La déclaration de menace") }
    let position = try await scribe.write(
      .modification, "threat.ended", author: person.account.name, service: incident.entry.service,
      facts(of: person, basis).merging([
        "incident": .string(id.rawValue), "threat": .string(threat.id.rawValue),
      ]) { $1 })
    // Another may have ended it meanwhile, and a new threat may be open: its viewers stay.
    if active[id]?.live.threatEnded(threat.id) == .end {
      publishLive(id)
      await leaveAll(incident.entry.recording, cause: "threat-ended")
    }
    publishWall()
    let (store, now) = (self.store, clock())
    await follow("threat ended", position) { try await store.closeThreat(threat.id, at: now) }
    return .done
  }

  func closeIncident(_ person: Person, _ id: IncidentID) async throws -> ConsoleReply {
    guard let incident = active[id] else { throw Problem.notFound("L'incident") }
    let basis = try await allow(person, .closeIncident, try object(incident), ["incident": .string(id.rawValue)])
    try await requestClose(id, .closedByCommandRoom, by: person.account.name, facts: facts(of: person, basis))
    return .done
  }

  /// Journals the decision, ends live, and has the ingest carry it out.
  func requestClose(_ id: IncidentID, _ cause: ClosingCause, by author: String, facts: [String: CanonicalJSON] = [:])
    async throws
  {
    guard let incident = active[id] else { return }
    if let closing = incident.closing {
      // Decided already: told again, in case it was lost on its way.
      tellIngest(.closeIncident(id, cause: closing.cause, by: closing.by))
      return
    }
    let position = try await scribe.write(
      .modification, "incident.close-requested", author: author, service: incident.entry.service,
      facts.merging(["incident": .string(id.rawValue), "cause": .string(cause.rawValue)]) { $1 })
    active[id]?.close(cause, by: author)
    publishLive(id)
    tellIngest(.closeIncident(id, cause: cause, by: author))
    await leaveAll(incident.entry.recording, cause: "incident-closed")
    publishWall()
    let store = self.store
    await follow("close requested", position) { try await store.requestClose(id, cause: cause, by: author) }
  }

  /// Until when a viewing may last: the accreditation, and where it rests on an attachment, that too.
  func end(of basis: Basis, _ person: Person, _ incident: ActiveIncident) -> UTCTime {
    let accreditation = min(basis.accreditation?.until ?? clock(), person.until)
    guard case .attachment = basis else { return accreditation }
    return min(accreditation, incident.attached[person.account.agent.id] ?? clock())
  }
}
