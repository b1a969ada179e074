internal import HTTPTypes
internal import Hummingbird
internal import Identity
internal import Seams

struct LogInForm: Decodable {
  var name: String
  var password: String
  /// Of the second factor, or a recovery code.
  var code: String?
}

struct CodeForm: Decodable { var code: String }

struct PasswordForm: Decodable {
  var old: String
  var new: String
}

struct SecondFactorShape: Encodable {
  var uri: String
  var secret: String
}

struct RecoveryShape: Encodable { var recoveryCodes: [String] }

/// Log-in, log-out, second factor.
extension ConsoleAPI {
  func addSessionRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.post("session") { request, context in
      let form: LogInForm = try await request.json()
      return try await loggedIn(
        .logIn(name: form.name, password: form.password, code: form.code, peer: context.peer))
    }
    api.get("session") { request, _ in
      guard case .session(let info) = try await keeper.call(.session(token: try sessionToken(request))) else {
        throw Problem.fault
      }
      return try Response.json(SessionShape(info))
    }
    api.delete("session") { request, _ in
      _ = try await keeper.call(.logOut(token: try changingToken(request)))
      var response = Response.done
      response.setCookie(
        Cookie(name: Self.cookie, value: "", maxAge: 0, path: "/", secure: true, httpOnly: true, sameSite: .strict))
      return response
    }
    api.post("session/second-factor") { request, _ in
      guard
        case .secondFactor(let uri, let secret) = try await keeper.call(
          .beginSecondFactor(token: try changingToken(request)))
      else { throw Problem.fault }
      return try Response.json(SecondFactorShape(uri: uri, secret: secret), status: .created)
    }
    api.put("session/second-factor") { request, _ in
      let token = try changingToken(request)
      let form: CodeForm = try await request.json()
      guard case .recoveryCodes(let codes) = try await keeper.call(.confirmSecondFactor(token: token, code: form.code))
      else { throw Problem.fault }
      return try Response.json(RecoveryShape(recoveryCodes: codes))
    }
  }

  func addPasswordRoute(_ api: RouterGroup<ConsoleContext>) {
    api.put("session/password") { request, _ in
      let token = try changingToken(request)
      let form: PasswordForm = try await request.json()
      _ = try await keeper.call(.changePassword(token: token, old: form.old, new: form.new))
      return Response.done
    }
  }

  /// Opens a session and sets its cookie.
  func loggedIn(_ call: ConsoleCall) async throws -> Response {
    guard case .loggedIn(let token, let info) = try await keeper.call(call) else { throw Problem.fault }
    var response = try Response.json(SessionShape(info))
    response.setCookie(Self.sessionCookie(token))
    return response
  }

  static func sessionCookie(_ token: String) -> Cookie {
    Cookie(
      name: Self.cookie, value: token, maxAge: Int(LogInPolicy.sessionAbsolute_s), path: "/", secure: true,
      httpOnly: true, sameSite: .strict)
  }
}
