package import Foundation
internal import JWTKit

/// Whether an ID token is the provider's word, for us, about this log-in, now.
///
/// Specification: OpenID Connect Core 1.0, 3.1.3.7. Only signatures with a public key are taken: a token "signed" with
/// a shared secret, or not at all, is nobody's word. Nothing is read from it but who the person is.
// ACC-8.
package struct IDTokenVerifier: Sendable {
  package enum Refused: Error, Equatable, Sendable {
    /// Signature, issuer, audience, time: not what it must be.
    case notValid(String)
    /// Signed with a key that the set has not: the provider may have a new one.
    case unknownKey
  }

  /// A token may be this much from the future, and this much past its end: clocks differ.
  static let leeway_s = 60.0
  /// A token that was made longer ago than this is of another log-in.
  static let maximumAge_s = 600.0

  private let issuer: String
  private let clientID: String

  package init(issuer: String, clientID: String) {
    self.issuer = issuer
    self.clientID = clientID
  }

  private struct Claims: JWTPayload {
    var iss: String
    var sub: String
    var aud: AudienceClaim
    var azp: String?
    var exp: Date
    var iat: Date
    var nonce: String?

    func verify(using algorithm: some JWTAlgorithm) throws {}
  }

  private struct Header: Decodable {
    var alg: String
    var kid: String?
  }

  /// Who the token is about.
  ///
  /// - Parameters:
  ///   - keys: the provider's JSON Web Key Set.
  ///   - nonce: of this log-in.
  ///   - now_s: seconds since 1970.
  package func subject(
    of token: String, keys: Data, nonce: String, now_s: Double
  ) async throws(Refused) -> String {
    let header = try Self.header(of: token)
    guard
      header.alg.hasPrefix("RS") || header.alg.hasPrefix("PS") || header.alg.hasPrefix("ES") || header.alg == "EdDSA"
    else { throw .notValid("algorithm \(header.alg.prefix(20))") }
    guard let set = try? JSONDecoder().decode(JWKS.self, from: keys) else { throw .notValid("key set") }
    // A symmetric key in a public set would be anybody's.
    let usable = set.keys.filter { $0.keyType == .rsa || $0.keyType == .ecdsa || $0.keyType == .octetKeyPair }
    if let kid = header.kid, !usable.contains(where: { $0.keyIdentifier?.string == kid }) { throw .unknownKey }
    let claims: Claims
    do {
      let collection = JWTKeyCollection()
      for key in usable { try await collection.add(jwk: key) }
      claims = try await collection.verify(token, as: Claims.self)
    } catch { throw .notValid("signature or shape") }
    guard claims.iss == issuer else { throw .notValid("issuer") }
    guard claims.aud.value.contains(clientID), claims.aud.value.count == 1 || claims.azp == clientID else {
      throw .notValid("audience")
    }
    guard claims.exp.timeIntervalSince1970 > now_s - Self.leeway_s else { throw .notValid("expired") }
    let age = now_s - claims.iat.timeIntervalSince1970
    guard age > -Self.leeway_s, age < Self.maximumAge_s else { throw .notValid("issued at another time") }
    guard claims.nonce == nonce else { throw .notValid("nonce") }
    guard (1...255).contains(claims.sub.utf8.count), !claims.sub.utf8.contains(where: { $0 < 0x20 }) else {
      throw .notValid("subject")
    }
    return claims.sub
  }

  private static func header(of token: String) throws(Refused) -> Header {
    guard let first = token.split(separator: ".", omittingEmptySubsequences: false).first, token.utf8.count < 65_536
    else {
      throw .notValid("shape")
    }
    var text = String(first).replacing("-", with: "+").replacing("_", with: "/")
    text += String(repeating: "=", count: (4 - text.count % 4) % 4)
    guard let data = Data(base64Encoded: text), let header = try? JSONDecoder().decode(Header.self, from: data) else {
      throw .notValid("shape")
    }
    return header
  }
}
