internal import Doctrine
internal import Journal
package import Seams
internal import Vault

/// What people and cameras ask through the console.
extension Keeper {
  package func answer(_ call: ConsoleCall) async throws -> ConsoleReply {
    do { return try await scribe.tracing { try await self.perform(call) } } catch is VaultError {
      // P7: the journal or the keys cannot be written.
      throw Problem.journalUnwritable
    } catch  where store.isUnavailable(error) {
      throw Problem.unavailable("La base de données")
    } catch  where store.complaint(error) == .exists {
      throw Problem(409, "exists", "Existe déjà (Exists)", "Cela existe déjà. (This exists already.)")
    } catch  where store.complaint(error) == .refused {
      throw Problem.badRequest("Une valeur n'est pas admise, ou désigne ce qui n'existe pas. (A value is not allowed.)")
    }
  }

  private func perform(_ call: ConsoleCall) async throws -> ConsoleReply {
    switch call {
    case .logIn(let name, let password, let code, let peer): return try await logIn(name, password, code, peer: peer)
    case .logInByProvider(let identity, let peer): return try await logIn(identity, peer: peer)
    case .logOut(let token): return try await logOut(token)
    case .session(let token): return .session(try await session(token, mayBeLimited: true).info)
    case .beginSecondFactor(let token): return try await beginSecondFactor(token)
    case .confirmSecondFactor(let token, let code): return try await confirmSecondFactor(token, code)
    case .changePassword(let token, let old, let new): return try await changePassword(token, old, new)
    case .seeWall(let token):
      let person = try await session(token)
      _ = try await granted(person, .seeWall)
      return .session(person.info)
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
      let person = try await session(token)
      try await allow(person, .issueCamera, try object(in: service))
      return .agents(try await store.agents(of: service))
    case .issueCamera(let token, let camera, let agent):
      let person = try await session(token)
      guard let known = cameras[camera] else { throw Problem.notFound("La caméra") }
      let basis = try await allow(
        person, .issueCamera, try object(in: known.service), ["camera": .string(camera.rawValue)])
      try await issue(camera, to: agent, by: person.account.name, facts: facts(of: person, basis))
      return .done
    case .refusals(let token, let limit): return try await refusals(try await session(token), limit)
    case .cameras(let token): return try await cameraLinks(try await session(token))
    case .linkMinutes(let token, let camera, let from, let to):
      return try await linkMinutes(try await session(token), camera, from: from, to: to)
    case .register(let token, let view, let filter):
      return try await register(try await session(token), view, filter)
    case .extract(let token, let recording, let order):
      return try await extract(try await session(token), recording, order)
    case .consult(let token, let recording, let reason, let reference):
      return try await consult(try await session(token), recording, reason, reference)
    case .indexFacts(let token): return try await indexFacts(try await session(token))
    case .desk(let token, let call): return .desk(try await desk(try await session(token), call))
    case .administer(let token, let call): return .administered(try await administer(try await session(token), call))
    case .journal(let token, let call):
      return .journal(try await journal(token == nil ? nil : try await session(token ?? ""), call))
    case .deviceState(let token): return .deviceState(try deviceState(try camera(byToken: token)))
    case .deviceCloseIncident(let token): return try await deviceClose(try camera(byToken: token))
    case .deviceDeclareThreat(let token, let ground):
      return try await deviceDeclare(try camera(byToken: token), ground)
    case .deviceClock(let token, let told): return try await deviceClock(try camera(byToken: token), told)
    case .cameraFigures: return .cameraFigures(node: settings.nodeName, cameraFigures())
    case .figures: return .figures(figures())
    case .nextDecodeCheck: return try await nextDecodeCheck()
    case .nextFootageCheck(let onDisksOnly):
      return .footageToCheck(try await nextFootageCheck(onDisksOnly: onDisksOnly))
    case .footageChecked(let part, let finding): return try await footageChecked(part, finding)
    case .decodeChecked(let recording, let verdict, let detail, let clock):
      return try await decodeChecked(recording, verdict, detail, clock)
    }
  }
}
