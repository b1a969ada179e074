internal import AsyncHTTPClient
internal import Doctrine
internal import Foundation
internal import Identity
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Seams

/// Log-ins at an OpenID Connect provider that are under way, and what is known of the provider.
///
/// What comes of it is who somebody is at the provider; which account that is, and what it may do, the keeper says.
actor ProviderLogIn {
  /// Log-ins under way at the most; the oldest is forgotten.
  static let maximumPending = 10_000
  /// A person has this long at the provider.
  static let pending_s = 600.0
  /// The provider's keys and addresses are asked for again after this time.
  static let metadata_s = 600.0
  /// An unknown key makes the set be asked for again, but no more often than this.
  static let keysAgain_s = 10.0
  static let maximumDocument_bytes = 1 << 20

  private let settings: ProviderSettings
  private let client: HTTPClient
  private let logger: Logger
  private var pending: [String: (request: AuthorizationRequest, since: Date)] = [:]
  private var metadata: (value: ProviderMetadata, since: Date)?
  private var keys: (value: Data, since: Date)?

  init(settings: ProviderSettings, client: HTTPClient, logger: Logger) {
    self.settings = settings
    self.client = client
    self.logger = logger
  }

  /// Begins a log-in: the state to be kept by the browser, and where it goes.
  func begin() async throws -> (state: String, location: String) {
    let provider = try await self.provider()
    let request = AuthorizationRequest()
    let now = Date()
    pending = pending.filter { now.timeIntervalSince($0.value.since) < Self.pending_s }
    if pending.count >= Self.maximumPending, let oldest = pending.min(by: { $0.value.since < $1.value.since }) {
      pending[oldest.key] = nil
    }
    pending[request.state] = (request, now)
    return (request.state, request.url(provider, clientID: settings.clientID, redirect: settings.redirect))
  }

  /// Ends a log-in: the code becomes an ID token, and that a person.
  func finish(state: String, code: String) async throws -> ProviderIdentity {
    guard let known = pending.removeValue(forKey: state), Date().timeIntervalSince(known.since) < Self.pending_s else {
      throw Problem(
        400, "log-in-unknown", "Connexion interrompue (Log-in interrupted)",
        "Cette connexion n'a pas commencé ici, ou a trop duré : recommencez. (Start again.)")
    }
    let provider = try await self.provider()
    let token = try await exchange(code, known.request, provider)
    let verifier = IDTokenVerifier(issuer: settings.issuer, clientID: settings.clientID)
    do {
      return try await identity(verifier, token, known.request, provider)
    } catch let refusal as IDTokenVerifier.Refused {
      logger.warning("an ID token was refused", metadata: ["reason": "\(refusal)"])
      throw Problem(
        401, "provider-refused", "Connexion refusée (Log-in refused)",
        "Le jeton du fournisseur d'identité n'est pas valable : recommencez, ou prévenez l'administrateur. (The provider's token is not valid.)"
      )
    }
  }

  private func identity(
    _ verifier: IDTokenVerifier, _ token: String, _ request: AuthorizationRequest, _ provider: ProviderMetadata
  ) async throws -> ProviderIdentity {
    let now = Date().timeIntervalSince1970
    do {
      let subject = try await verifier.subject(
        of: token, keys: try await keySet(provider, atLeast: nil), nonce: request.nonce, now_s: now)
      return ProviderIdentity(issuer: settings.issuer, subject: subject)
    } catch IDTokenVerifier.Refused.unknownKey {
      // The provider has changed its keys since.
      let subject = try await verifier.subject(
        of: token, keys: try await keySet(provider, atLeast: Date().addingTimeInterval(-Self.keysAgain_s)),
        nonce: request.nonce, now_s: now)
      return ProviderIdentity(issuer: settings.issuer, subject: subject)
    }
  }

  private func exchange(
    _ code: String, _ request: AuthorizationRequest, _ provider: ProviderMetadata
  ) async throws -> String {
    struct Answer: Decodable { var id_token: String }
    var call = HTTPClientRequest(url: provider.tokenEndpoint)
    call.method = .POST
    call.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
    call.headers.add(name: "Accept", value: "application/json")
    var form = [
      ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", settings.redirect),
      ("code_verifier", request.verifier),
    ]
    if let secret = settings.clientSecret {
      // RFC 6749, 2.3.1.
      let pair =
        AuthorizationRequest.form([("", settings.clientID)]).dropFirst() + ":"
        + AuthorizationRequest.form([("", secret)]).dropFirst()
      call.headers.add(name: "Authorization", value: "Basic " + Data(pair.utf8).base64EncodedString())
    } else {
      form.append(("client_id", settings.clientID))
    }
    call.body = .bytes(ByteBuffer(string: AuthorizationRequest.form(form)))
    guard let data = try await fetch(call), let answer = try? JSONDecoder().decode(Answer.self, from: data) else {
      throw Problem(
        401, "provider-refused", "Connexion refusée (Log-in refused)",
        "Le fournisseur d'identité n'a pas accepté la connexion : recommencez. (The provider did not accept it.)")
    }
    return answer.id_token
  }

  private func provider() async throws -> ProviderMetadata {
    if let metadata, Date().timeIntervalSince(metadata.since) < Self.metadata_s { return metadata.value }
    let address = settings.issuer + (settings.issuer.hasSuffix("/") ? "" : "/") + ".well-known/openid-configuration"
    guard let data = try await fetch(HTTPClientRequest(url: address)) else { throw Self.away }
    do {
      let value = try ProviderMetadata(document: data, expecting: settings.issuer)
      metadata = (value, Date())
      return value
    } catch {
      logger.error("the identity provider's configuration", metadata: ["error": "\(error)"])
      throw Self.away
    }
  }

  /// - Parameter atLeast: a set that is older is asked for again.
  private func keySet(_ provider: ProviderMetadata, atLeast: Date?) async throws -> Data {
    if let keys, Date().timeIntervalSince(keys.since) < Self.metadata_s, atLeast.map({ keys.since >= $0 }) ?? true {
      return keys.value
    }
    guard let data = try await fetch(HTTPClientRequest(url: provider.jwksURI)) else { throw Self.away }
    keys = (data, Date())
    return data
  }

  private static let away = Problem.unavailable("Le fournisseur d'identité")

  /// The body of a good answer; nil for any other.
  private func fetch(_ request: HTTPClientRequest) async throws -> Data? {
    do {
      let response = try await client.execute(request, timeout: .seconds(10))
      let body = try await response.body.collect(upTo: Self.maximumDocument_bytes)
      return response.status == .ok ? Data(body.readableBytesView) : nil
    } catch {
      logger.warning("the identity provider does not answer", metadata: ["error": "\(type(of: error))"])
      throw Self.away
    }
  }
}
