internal import Doctrine
internal import Hummingbird
internal import Logging
internal import Seams

/// What a camera may say and ask, with its own token, on its own listener.
struct DeviceAPI: Sendable {
  struct DeviceThreatForm: Decodable { var ground: ThreatGround }

  struct DeviceClockForm: Decodable { var now: APITimeField }

  let keeper: ConsoleKeeper
  let logger: Logger

  func router() -> Router<ConsoleContext> {
    let router = Router(context: ConsoleContext.self)
    router.add(middleware: Guard(logger: logger))
    let api = router.group("api/v1/device")
    api.get("state") { request, _ in
      guard case .deviceState(let state) = try await keeper.call(.deviceState(token: try token(request))) else {
        throw Problem.fault
      }
      return try Response.json(DeviceStateShape(state))
    }
    api.post("incident/close") { request, _ in
      _ = try await keeper.call(.deviceCloseIncident(token: try token(request)))
      return Response.done
    }
    api.post("threat") { request, _ in
      let bearer = try token(request)
      let form: DeviceThreatForm = try await request.json()
      _ = try await keeper.call(.deviceDeclareThreat(token: bearer, form.ground))
      return Response.done
    }
    api.post("clock") { request, _ in
      let bearer = try token(request)
      let form: DeviceClockForm = try await request.json()
      _ = try await keeper.call(.deviceClock(token: bearer, form.now.time))
      return Response.done
    }
    api.get("openapi.json") { _, _ in PageAsset.deviceOpenAPI.response }
    return router
  }

  private func token(_ request: Request) throws -> String {
    guard let token = request.bearer, token.utf8.count == 64 else { throw Problem.unauthenticated }
    return token
  }
}
