internal import HTTPTypes
internal import Hummingbird
internal import Seams

/// The way in through an OpenID Connect provider.
extension ConsoleAPI {
  /// Ties the way back to the browser that left: nobody is logged in by somebody else's link.
  static let providerCookie = "__Host-plastron-provider"

  struct Ways: Encodable { var provider: Bool }

  func addProviderRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.get("session/ways") { request, _ in
      try Query(request).finish()
      return try Response.json(Ways(provider: provider != nil))
    }
    api.get("session/provider") { request, _ in
      try Query(request).finish()
      let (state, location) = try await configured().begin()
      var response = Self.redirect(location)
      // Lax: the browser sends it when the provider sends the person back.
      response.setCookie(
        Cookie(
          name: Self.providerCookie, value: state, maxAge: Int(ProviderLogIn.pending_s), path: "/", secure: true,
          httpOnly: true, sameSite: .lax))
      return response
    }
    api.get("session/provider/return") { request, context in
      let provider = try configured()
      // A provider's code may be a token of its own.
      var query = try Query(request, valuesUpTo: 4096)
      guard let code = query.text("code"), let state = query.text("state"),
        request.cookies[Self.providerCookie]?.value == state
      else {
        throw Problem(
          400, "log-in-unknown", "Connexion interrompue (Log-in interrupted)",
          "Le fournisseur n'a pas donné de code, ou cette connexion n'a pas commencé dans ce navigateur : recommencez. (Start again.)"
        )
      }
      let identity = try await provider.finish(state: state, code: code)
      guard case .loggedIn(let token, _) = try await keeper.call(.logInByProvider(identity, peer: context.peer)) else {
        throw Problem.fault
      }
      var response = Self.redirect("/")
      response.setCookie(Self.sessionCookie(token))
      response.setCookie(
        Cookie(
          name: Self.providerCookie, value: "", maxAge: 0, path: "/", secure: true, httpOnly: true, sameSite: .lax))
      return response
    }
  }

  private func configured() throws -> ProviderLogIn {
    guard let provider else {
      throw Problem(
        404, "not-configured", "Introuvable (Not found)",
        "Aucun fournisseur d'identité n'est configuré (oidc.issuer). (No identity provider is configured.)")
    }
    return provider
  }

  private static func redirect(_ location: String) -> Response {
    Response(status: .seeOther, headers: [.location: location, .cacheControl: "no-store"])
  }
}
