internal import Doctrine
internal import Foundation
internal import Identity
internal import Journal
internal import Seams

/// Cameras: their issue, and what they say of themselves.
extension Keeper {
  // MARK: Cameras

  // MET-2.
  func issue(
    _ camera: CameraID, to agent: AgentID, by author: String, facts: [String: CanonicalJSON] = [:]
  ) async throws {
    guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
    guard Self.isID(agent.rawValue), let person = try await store.agent(agent),
      person.service == known.service
    else { throw Problem.notFound("L'agent") }
    guard known.issuedTo == nil else {
      throw Problem(
        409, "already-issued", "Déjà perçue (Already issued)",
        "La caméra est portée par un agent : enregistrez d'abord sa réintégration. (Return it first.)")
    }
    try await scribe.write(
      .modification, "camera.issued", author: author, service: known.service,
      facts.merging([
        "camera": .string(camera.rawValue), "agent": .string(agent.rawValue), "wearer": .string(person.matricule),
      ]) { $1 })
    try await store.issueCamera(camera, issue: newID(), to: agent, by: author, at: clock())
    cameras[camera]?.issuedTo = person
    alarms.removeAll { $0.camera == camera && $0.code == "not-issued" }
    if let updated = cameras[camera] { publish(updated) }
    publishWall()
  }

  func refusals(_ person: Person, _ limit: Int) async throws -> ConsoleReply {
    let services = try await granted(person, .readRefusals)
    try await journalRead("refusals.read", person, services, [:])
    return .refusals(try await store.refusals(of: services, limit: max(1, min(limit, 1000))))
  }

  // MARK: Devices

  func camera(byToken token: String) throws -> CameraEntry {
    let hash = Tokens.hash(token)
    guard let camera = cameras.values.first(where: { $0.tokenHash == hash }), camera.enabled else {
      throw Problem.unauthenticated
    }
    return camera
  }

  // REC-9: what the camera shows is true; it is told of itself only.
  func deviceState(_ camera: CameraEntry) throws -> DeviceState {
    if case .refused(let refusal) = may(
      Actor(.device), .readDeviceState, try object(in: camera.service), at: clock())
    {
      throw Problem(refusal)
    }
    let incident = active.values.first { $0.entry.camera == camera.id && $0.closing == nil }
    return DeviceState(
      camera: camera.id, recording: incident?.streaming ?? false, incident: incident?.entry.id,
      threatOpen: incident?.live.authorization != nil,
      watchers: viewings.values.count { $0.recording == incident?.entry.recording },
      lastRefusal: lastRefusal[camera.id]?.sentence, lastLinkTest: lastLinkTest[camera.id])
  }

  func deviceClose(_ camera: CameraEntry) async throws -> ConsoleReply {
    guard let incident = active.values.first(where: { $0.entry.camera == camera.id && $0.closing == nil }) else {
      throw Problem(
        409, "no-incident", "Aucun incident (No incident)",
        "Cette caméra n'a pas d'incident ouvert. (This camera has no open incident.)")
    }
    let facts = try await device(.closeIncident, incident)
    try await requestClose(
      incident.entry.id, .closedByWearer, by: "wearer:\(incident.agent?.matricule ?? camera.id.rawValue)", facts: facts)
    return .done
  }

  func deviceDeclare(_ camera: CameraEntry, _ ground: ThreatGround) async throws -> ConsoleReply {
    guard let incident = active.values.first(where: { $0.entry.camera == camera.id && $0.closing == nil }) else {
      throw Problem(
        409, "no-incident", "Aucun incident (No incident)",
        "Cette caméra n'a pas d'incident ouvert : lancez l'enregistrement d'abord. (Start recording first.)")
    }
    let facts = try await device(.declareThreat, incident)
    guard incident.threat == nil else { return .done }
    try await declare(
      ground, incident: incident.entry.id, origin: .wearer,
      author: "wearer:\(incident.agent?.matricule ?? camera.id.rawValue)", reason: nil, facts: facts)
    return .done
  }

  /// The wearer's own acts rest on the text, not on an accreditation; the doctrine is asked all the same.
  func device(_ act: Act, _ incident: ActiveIncident) async throws -> [String: CanonicalJSON] {
    let decision = may(Actor(.device), act, try object(incident), at: clock())
    guard case .refused(let refusal) = decision else { return Self.facts(of: decision) }
    try await scribe.write(
      .modification, "\(act.rawValue).refused", author: "camera:\(incident.entry.camera)",
      service: incident.entry.service,
      [
        "incident": .string(incident.entry.id.rawValue), "code": .string(refusal.code),
        "article": .string(refusal.article), "result": .string("refused"),
      ])
    throw Problem(refusal)
  }
}
