package import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// The calling side of a seam.
package struct SeamClient<
  Call: Sendable & Encodable, Reply: Sendable & Decodable, Notice: Sendable & Decodable
>: Sendable {
  private let client: HTTPClient
  private let socketPath: String
  private let peer: String

  /// - Parameter peer: what a problem calls the other side.
  package init(client: HTTPClient, socketPath: String, peer: String) {
    self.client = client
    self.socketPath = socketPath
    self.peer = peer
  }

  /// Calls and waits for the answer.
  ///
  /// - Throws: ``Problem``, also when the other side is away.
  package func call(_ call: Call, timeout_s: Int64 = 10) async throws(Problem) -> Reply {
    do {
      var request = try self.request("/call")
      request.method = .POST
      request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(call)))
      let response = try await client.execute(request, timeout: .seconds(timeout_s))
      let body = try await response.body.collect(upTo: SeamLimits.maximumReply_bytes)
      let data = Data(body.readableBytesView)
      guard response.status == .ok else { throw try JSONDecoder().decode(Problem.self, from: data) }
      return try JSONDecoder().decode(Reply.self, from: data)
    } catch let problem as Problem {
      throw problem
    } catch {
      throw Problem.unavailable(peer)
    }
  }

  /// Reads notices until the other side goes, and hands each to `body`.
  package func notices(_ body: (Notice) async -> Void) async throws {
    let response = try await client.execute(try request("/notices"), timeout: .seconds(5))
    var line: [UInt8] = []
    for try await chunk in response.body {
      for byte in chunk.readableBytesView {
        if byte == 0x0A {
          await body(try JSONDecoder().decode(Notice.self, from: Data(line)))
          line.removeAll(keepingCapacity: true)
        } else {
          line.append(byte)
          guard line.count <= SeamLimits.maximumNotice_bytes else { throw Problem.unavailable(peer) }
        }
      }
    }
  }

  /// Reads raw bytes from `uri` until they end.
  package func stream(_ uri: String, _ body: ([UInt8]) async throws -> Void) async throws {
    let response = try await client.execute(try request(uri), timeout: .seconds(5))
    guard response.status == .ok else { throw Problem.unavailable(peer) }
    for try await chunk in response.body { try await body(Array(chunk.readableBytesView)) }
  }

  private func request(_ uri: String) throws -> HTTPClientRequest {
    guard let url = URL(httpURLWithSocketPath: socketPath, uri: uri) else { throw Problem.unavailable(peer) }
    var request = HTTPClientRequest(url: url.absoluteString)
    request.headers.add(name: "Host", value: "localhost")
    return request
  }

  /// A client for seams: no redirects, no retries behind the caller's back, silence ends a stream.
  ///
  /// - Parameter silence_s: what ends a stream, and a call whose answer has not begun by then, whatever its own time.
  package static func makeHTTPClient(silence_s: Int64 = 3 * SeamLimits.heartbeat_s) -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.timeout = .init(connect: .seconds(2), read: .seconds(silence_s))
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
    return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
  }
}
