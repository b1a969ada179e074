import AsyncHTTPClient
import Doctrine
import Foundation
import Hummingbird
import Ingest
import Logging
import NIOCore
import Seams
import ServiceLifecycle
import Vault

/// Puts the ingest together: the cameras' listener and the live socket that the console reads.
enum IngestRole {
  static func run(_ settings: Settings, logger: Logger) async throws {
    try Directories.make(Directories.parent(of: settings.ingestForConsole), mode: 0o750)
    try Directories.make(settings.footageFolder, mode: 0o770)
    let http = SeamClient<IngestCall, IngestReply, IngestDirective>.makeHTTPClient()
    let patient = SeamClient<IngestCall, IngestReply, IngestDirective>.makeHTTPClient(
      silence_s: SeamLimits.foundAnswer_s)
    let ingest = IngestService(
      settings: .init(
        addresses: [ListenAddress(host: settings.ingestHost, port: settings.ingestPort)] + settings.ingestAlso,
        threads: settings.ingestThreads, window_packets: settings.ingestWindow_packets,
        footageRoot: settings.footageFolder),
      keeper: SeamClient(client: http, socketPath: settings.keeperForIngest, peer: "keeper"),
      patientKeeper: SeamClient(client: patient, socketPath: settings.keeperForIngest, peer: "keeper"),
      clocks: SystemClocks.ingest, logger: logger)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await ingest.run() }
        group.addTask { try await serveLive(ingest.feed, settings, logger) }
        try await group.next()
        group.cancelAll()
      }
    } catch {
      try? await http.shutdown()
      try? await patient.shutdown()
      throw error
    }
    try? await http.shutdown()
    try? await patient.shutdown()
  }

  /// `GET /live/<recording>`: the ordered bytes of a recording that is live, until it is not.
  private static func serveLive(_ feed: LiveFeed, _ settings: Settings, _ logger: Logger) async throws {
    let router = Router()
    router.get("live/:recording") { _, context -> Response in
      let recording = RecordingID(try context.parameters.require("recording"))
      guard let pieces = feed.read(recording) else { throw HTTPError(.notFound) }
      return Response(
        status: .ok, headers: [.contentType: "video/mp2t"],
        body: ResponseBody { writer in
          for await piece in pieces { try await writer.write(ByteBuffer(bytes: piece)) }
          try await writer.finish(nil)
        })
    }
    let path = settings.ingestForConsole
    var quiet = logger
    quiet.logLevel = .critical
    let application = Application(
      router: router, configuration: .init(address: .unixDomainSocket(path: path)),
      onServerRunning: { _ in _ = chmod(path, 0o660) }, logger: quiet)
    try await application.run()
  }
}
