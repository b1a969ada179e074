internal import Crypto
internal import Foundation

/// One log-in at a provider, from leaving for it to coming back.
///
/// Specification: OpenID Connect Core 1.0, 3.1 (authorization code), RFC 7636 (PKCE, S256).
package struct AuthorizationRequest: Equatable, Sendable {
  package var state: String
  package var nonce: String
  package var verifier: String

  package init() {
    state = Tokens.make()
    nonce = Tokens.make()
    verifier = Tokens.make()
  }

  /// RFC 7636, 4.2: base64url(SHA-256(verifier)).
  package var challenge: String {
    Data(SHA256.hash(data: Array(verifier.utf8))).base64EncodedString()
      .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  /// Where the browser is sent.
  package func url(_ provider: ProviderMetadata, clientID: String, redirect: String) -> String {
    let parameters = [
      ("response_type", "code"), ("client_id", clientID), ("redirect_uri", redirect), ("scope", "openid"),
      ("state", state), ("nonce", nonce), ("code_challenge", challenge), ("code_challenge_method", "S256"),
    ]
    let separator = provider.authorizationEndpoint.contains("?") ? "&" : "?"
    return provider.authorizationEndpoint + separator + Self.form(parameters)
  }

  /// application/x-www-form-urlencoded.
  package static func form(_ parameters: [(String, String)]) -> String {
    let plain = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    return parameters.map { "\($0)=\($1.addingPercentEncoding(withAllowedCharacters: plain) ?? "")" }
      .joined(separator: "&")
  }
}
