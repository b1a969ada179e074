internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
package import Vault

/// An S3-compatible store, as far as sealed masters need one. Blocking: every call waits on its own thread for the answer.
///
/// Specification: Amazon S3 REST API; requests with the bucket in the path, each signed (``SignatureV4``), each body hashed.
package final class ObjectStore: Sendable {
  /// What a request is made of.
  struct Call {
    var method: HTTPMethod
    /// Nil: the bucket itself.
    var key: String?
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    var limit_bytes = ObjectStore.answer_bytes
  }

  struct Answer {
    var status: Int
    var headers: HTTPHeaders
    var body: [UInt8]
  }

  /// Answers that are no footage.
  private static let answer_bytes = 1 << 20
  private static let tries = 4
  private static let timeout_s: Int64 = 60

  package let location: ObjectStoreLocation
  private let signature: SignatureV4
  private let client: HTTPClient

  /// - Parameter authorities: certificates that the store's is checked against, PEM; nil: the system's.
  package init(
    _ location: ObjectStoreLocation, credentials: SignatureV4.Credentials, authorities: String?
  ) throws(ObjectStoreError) {
    self.location = location
    signature = SignatureV4(credentials: credentials, region: location.region)
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.timeout = .init(connect: .seconds(5), read: .seconds(30))
    // Tried again here, with growing pauses.
    configuration.connectionPool.retryConnectionEstablishment = false
    if let authorities {
      do {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorities))
        configuration.tlsConfiguration = tls
      } catch { throw ObjectStoreError(.configuration, "objects.ca: cannot read \(authorities)") }
    }
    client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
  }

  package func stop() { try? client.syncShutdown() }

  /// A master in it, to be read by ranges.
  package func source(_ key: String) throws -> any ByteSource {
    ObjectSource(store: self, key: key, size: try size(of: key))
  }

  /// Bytes of an object.
  package func size(of key: String) throws(ObjectStoreError) -> Int {
    let answer = try send(Call(method: .HEAD, key: key))
    guard let size = answer.headers.first(name: "content-length").flatMap(Int.init) else {
      throw ObjectStoreError(.refused, "HEAD \(key): no length")
    }
    return size
  }

  package func contains(_ key: String) throws(ObjectStoreError) -> Bool {
    do throws(ObjectStoreError) {
      _ = try size(of: key)
      return true
    } catch {
      guard error.code == .notFound else { throw error }
      return false
    }
  }

  /// Bytes `from..<to` of an object.
  package func read(_ key: String, _ range: Range<Int>) throws(ObjectStoreError) -> [UInt8] {
    let answer = try send(
      Call(
        method: .GET, key: key, headers: [("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")],
        limit_bytes: range.count + 1))
    guard answer.status == 206 || answer.status == 200, answer.body.count == range.count else {
      throw ObjectStoreError(.refused, "GET \(key): \(answer.body.count) bytes for a range of \(range.count)")
    }
    return answer.body
  }

  /// Removes an object; one that is not there is a no-op. It is gone when this returns.
  package func remove(_ key: String) throws(ObjectStoreError) {
    do throws(ObjectStoreError) { _ = try send(Call(method: .DELETE, key: key)) } catch  where error.code == .notFound {
    }
    guard try contains(key) else { return }
    throw ObjectStoreError(.keepsWhatIsDeleted, "\(key) is still there after it was deleted")
  }

  /// Sends a signed request until it is answered; an answer of 404 or another refusal is an error.
  func send(_ call: Call) throws(ObjectStoreError) -> Answer {
    var last = ObjectStoreError(.unavailable, "not asked")
    for attempt in 0..<Self.tries {
      if attempt > 0 { usleep(200_000 << attempt) }
      do throws(ObjectStoreError) { return try sendOnce(call) } catch  where error.code == .unavailable { last = error }
    }
    throw last
  }

  private func sendOnce(_ call: Call) throws(ObjectStoreError) -> Answer {
    let path =
      "/" + SignatureV4.encoded(location.bucket)
      + (call.key.map { "/" + SignatureV4.encoded(location.prefix + $0, keepingSlashes: true) } ?? "")
    let query = SignatureV4.encoded(call.query)
    let what = "\(call.method.rawValue) \(location.bucket)/\(location.prefix)\(call.key ?? "")"
    let time = Self.now()
    let hash = SignatureV4.hash(call.body)
    let headers =
      call.headers + [("host", location.host), ("x-amz-date", time), ("x-amz-content-sha256", hash)]
    let authorization = signature.authorization(
      method: call.method.rawValue, path: path, query: call.query, headers: headers, payloadHash: hash, time: time)
    let response: HTTPClient.Response
    do {
      var request = try HTTPClient.Request(
        url: location.origin + path + (query.isEmpty ? "" : "?\(query)"), method: call.method)
      for header in headers + [("authorization", authorization)] {
        request.headers.replaceOrAdd(name: header.0, value: header.1)
      }
      if call.method == .PUT || call.method == .POST { request.body = .bytes(call.body) }
      let accumulator = ResponseAccumulator(request: request, maxBodySize: call.limit_bytes)
      response = try client.execute(
        request: request, delegate: accumulator, deadline: .now() + .seconds(Self.timeout_s)
      ).wait()
    } catch {
      throw ObjectStoreError(.unavailable, "\(what): \(error)")
    }
    let body = response.body.map { Array($0.readableBytesView) } ?? []
    let status = Int(response.status.code)
    switch status {
    case 200..<300: return Answer(status: status, headers: response.headers, body: body)
    case 404: throw ObjectStoreError(.notFound, "\(what): \(Self.reason(body))")
    case 429, 500...: throw ObjectStoreError(.unavailable, "\(what): \(status) \(Self.reason(body))")
    default: throw ObjectStoreError(.refused, "\(what): \(status) \(Self.reason(body))")
    }
  }

  /// The store's own code for a refusal; never its whole answer.
  private static func reason(_ body: [UInt8]) -> String {
    XMLText(body).first("Code").map { String($0.prefix(100)) } ?? "no reason given"
  }

  private static func now() -> String {
    var seconds = time(nil)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return String(
      format: "%04d%02d%02dT%02d%02d%02dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
      parts.tm_min, parts.tm_sec)
  }
}

/// The text of an element of a small answer, by its name: all that is needed of XML here.
struct XMLText {
  private let text: String

  init(_ body: [UInt8]) { text = String(decoding: body, as: UTF8.self) }

  func all(_ name: String) -> [String] {
    text.components(separatedBy: "<\(name)>").dropFirst().compactMap { $0.components(separatedBy: "</\(name)>").first }
  }

  func first(_ name: String) -> String? {
    guard let start = text.range(of: "<\(name)>"),
      let end = text.range(of: "</\(name)>", range: start.upperBound..<text.endIndex)
    else { return nil }
    return String(text[start.upperBound..<end.lowerBound])
  }
}

/// One object, read by ranges of a few megabytes.
private struct ObjectSource: ByteSource {
  let store: ObjectStore
  let key: String
  let size: Int
  let block_bytes = 4 << 20

  var name: String { "object \(key)" }

  func read(at offset: Int, upTo count: Int) throws(VaultError) -> [UInt8] {
    guard offset < size, count > 0 else { return [] }
    do throws(ObjectStoreError) { return try store.read(key, offset..<min(size, offset + count)) } catch {
      throw VaultError("read", name, error.description)
    }
  }
}
