internal import Doctrine
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Identity
internal import Logging
internal import NIOCore
internal import Seams

typealias ConsoleKeeper = SeamClient<ConsoleCall, ConsoleReply, ConsoleNotice>

/// The HTTP API of the command room and of auditors, and the page.
///
/// It decides nothing: every act goes to the keeper with the session's token, which asks the doctrine.
struct ConsoleAPI: Sendable {
  static let cookie = "__Host-plastron"
  /// An open wall asks this often whether its session still holds.
  static let sessionCheck: Duration = .seconds(4)

  let keeper: ConsoleKeeper
  let wall: WallHub
  let hub: LiveHub
  let settings: ConsoleSettings
  let logger: Logger

  func router() -> Router<ConsoleContext> {
    let router = Router(context: ConsoleContext.self)
    router.add(middleware: Guard(logger: logger))
    for asset in PageAsset.all {
      router.get(RouterPath(asset.path)) { _, _ in asset.response }
    }
    router.get("healthz") { _, _ in Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(string: "ok\n"))) }
    let api = router.group("api/v1")
    api.post("session", use: logIn)
    api.get("session", use: session)
    api.delete("session", use: logOut)
    api.get("wall", use: followWall)
    api.get("recordings/:recording/live", use: live)
    api.post("recordings/:recording/extraction", use: extraction)
    api.post("incidents/:incident/close") { request, context in
      let token = try changingToken(request)
      _ = try await keeper.call(.closeIncident(token: token, IncidentID(try context.parameters.require("incident"))))
      return Response.done
    }
    api.post("incidents/:incident/threat") { request, context in
      let token = try changingToken(request)
      let form: ThreatForm = try await request.json()
      _ = try await keeper.call(
        .declareThreat(
          token: token, IncidentID(try context.parameters.require("incident")), form.ground,
          reason: form.reason ?? ""))
      return Response.done
    }
    api.delete("incidents/:incident/threat") { request, context in
      let token = try changingToken(request)
      _ = try await keeper.call(.endThreat(token: token, IncidentID(try context.parameters.require("incident"))))
      return Response.done
    }
    api.get("services/:service/agents") { request, context in
      let token = try sessionToken(request)
      guard
        case .agents(let agents) = try await keeper.call(
          .agents(token: token, ServiceID(try context.parameters.require("service"))))
      else { throw Problem.fault }
      return try Response.json(
        agents.map { AgentShape(id: $0.id.rawValue, name: $0.name, matricule: $0.matricule, rank: $0.rank) })
    }
    api.post("cameras/:camera/issue") { request, context in
      let token = try changingToken(request)
      let form: IssueForm = try await request.json()
      _ = try await keeper.call(
        .issueCamera(token: token, CameraID(try context.parameters.require("camera")), AgentID(form.agent)))
      return Response.done
    }
    api.get("refusals") { request, _ in
      let token = try sessionToken(request)
      let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 100
      guard case .refusals(let list) = try await keeper.call(.refusals(token: token, limit: limit)) else {
        throw Problem.fault
      }
      return try Response.json(list.map(RefusalShape.init))
    }
    api.get("register", use: register)
    api.get("footage/check", use: check)
    return router
  }

  // MARK: Sessions

  /// The token of a request that reads.
  func sessionToken(_ request: Request) throws -> String {
    guard let token = request.cookies[Self.cookie]?.value, token.utf8.count == 64 else { throw Problem.unauthenticated }
    return token
  }

  /// The token of a request that changes something: it must also carry the session's own value in a header,
  /// which no other site can read.
  func changingToken(_ request: Request) throws -> String {
    let token = try sessionToken(request)
    guard let name = HTTPField.Name("X-Plastron-CSRF"), request.headers[name] == Tokens.csrf(of: token) else {
      throw Problem(
        403, "csrf", "Demande refusée (Refused)",
        "L'en-tête X-Plastron-CSRF manque ou n'est pas celui de la session : rechargez la page. (Reload the page.)")
    }
    return token
  }

  private func logIn(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    let form: LogInForm = try await request.json()
    guard
      case .loggedIn(let token, let info) = try await keeper.call(
        .logIn(name: form.name, password: form.password, peer: context.peer))
    else { throw Problem.fault }
    var response = try Response.json(SessionShape(info))
    response.setCookie(
      Cookie(
        name: Self.cookie, value: token, maxAge: Int(LogInPolicy.sessionAbsolute_s), path: "/", secure: true,
        httpOnly: true, sameSite: .strict))
    return response
  }

  private func session(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    guard case .session(let info) = try await keeper.call(.session(token: try sessionToken(request))) else {
      throw Problem.fault
    }
    return try Response.json(SessionShape(info))
  }

  private func logOut(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    _ = try await keeper.call(.logOut(token: try changingToken(request)))
    var response = Response.done
    response.setCookie(
      Cookie(name: Self.cookie, value: "", maxAge: 0, path: "/", secure: true, httpOnly: true, sameSite: .strict))
    return response
  }

  // MARK: Wall

  private func followWall(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    let token = try sessionToken(request)
    let keeper = self.keeper
    /// The services whose wall this session may see now: asked again while the page is open, so that a log-out or
    /// an accreditation that ends also ends the sight of it.
    @Sendable func services() async throws -> Set<ServiceID> {
      guard case .session(let info) = try await keeper.call(.session(token: token)) else { throw Problem.fault }
      return Set(info.wall)
    }
    guard try await !services().isEmpty else {
      throw Problem(
        403, "missing-right", "Acte refusé (Refused)",
        "Refusé : le mur est réservé aux opérateurs du poste de commandement. (The wall is for operators.) [CSI R241-3-1 II]",
        article: "CSI R241-3-1 II")
    }
    guard let page = wall.follow() else { throw Problem.unavailable("Le mur") }
    let wall = self.wall
    return Response(
      status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store"],
      body: ResponseBody { [request] writer in
        defer { wall.leave(page.id) }
        try await request.body.consumeWithCancellationOnInboundClose { _ in
          var visible: Set<ServiceID> = []
          var asked: ContinuousClock.Instant?
          for await state in page.states {
            try Task.checkCancellation()
            if asked.map({ $0.duration(to: .now) > Self.sessionCheck }) ?? true {
              // Away for a moment is not gone: what was visible stays, and is asked again.
              do { visible = try await services() } catch let problem as Problem where problem.status == 401 {
                break
              } catch {}
              asked = .now
            }
            var line = try JSONEncoder().encode(WallShape(state.restricted(to: visible)))
            line.append(0x0A)
            try await writer.write(ByteBuffer(bytes: line))
          }
        }
        try await writer.finish(nil)
      })
  }

  // MARK: Auditors

  private func register(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    let token = try sessionToken(request)
    let query = request.uri.queryParameters
    func text(_ name: Substring) -> String? { query.get(String(name)) }
    func time(_ name: String) throws -> UTCTime? {
      guard let value = query.get(name) else { return nil }
      guard let time = APITime.parse(value) else {
        throw Problem.badRequest("« \(name) » n'est pas une date RFC 3339. (Not an RFC 3339 time.)")
      }
      return time
    }
    let filter = RegisterFilter(
      service: text("service"), agent: text("agent"), camera: text("camera"), incident: text("incident"),
      state: text("state"), from: try time("from"), to: try time("to"),
      limit: query.get("limit", as: Int.self) ?? 200, after: text("after"))
    guard case .register(let rows, let mark) = try await keeper.call(.register(token: token, filter)) else {
      throw Problem.fault
    }
    let shape = RegisterShape(rows, mark, limit: filter.limit)
    guard text("format") == "csv" else { return try Response.json(shape) }
    return Response(
      status: .ok, headers: [.contentType: "text/csv; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: shape.csv)))
  }
}
