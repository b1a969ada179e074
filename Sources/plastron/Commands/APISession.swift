import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// A password: from a file, the environment, or asked for; never an argument.
struct PasswordOption: ParsableArguments {
  @Option(help: "Fichier contenant le mot de passe (password file).")
  var passwordFile: String?

  func read() throws -> String {
    try Self.read(file: passwordFile, variable: "PLASTRON_PASSWORD", prompt: "Mot de passe (password): ")
  }

  /// - Parameter variable: of the environment, where no file is named.
  static func read(file: String?, variable: String, prompt: String) throws -> String {
    if let file {
      guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
        throw Complaint(description: "cannot read the password file \(file)")
      }
      return text.trimmingCharacters(in: .newlines)
    }
    if let value = ProcessInfo.processInfo.environment[variable], !value.isEmpty { return value }
    guard let typed = getpass(prompt).map({ String(cString: $0) }), !typed.isEmpty else {
      throw Complaint(description: "no password: a password file, \(variable), or type it")
    }
    return typed
  }
}

/// How a command reaches the running server as a named account.
struct AccountOption: ParsableArguments {
  @OptionGroup var options: ConfigurationOption
  @OptionGroup var password: PasswordOption
  @Option(help: "Code du second facteur, ou PLASTRON_CODE (second factor's code).") var code: String?
  @Option(help: "Compte (account name).") var account: String
  @Option(help: "Adresse de la console (console URL).") var server: String?
  @Option(help: "Certificat de confiance, PEM (trusted certificate).") var ca: String?

  func session() async throws -> APISession {
    let settings = try await options.settings()
    return try await APISession.logIn(
      server: server ?? "https://localhost:\(settings.consolePort)", ca: ca ?? settings.certificatePath,
      account: account, password: try password.read(), code: code)
  }

  /// Logs in, works, logs out.
  func with(_ body: (APISession) async throws -> Void) async throws {
    let session = try await session()
    do { try await body(session) } catch {
      await session.end()
      throw error
    }
    await session.end()
  }
}

/// A logged-in client of the console's API.
struct APISession: Sendable {
  private let client: HTTPClient
  private let server: String
  private let cookie: String
  private let csrf: String

  private struct LoggedIn: Decodable { var csrf: String }
  private struct ProblemDocument: Decodable {
    var code: String?
    var title: String?
    var detail: String?
  }

  static func logIn(
    server: String, ca: String, account: String, password: String, code: String? = nil
  ) async throws -> APISession {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    var tls = TLSConfiguration.makeClientConfiguration()
    guard let roots = try? NIOSSLCertificate.fromPEMFile(ca) else {
      throw Complaint(
        description: "no certificate at \(ca): name it with --ca, or set PLASTRON_DATA_FOLDER as for the server")
    }
    tls.trustRoots = .certificates(roots)
    configuration.tlsConfiguration = tls
    let client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    do {
      var form = ["name": account, "password": password]
      form["code"] = code ?? ProcessInfo.processInfo.environment["PLASTRON_CODE"].flatMap { $0.isEmpty ? nil : $0 }
      var (response, body) = try await post(form, to: server, client)
      if (try? JSONDecoder().decode(ProblemDocument.self, from: body))?.code == "code-required",
        let typed = getpass("Code du second facteur (code): ").map({ String(cString: $0) }), !typed.isEmpty
      {
        form["code"] = typed
        (response, body) = try await post(form, to: server, client)
      }
      guard response.status == .ok,
        let set = response.headers.first(name: "Set-Cookie"), let pair = set.split(separator: ";").first
      else { throw complaint(body, response.status.code) }
      return APISession(
        client: client, server: server, cookie: String(pair),
        csrf: try JSONDecoder().decode(LoggedIn.self, from: body).csrf)
    } catch {
      try? await client.shutdown()
      if error is Complaint { throw error }
      let kind = "\(type(of: error))"
      let hint =
        kind.contains("SSL")
        ? ": its certificate is not trusted by \(ca), or has another name (--ca, --server)" : " (\(kind))"
      throw Complaint(description: "the console at \(server) does not answer\(hint)")
    }
  }

  private static func post(
    _ form: [String: String], to server: String, _ client: HTTPClient
  ) async throws -> (HTTPClientResponse, Data) {
    var request = HTTPClientRequest(url: server + "/api/v1/session")
    request.method = .POST
    request.headers.add(name: "Content-Type", value: "application/json")
    request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(form)))
    let response = try await client.execute(request, timeout: .seconds(15))
    return (response, Data(try await response.body.collect(upTo: 1 << 20).readableBytesView))
  }

  func end() async {
    _ = try? await send("DELETE", "/session", nil)
    try? await client.shutdown()
  }

  @discardableResult
  func send(_ method: String, _ path: String, _ body: [String: String]?) async throws -> Data {
    try await send(method, path, json: try body.map { try JSONEncoder().encode($0) })
  }

  /// - Parameter json: the body as it is sent.
  func send(_ method: String, _ path: String, json: Data?) async throws -> Data {
    var out = Data()
    try await stream(method, path, json: json) { out.append(contentsOf: $0) }
    return out
  }

  /// An answer with its headers, for what tells in them how it goes on.
  func get(_ path: String) async throws -> (body: Data, headers: [String: String]) {
    var out = Data()
    let headers = try await stream("GET", path, json: nil) { out.append(contentsOf: $0) }
    return (out, headers)
  }

  /// Hands over the answer's bytes as they come; an answer that breaks off is an error.
  func stream(
    _ method: String, _ path: String, _ body: [String: String]?, _ take: ([UInt8]) async throws -> Void
  ) async throws {
    try await stream(method, path, json: try body.map { try JSONEncoder().encode($0) }, take)
  }

  @discardableResult
  private func stream(
    _ method: String, _ path: String, json: Data?, _ take: ([UInt8]) async throws -> Void
  ) async throws -> [String: String] {
    var request = HTTPClientRequest(url: server + "/api/v1" + path)
    request.method = HTTPMethod(rawValue: method)
    request.headers.add(name: "Cookie", value: cookie)
    request.headers.add(name: "X-Plastron-CSRF", value: csrf)
    if let json {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: json))
    }
    let response = try await client.execute(request, timeout: .seconds(30))
    guard (200..<300).contains(response.status.code) else {
      throw Self.complaint(
        Data(try await response.body.collect(upTo: 1 << 20).readableBytesView), response.status.code)
    }
    for try await chunk in response.body { try await take(Array(chunk.readableBytesView)) }
    return Dictionary(
      response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  private static func complaint(_ body: Data, _ status: UInt) -> Complaint {
    let problem = try? JSONDecoder().decode(ProblemDocument.self, from: body)
    return Complaint(description: "\(problem?.title ?? "HTTP \(status)") : \(problem?.detail ?? "")")
  }
}
