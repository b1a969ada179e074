internal import Crypto

/// One request's signature.
///
/// Specification: AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header", payload in a single
/// chunk. Pure: the time comes in.
///
///     canonical request = method ‖ path ‖ query ‖ headers ‖ names of signed headers ‖ SHA-256 of the payload
///     string to sign    = AWS4-HMAC-SHA256 ‖ time ‖ scope ‖ SHA-256 of the canonical request
///     key               = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, day), region), "s3"), "aws4_request")
package struct SignatureV4: Sendable {
  /// Who signs.
  package struct Credentials: Sendable {
    package var accessKey: String
    let secret: SymmetricKey

    package init(accessKey: String, secretKey: String) {
      self.accessKey = accessKey
      secret = SymmetricKey(data: Array("AWS4\(secretKey)".utf8))
    }
  }

  private static let algorithm = "AWS4-HMAC-SHA256"
  private static let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)

  private let credentials: Credentials
  private let region: String

  package init(credentials: Credentials, region: String) {
    self.credentials = credentials
    self.region = region
  }

  /// The value of the `Authorization` header.
  ///
  /// - Parameters:
  ///   - path: as it is sent, percent-encoded.
  ///   - query: names and values as they are meant, not encoded.
  ///   - headers: every header to be signed, `host` and `x-amz-date` among them.
  ///   - payloadHash: SHA-256 of the body, in hexadecimal; also sent as `x-amz-content-sha256`.
  ///   - time: as `x-amz-date` has it, `20130524T000000Z`.
  package func authorization(
    method: String, path: String, query: [(name: String, value: String)], headers: [(name: String, value: String)],
    payloadHash: String, time: String
  ) -> String {
    let signed = headers.map { (name: $0.name.lowercased(), value: Self.trimmed($0.value)) }.sorted {
      $0.name < $1.name
    }
    let names = signed.map(\.name).joined(separator: ";")
    let request = [
      method, path, Self.encoded(query), signed.map { "\($0.name):\($0.value)\n" }.joined(), names, payloadHash,
    ].joined(separator: "\n")
    let day = String(time.prefix(8))
    let scope = "\(day)/\(region)/s3/aws4_request"
    let toSign = [Self.algorithm, time, scope, Self.hexadecimal(SHA256.hash(data: Array(request.utf8)))]
      .joined(separator: "\n")
    var key = credentials.secret
    for step in [day, region, "s3", "aws4_request"] { key = SymmetricKey(data: Self.code(step, key)) }
    let signature = Self.hexadecimal(Self.code(toSign, key))
    return
      "\(Self.algorithm) Credential=\(credentials.accessKey)/\(scope),SignedHeaders=\(names),Signature=\(signature)"
  }

  /// A query as it is sent and signed: sorted, percent-encoded.
  package static func encoded(_ query: [(name: String, value: String)]) -> String {
    query.map { (encoded($0.name), encoded($0.value)) }.sorted { $0 < $1 }.map { "\($0)=\($1)" }.joined(separator: "&")
  }

  /// Percent-encoding as the signature asks for it; a path keeps its slashes.
  package static func encoded(_ text: String, keepingSlashes: Bool = false) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var out: [UInt8] = []
    for byte in text.utf8 {
      if unreserved.contains(byte) || (keepingSlashes && byte == UInt8(ascii: "/")) {
        out.append(byte)
      } else {
        out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  package static func hash(_ payload: [UInt8]) -> String { hexadecimal(SHA256.hash(data: payload)) }

  private static func code(_ text: String, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
    HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
  }

  private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func trimmed(_ value: String) -> String {
    value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
  }
}
