package import Foundation

/// What a provider says of itself.
///
/// Specification: OpenID Connect Discovery 1.0, section 3.
package struct ProviderMetadata: Sendable, Decodable {
  package var issuer: String
  package var authorizationEndpoint: String
  package var tokenEndpoint: String
  package var jwksURI: String

  private enum CodingKeys: String, CodingKey {
    case issuer
    case authorizationEndpoint = "authorization_endpoint"
    case tokenEndpoint = "token_endpoint"
    case jwksURI = "jwks_uri"
  }

  package struct Invalid: Error, Equatable, CustomStringConvertible {
    package var description: String
  }

  /// Reads the document of the issuer that was configured.
  ///
  /// - Throws: where it names another issuer, or an address that is not encrypted and not this machine's.
  package init(document: Data, expecting issuer: String) throws {
    self = try JSONDecoder().decode(Self.self, from: document)
    guard self.issuer == issuer else {
      throw Invalid(description: "the provider calls itself \(self.issuer), and \(issuer) is configured")
    }
    for address in [authorizationEndpoint, tokenEndpoint, jwksURI] where !Self.isSafe(address) {
      throw Invalid(description: "\(address) is not https")
    }
  }

  /// https, or http on this machine itself.
  package static func isSafe(_ address: String) -> Bool {
    guard let url = URL(string: address), let host = url.host() else { return false }
    return url.scheme == "https" || url.scheme == "http" && ["localhost", "127.0.0.1"].contains(host)
  }
}
