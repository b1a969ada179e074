internal import Foundation
internal import HTTPTypes
internal import Hummingbird
package import Logging
internal import NIOCore
internal import ServiceLifecycle

/// One side of a seam: answers calls and streams notices over a Unix socket.
///
///     POST /call    JSON of `Call` -> JSON of `Reply`, or a problem document
///     GET  /notices one JSON of `Notice` a line, until either side goes
///
/// Rights are the socket's: its folder and file belong to the process that may call.
package struct SeamServer<
  Call: Sendable & Decodable, Reply: Sendable & Encodable, Notice: Sendable & Encodable
>: Service {
  private let socketPath: String
  private let permissions: UInt32
  private let logger: Logger
  private let answer: @Sendable (Call, SeamPeer) async throws -> Reply
  private let notices: @Sendable () async -> AsyncStream<Notice>

  package init(
    socketPath: String, permissions: UInt32 = 0o660, logger: Logger,
    answer: @escaping @Sendable (Call, SeamPeer) async throws -> Reply,
    notices: @escaping @Sendable () async -> AsyncStream<Notice>
  ) {
    self.socketPath = socketPath
    self.permissions = permissions
    self.logger = logger
    self.answer = answer
    self.notices = notices
  }

  package func run() async throws {
    let router = Router(context: SeamContext.self)
    let answer = self.answer
    let notices = self.notices
    let logger = self.logger
    router.post("call") { request, context -> Response in
      do {
        let body = try await request.body.collect(upTo: SeamLimits.maximumCall_bytes)
        let call = try JSONDecoder().decode(Call.self, from: Data(body.readableBytesView))
        return try Self.json(.ok, await answer(call, await context.peer()))
      } catch let problem as Problem {
        return try Self.json(HTTPResponse.Status(code: problem.status), problem)
      } catch {
        // Never the error's own text outward: it may carry what a database said.
        logger.error("call failed", metadata: ["error": "\(error)"])
        return try Self.json(.internalServerError, Problem.fault)
      }
    }
    router.get("notices") { _, _ -> Response in
      let stream = await notices()
      return Response(
        status: .ok, headers: [.contentType: "application/x-ndjson"],
        body: ResponseBody { writer in
          for await notice in stream.cancelOnGracefulShutdown() {
            var line = try JSONEncoder().encode(notice)
            line.append(0x0A)
            try await writer.write(ByteBuffer(bytes: line))
          }
          try await writer.finish(nil)
        })
    }
    let path = socketPath
    let mode = permissions
    var quiet = logger
    quiet.logLevel = .critical
    let application = Application(
      router: router, configuration: .init(address: .unixDomainSocket(path: path)),
      onServerRunning: { _ in _ = chmod(path, mode) }, logger: quiet)
    try await application.run()
  }

  private static func json(_ status: HTTPResponse.Status, _ value: some Encodable) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(value))))
  }
}

/// Who is at the other end of a Unix socket, as the kernel says it (`SO_PEERCRED`, unix(7)).
package struct SeamPeer: Equatable, Sendable {
  /// Nil where the system did not say.
  package var userID: UInt32?

  package init(userID: UInt32?) { self.userID = userID }

  /// The user's name in the machine's own list, or its number.
  package var name: String {
    guard let userID else { return "unknown" }
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 4096)
    guard getpwuid_r(userID, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return "uid-\(userID)" }
    return String(cString: entry.pw_name)
  }
}

/// `struct ucred` of Linux's socket(7), which the C library shows to GNU sources only.
private struct PeerCredentials: Sendable {
  var process: Int32 = 0
  var user: UInt32 = 0
  var group: UInt32 = 0
}

/// A request's context that still knows its socket.
private struct SeamContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  private let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  func peer() async -> SeamPeer {
    guard let provider = channel as? any SocketOptionProvider else { return SeamPeer(userID: nil) }
    let credentials: PeerCredentials? = try? await provider.unsafeGetSocketOption(
      level: .init(rawValue: SOL_SOCKET), name: .init(rawValue: SO_PEERCRED)
    ).get()
    return SeamPeer(userID: credentials?.user)
  }
}

/// Bounds of what crosses a seam.
package enum SeamLimits {
  /// A call: a batch of a few hundred events, or a form.
  package static let maximumCall_bytes = 8 << 20
  /// An answer: a page of the register, or the facts of all parts.
  package static let maximumReply_bytes = 64 << 20
  /// One notice: the wall of a few thousand incidents.
  package static let maximumNotice_bytes = 16 << 20
  /// Files in one call of an ingest that starts: some 300 KiB, and an answer within a second or two where each is news.
  package static let foundPage = 256
  /// How long such a call may take: each file that is news is an entry of the journal and some rows.
  package static let foundAnswer_s: Int64 = 120
  /// A heartbeat goes over every stream of notices this often; three missed mean the other side is gone.
  package static let heartbeat_s: Int64 = 2
}
