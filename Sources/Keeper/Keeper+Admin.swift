internal import Doctrine
internal import Foundation
internal import Identity
internal import Journal
package import Seams
internal import Vault

/// The administrator's acts. An administrator sees no footage, and every act is journalled first.
extension Keeper {
  package func answer(_ call: AdminCall) async throws -> AdminReply {
    do { return try await perform(call) } catch {
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

  private func perform(_ call: AdminCall) async throws -> AdminReply {
    let author = "administrator"
    let now = clock()
    switch call {
    case .createService(let name, let regimeName, let act, let date, let cameras):
      guard let regime = Regime.named(regimeName) else {
        throw Problem.badRequest("Régime inconnu : \(Regime.all.map(\.name).joined(separator: ", ")).")
      }
      guard !act.isEmpty else {
        throw Problem.badRequest("La référence de l'acte autorisant le traitement est demandée.")
      }
      guard !regime.camerasCounted || cameras != nil else {
        throw Problem.badRequest(
          "Le régime \(regime.name) demande le nombre de caméras autorisé (CSI R241-8 II, R241-18 III).")
      }
      let service = ServiceEntry(
        id: ServiceID(newID()), name: name, regime: regime, authorisingAct: act, authorisingDate: date,
        authorisedCameras: cameras)
      try await scribe.write(
        .modification, "service.created", author: author, service: service.id,
        ["name": .string(name), "regime": .string(regime.name), "act": .string(act)])
      try await store.insert(service, at: now)
      services[service.id] = service
      return .created(service.id.rawValue)
    case .createAgent(let service, let matricule, let name, let rank):
      let owner = try find(service)
      let agent = AgentEntry(id: AgentID(newID()), service: owner.id, matricule: matricule, name: name, rank: rank)
      try await scribe.write(
        .modification, "agent.created", author: author, service: owner.id,
        ["agent": .string(agent.id.rawValue), "matricule": .string(matricule)])
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
        ["account": .string(id.rawValue), "name": .string(name), "agent": .string(agent.rawValue)])
      try await store.insertAccount(id, name: name, agent: agent, passwordHash: hash, at: now)
      return .created(id.rawValue)
    case .accredit(let name, let service, let role, let act, let days):
      let owner = try find(service)
      guard let account = try await store.account(named: name) else { throw Problem.notFound("Le compte") }
      let accreditation = Accreditation(
        id: AccreditationID(newID()), role: role, service: owner.id, act: act, from: now,
        until: now.adding(seconds: Int64(max(1, min(days, 3660))) * 86_400))
      try await scribe.write(
        .modification, "accreditation.given", author: author, service: owner.id,
        [
          "account": .string(account.id.rawValue), "role": .string(role.rawValue), "act": .string(act),
          "accreditation": .string(accreditation.id.rawValue), "until_us": .integer(accreditation.until.microseconds),
        ])
      try await store.insert(accreditation, account: account.id, givenBy: author)
      return .created(accreditation.id.rawValue)
    case .enrolCamera(let service, let camera, let model):
      return try await enrol(camera, model: model, in: try find(service), at: now)
    case .issueCamera(let camera, let agent):
      try await issue(camera, to: agent, by: author)
      return .done
    case .returnCamera(let camera):
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      try await scribe.write(
        .modification, "camera.returned", author: author, service: known.service, ["camera": .string(camera.rawValue)])
      try await withdraw(camera)
      try await store.returnCamera(camera, at: now)
      cameras[camera]?.issuedTo = nil
      if let updated = cameras[camera] { publish(updated) }
      return .done
    case .setCamera(let camera, let enabled):
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      try await scribe.write(
        .modification, enabled ? "camera.enabled" : "camera.disabled", author: author, service: known.service,
        ["camera": .string(camera.rawValue)])
      if !enabled { try await withdraw(camera) }
      try await store.setCamera(camera, enabled: enabled)
      cameras[camera]?.enabled = enabled
      if let updated = cameras[camera] { publish(updated) }
      return .done
    case .closeIncident(let incident):
      guard active[incident] != nil else { throw Problem.notFound("L'incident") }
      try await requestClose(incident, .closedByAdministrator, by: author)
      return .done
    case .status: return .status(wall(), mark())
    case .sweep: return .swept(erased: try await sweep())
    }
  }

  private func find(_ service: String) throws -> ServiceEntry {
    guard let found = services.values.first(where: { $0.name == service || $0.id.rawValue == service }) else {
      throw Problem.notFound("Le service")
    }
    return found
  }

  private func withdraw(_ camera: CameraID) async throws {
    for incident in active.values where incident.entry.camera == camera {
      try await requestClose(incident.entry.id, .cameraWithdrawn, by: "administrator")
    }
  }

  // STO-5, STO-6.
  private func enrol(_ id: CameraID, model: String, in service: ServiceEntry, at now: UTCTime) async throws
    -> AdminReply
  {
    if let limit = service.authorisedCameras {
      let count = cameras.values.count { $0.service == service.id }
      guard count < limit else {
        throw Problem(
          409, "too-many-cameras", "Caméra refusée (Refused)",
          "Le service a \(count) caméras pour \(limit) autorisées : une de plus demande un nouvel arrêté. [CSI R241-8 II, R241-18 III]",
          article: "CSI R241-8 II")
      }
    }
    guard cameras[id] == nil else {
      throw Problem(409, "exists", "Déjà enrôlée (Exists)", "Une caméra porte déjà ce nom.")
    }
    let passphrase = Tokens.passphrase()
    let token = Tokens.make()
    let camera = CameraEntry(
      id: id, service: service.id, model: model,
      passphraseSealed: try keys.seal(
        Array(passphrase.utf8), purpose: "plastron/register/v1/passphrase", subject: id.rawValue),
      tokenHash: Tokens.hash(token), enabled: true, issuedTo: nil)
    try await scribe.write(
      .modification, "camera.enrolled", author: "administrator", service: service.id,
      ["camera": .string(id.rawValue), "model": .string(model)])
    try await store.insert(camera, at: now)
    cameras[id] = camera
    publish(camera)
    return .enrolled(id, passphrase: passphrase, token: token)
  }
}
