internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Seams

/// The context of a request: what the platform gives, and the peer's address.
struct ConsoleContext: RequestContext, RemoteAddressRequestContext {
  var coreContext: CoreRequestContextStorage
  var remoteAddress: SocketAddress?

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    remoteAddress = source.channel.remoteAddress
  }

  var peer: String { remoteAddress?.ipAddress ?? "?" }
}

extension Problem {
  /// Specification: RFC 9457.
  var response: Response {
    var members: [String: String] = [
      "type": "urn:plastron:problem:\(code)", "title": title, "detail": detail, "code": code,
    ]
    members["article"] = article
    var object: [String: Any] = members
    object["status"] = status
    let data = (try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])) ?? Data()
    return Response(
      status: HTTPResponse.Status(code: status),
      headers: [.contentType: "application/problem+json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
  }
}

/// Turns every error into a problem document, and puts the security headers on every answer.
struct Guard: RouterMiddleware {
  typealias Context = ConsoleContext
  let logger: Logger

  func handle(
    _ request: Request, context: ConsoleContext,
    next: (Request, ConsoleContext) async throws -> Response
  ) async throws -> Response {
    var response: Response
    do {
      response = try await next(request, context)
    } catch let problem as Problem {
      response = problem.response
    } catch let error as HTTPError {
      response = Self.problem(error.status).response
    } catch is NIOTooManyBytesError {
      response =
        Problem(
          413, "too-large", "Demande trop longue (Too large)",
          "Le corps de la demande dépasse \(ConsoleLimits.body_bytes) octets. (Body too large.)"
        ).response
    } catch is DecodingError {
      response = Problem.badRequest("Le corps n'est pas le JSON attendu. (The body is not the expected JSON.)").response
    } catch {
      logger.error("request failed", metadata: ["error": "\(error)"])
      response = Problem.fault.response
    }
    response.headers[.strictTransportSecurity] = "max-age=31536000"
    response.headers[.xContentTypeOptions] = "nosniff"
    response.headers[.contentSecurityPolicy] =
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src blob:; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    if let name = HTTPField.Name("Referrer-Policy") { response.headers[name] = "no-referrer" }
    if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
    return response
  }

  private static func problem(_ status: HTTPResponse.Status) -> Problem {
    switch status.code {
    case 404:
      Problem(404, "not-found", "Introuvable (Not found)", "Aucune ressource à cette adresse. (No such resource.)")
    case 413:
      Problem(413, "too-large", "Demande trop longue (Too large)", "Le corps dépasse la limite. (Body too large.)")
    case 400...499:
      Problem(
        status.code, "bad-request", "Demande refusée (Refused)",
        "La demande n'est pas de la forme attendue. (Malformed request.)")
    default: Problem.fault
    }
  }
}

enum ConsoleLimits {
  /// A form: a few hundred bytes; nothing larger is ever sent to the console.
  static let body_bytes = 64 << 10
}

extension Request {
  /// Reads a JSON body of bounded size.
  func json<T: Decodable>(_: T.Type = T.self) async throws -> T {
    let buffer = try await body.collect(upTo: ConsoleLimits.body_bytes)
    // A zero character ends a text for some of what stands behind the console, and is in no text of a person's.
    guard !String(buffer: buffer).contains("\\u0000") else {
      throw Problem.badRequest("Un texte contient un caractère nul. (A text has a zero character.)")
    }
    return try JSONDecoder().decode(T.self, from: Data(buffer.readableBytesView))
  }

  var bearer: String? {
    guard let header = headers[.authorization], header.hasPrefix("Bearer ") else { return nil }
    return String(header.dropFirst(7))
  }
}

extension Response {
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
  }

  static var done: Response { Response(status: .noContent) }
}
