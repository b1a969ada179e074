internal import Foundation

/// Where an object store is: `https://host[:port]/bucket[/prefix]`, and its region.
package struct ObjectStoreLocation: Equatable, Sendable {
  /// Scheme, host and port.
  package var origin: String
  package var host: String
  package var bucket: String
  /// Before every key; empty, or ends with a slash.
  package var prefix: String
  package var region: String

  /// What it is called in register and journal.
  package var name: String { "\(origin)/\(bucket)/\(prefix)" }

  /// - Throws: where it is no such URL, or one in clear to another machine (LIVE-9).
  package init(url text: String, region: String) throws(ObjectStoreError) {
    guard let url = URLComponents(string: text), let scheme = url.scheme, let host = url.host, url.query == nil,
      url.user == nil, url.password == nil
    else { throw ObjectStoreError(.configuration, "objects.url: \(text) is not https://host/bucket") }
    let isLoopback = ["127.0.0.1", "localhost", "[::1]"].contains(host)
    guard scheme == "https" || scheme == "http" && isLoopback else {
      throw ObjectStoreError(.configuration, "objects.url: \(text) is not https")
    }
    let fields = url.path.split(separator: "/", omittingEmptySubsequences: true)
    guard let bucket = fields.first else {
      throw ObjectStoreError(.configuration, "objects.url: \(text) names no bucket")
    }
    let port = url.port.map { ":\($0)" } ?? ""
    origin = "\(scheme)://\(host)\(port)"
    self.host = host + port
    self.bucket = String(bucket)
    prefix = fields.dropFirst().map { "\($0)/" }.joined()
    self.region = region
  }
}

extension SignatureV4.Credentials {
  /// Reads a file of two lines, `aws_access_key_id = …` and `aws_secret_access_key = …`, as other clients of such stores do.
  package init(file path: String) throws(ObjectStoreError) {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ObjectStoreError(.configuration, "objects.credentials: cannot read \(path)")
    }
    var found: [String: String] = [:]
    for line in text.split(whereSeparator: \.isNewline) {
      let fields = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      if fields.count == 2 { found[fields[0].lowercased()] = fields[1] }
    }
    guard let key = found["aws_access_key_id"], let secret = found["aws_secret_access_key"], !key.isEmpty,
      !secret.isEmpty
    else {
      throw ObjectStoreError(
        .configuration, "objects.credentials: \(path) needs aws_access_key_id and aws_secret_access_key")
    }
    self.init(accessKey: key, secretKey: secret)
  }
}
