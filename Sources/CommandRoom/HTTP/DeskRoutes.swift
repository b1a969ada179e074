internal import Doctrine
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Seams

/// What is done at a desk. Each route makes one call of its body; the keeper decides.
extension ConsoleAPI {
  typealias Context = ConsoleContext

  func desk(_ token: String, _ call: DeskCall) async throws -> DeskReply {
    guard case .desk(let reply) = try await keeper.call(.desk(token: token, call)) else { throw Problem.fault }
    return reply
  }

  /// An act that makes something, or just happens.
  private func act(_ request: Request, _ call: DeskCall) async throws -> Response {
    switch try await desk(try changingToken(request), call) {
    case .created(let id): return try Response.json(CreatedShape(id: id), status: .created)
    default: return .done
    }
  }

  func administer(_ request: Request, _ call: AdminCall) async throws -> Response {
    guard
      case .administered(let reply) = try await keeper.call(.administer(token: try changingToken(request), call))
    else { throw Problem.fault }
    switch reply {
    case .created(let id): return try Response.json(CreatedShape(id: id), status: .created)
    case .enrolled(let camera, let passphrase, let token):
      return try Response.json(
        EnrolledShape(camera: camera.rawValue, passphrase: passphrase, token: token), status: .created)
    default: return .done
    }
  }

  private func recording(_ context: Context) throws -> RecordingID {
    RecordingID(try context.parameters.require("recording"))
  }

  private func incident(_ context: Context) throws -> IncidentID {
    IncidentID(try context.parameters.require("incident"))
  }

  private func service(_ context: Context) throws -> ServiceID { ServiceID(try context.parameters.require("service")) }

  func addDeskRoutes(_ api: RouterGroup<ConsoleContext>) {
    addRecordingRoutes(api)
    addIncidentRoutes(api)
    addServiceRoutes(api)
  }

  private func addRecordingRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.post("recordings/:recording/closing") { request, context in
      let form: ClosingForm = try await request.json()
      return try await act(request, .answerClosing(try recording(context), form.answers))
    }
    api.post("recordings/:recording/justification") { request, context in
      let form: JustificationForm = try await request.json()
      return try await act(request, .justify(try recording(context), sentence: form.justification))
    }
    api.post("recordings/:recording/procedures") { request, context in
      let form: ProcedureForm = try await request.json()
      return try await act(
        request, .linkProcedure(try recording(context), kind: form.kind, reference: form.reference))
    }
    api.delete("recordings/:recording/procedures") { request, context in
      var query = try Query(request)
      let reference = query.text("reference")
      try query.finish()
      guard let reference else { throw Problem.badRequest("« reference » est demandé. (reference is required.)") }
      return try await act(request, .unlinkProcedure(try recording(context), reference: reference))
    }
    api.post("recordings/:recording/holds") { request, context in
      let form: HoldForm = try await request.json()
      return try await act(
        request,
        .placeHold(
          try recording(context), kind: form.kind, reference: form.reference, authority: form.authority,
          requestedOn: form.requestedOn, reviewOn: form.reviewOn))
    }
    api.post("holds/:hold/release") { request, context in
      let form: ReleaseForm = try await request.json()
      return try await act(request, .releaseHold(HoldID(try context.parameters.require("hold")), reason: form.reason))
    }
    api.post("recordings/:recording/erasure") { request, context in
      let form: ErasureForm = try await request.json()
      return try await act(
        request, .proposeErasure(try recording(context), ground: form.ground, reference: form.reference))
    }
    api.delete("recordings/:recording/erasure") { request, context in
      try await act(request, .withdrawErasure(try recording(context)))
    }
    api.post("recordings/:recording/erasure/confirmation") { request, context in
      try await act(request, .confirmErasure(try recording(context)))
    }
  }

  private func addIncidentRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.post("incidents/:incident/close") { request, context in
      _ = try await keeper.call(.closeIncident(token: try changingToken(request), try incident(context)))
      return Response.done
    }
    api.post("incidents/:incident/threat") { request, context in
      let token = try changingToken(request)
      let form: ThreatForm = try await request.json()
      _ = try await keeper.call(
        .declareThreat(token: token, try incident(context), form.ground, reason: form.reason ?? ""))
      return Response.done
    }
    api.delete("incidents/:incident/threat") { request, context in
      _ = try await keeper.call(.endThreat(token: try changingToken(request), try incident(context)))
      return Response.done
    }
    api.post("incidents/:incident/confirmation") { request, context in
      try await act(request, .confirmIncident(try incident(context)))
    }
    api.put("incidents/:incident/agents/:agent") { request, context in
      let form: AttachForm = try await request.json()
      return try await act(
        request,
        .attach(try incident(context), AgentID(try context.parameters.require("agent")), until: form.until?.time))
    }
    api.delete("incidents/:incident/agents/:agent") { request, context in
      try await act(request, .detach(try incident(context), AgentID(try context.parameters.require("agent"))))
    }
  }

  private func addServiceRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.get("services/:service/agents") { request, context in
      guard
        case .agents(let agents) = try await keeper.call(
          .agents(token: try sessionToken(request), try service(context)))
      else { throw Problem.fault }
      return try Response.json(
        agents.map { AgentShape(id: $0.id.rawValue, name: $0.name, matricule: $0.matricule, rank: $0.rank) })
    }
    api.post("services/:service/agents") { request, context in
      let form: AgentForm = try await request.json()
      return try await administer(
        request,
        .createAgent(
          service: try service(context).rawValue, matricule: form.matricule, name: form.name, rank: form.rank))
    }
    api.post("services/:service/cameras") { request, context in
      let form: CameraForm = try await request.json()
      return try await administer(
        request,
        .enrolCamera(service: try service(context).rawValue, CameraID(form.camera), model: form.model ?? ""))
    }
    api.post("services/:service/accreditations") { request, context in
      let form: AccreditationForm = try await request.json()
      return try await act(
        request,
        .accredit(
          account: form.account, service: try service(context), role: form.role, act: form.act,
          from: form.from?.time, until: form.until.time))
    }
    api.post("accreditations/:accreditation/end") { request, context in
      let form: EndForm = try await request.json()
      return try await act(
        request,
        .endAccreditation(AccreditationID(try context.parameters.require("accreditation")), act: form.act))
    }
    api.post("services/:service/regime") { request, context in
      let form: RegimeForm = try await request.json()
      return try await act(request, .changeRegime(service: try service(context), form.change, act: form.act))
    }
    api.post("services/:service/requests") { request, context in
      let form: RequestForm = try await request.json()
      return try await act(
        request,
        .receiveRequest(
          service: try service(context), kind: form.kind, reference: form.reference, receivedOn: form.receivedOn,
          dueOn: form.dueOn, place: form.place, camera: form.camera, from: form.from?.time, to: form.to?.time))
    }
    api.post("requests/:request/decision") { request, context in
      let form: DecisionForm = try await request.json()
      return try await act(
        request,
        .decideRequest(
          DataRequestID(try context.parameters.require("request")), form.decision, ground: form.ground,
          reply: form.reply))
    }
  }
}
