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
  let readings: Readings
  let settings: ConsoleSettings
  let provider: ProviderLogIn?
  let footage: FootagePlaces
  let logger: Logger

  func router() -> Router<ConsoleContext> {
    let router = Router(context: ConsoleContext.self)
    router.add(middleware: Guard(logger: logger))
    for asset in PageAsset.all {
      router.get(RouterPath(asset.path)) { _, _ in asset.response }
    }
    router.get("healthz") { _, _ in Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(string: "ok\n"))) }
    let api = router.group("api/v1")
    api.get("openapi.json") { _, _ in PageAsset.openAPI.response }
    api.get("wall", use: followWall)
    api.get("recordings/:recording/live", use: live)
    api.post("recordings/:recording/extraction", use: extraction)
    api.post("recordings/:recording/consultation", use: consultation)
    api.get("footage/check", use: check)
    addSessionRoutes(api)
    addPasswordRoute(api)
    addProviderRoutes(api)
    addDeskRoutes(api)
    addCameraRoutes(api)
    addRegisterRoutes(api)
    addJournalRoutes(api)
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
    _ = try await keeper.call(.seeWall(token: token))
    guard let page = wall.follow() else { throw Problem.unavailable("Le mur") }
    return Response(
      status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store"],
      body: ResponseBody { [request] writer in
        defer { withExtendedLifetime(page) {} }
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
}
