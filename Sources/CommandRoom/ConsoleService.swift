internal import AsyncHTTPClient
internal import Doctrine
internal import Foundation
internal import Hummingbird
internal import HummingbirdHTTP2
package import Logging
internal import NIOSSL
package import Seams

/// The console process: people's listener, cameras' listener, live relay, decode checks.
package struct ConsoleService: Sendable {
  private let settings: ConsoleSettings
  private let keeper: SeamClient<ConsoleCall, ConsoleReply, ConsoleNotice>
  private let ingest: SeamClient<IngestCall, IngestReply, IngestDirective>
  private let logger: Logger

  package init(
    settings: ConsoleSettings, keeper: SeamClient<ConsoleCall, ConsoleReply, ConsoleNotice>,
    ingest: SeamClient<IngestCall, IngestReply, IngestDirective>, logger: Logger
  ) {
    self.settings = settings
    self.keeper = keeper
    self.ingest = ingest
    self.logger = logger
  }

  /// Runs until cancelled.
  package func run() async throws {
    let wall = WallHub()
    let hub = LiveHub(client: ingest, logger: logger)
    let readings = Readings()
    let provider = try settings.provider.map { settings in
      ProviderLogIn(
        settings: settings, client: try Self.client(authorities: settings.certificateAuthorities), logger: logger)
    }
    let api = ConsoleAPI(
      keeper: keeper, wall: wall, hub: hub, readings: readings, settings: settings, provider: provider,
      footage: settings.footage,
      logger: logger)
    let devices = DeviceAPI(keeper: keeper, logger: logger)
    let people = try application(api.router(), host: settings.host, port: settings.port, name: "people")
    let cameras = try application(
      devices.router(), host: settings.deviceHost, port: settings.devicePort, name: "devices")
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await listen(people, "console.host, console.port", settings.host, settings.port) }
      group.addTask { try await listen(cameras, "device.host, device.port", settings.deviceHost, settings.devicePort) }
      group.addTask { await follow(wall, hub, readings) }
      group.addTask { await tellEnds(of: readings, hub) }
      group.addTask {
        while !Task.isCancelled {
          try? await Task.sleep(for: .seconds(5))
          wall.beat()
        }
      }
      if let program = settings.imagingProgram {
        let checker = DecodeChecker(
          keeper: keeper, program: program, footage: settings.footage, logger: logger)
        group.addTask { await checker.run() }
      }
      if settings.metricsPort != 0 {
        let metrics = MetricsListener(
          keeper: keeper, host: settings.metricsHost, port: settings.metricsPort, logger: logger)
        group.addTask { await metrics.run() }
      }
      let footage = FootageChecker(keeper: keeper, footage: settings.footage, logger: logger)
      group.addTask { await footage.run() }
      if let url = settings.witnessURL {
        let poster = WitnessPoster(
          keeper: keeper, client: try Self.client(authorities: nil), url: url, logger: logger)
        group.addTask { await poster.run() }
      }
      // Whichever ends first ends the process; the supervisor starts it anew.
      try await group.next()
      group.cancelAll()
    }
  }

  /// Speaks to the identity provider, or to the witness.
  private static func client(authorities path: String?) throws -> HTTPClient {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    if let path {
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
      configuration.tlsConfiguration = tls
    }
    return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
  }

  private func listen(_ application: some ApplicationProtocol, _ key: String, _ host: String, _ port: Int) async throws
  {
    do {
      try await application.run()
    } catch  where !(error is CancellationError) {
      logger.critical(
        "cannot listen", metadata: ["setting": "\(key)", "address": "\(host):\(port)", "error": "\(error)"])
      throw error
    }
  }

  /// Tells the keeper of every view that ended; a keeper that is back has ended those of before itself.
  private func tellEnds(of readings: Readings, _ hub: LiveHub) async {
    for await end in readings.ended {
      if let recording = end.live { await hub.left(end.viewing, recording) }
      for _ in 0..<Self.tries {
        do throws(Problem) {
          _ = try await keeper.call(.leave(end.viewing))
          break
        } catch { try? await Task.sleep(for: .milliseconds(300)) }
      }
    }
  }

  /// Times that an end is told: the journal may be away for a moment.
  private static let tries = 20

  /// Follows the keeper. Without it the wall is empty and nothing is live: nobody could withdraw a right.
  private func follow(_ wall: WallHub, _ hub: LiveHub, _ readings: Readings) async {
    while !Task.isCancelled {
      do {
        try await keeper.notices { notice in
          switch notice {
          case .wall(let state, let mark):
            wall.publish(state)
            await hub.keepOnly(Set(state.incidents.filter { $0.threat != nil }.map(\.recording)), of: mark)
          case .cut(let viewing): if !readings.cut(viewing) { await hub.cut(viewing) }
          case .heartbeat: break
          }
        }
      } catch {
        logger.debug("keeper away", metadata: ["error": "\(error)"])
      }
      wall.publish(nil)
      await hub.keepOnly([], of: nil)
      readings.cutAll()
      try? await Task.sleep(for: .milliseconds(300))
    }
  }

  private func application(
    _ router: Router<ConsoleContext>, host: String, port: Int, name: String
  ) throws -> some ApplicationProtocol {
    let chain = try NIOSSLCertificate.fromPEMFile(settings.certificatePath)
    let key = try NIOSSLPrivateKey(file: settings.keyPath, format: .pem)
    var tls = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    tls.minimumTLSVersion = .tlsv12
    var quiet = logger
    quiet.logLevel = .critical
    let logger = self.logger
    return Application(
      router: router,
      server: try .http2Upgrade(
        tlsConfiguration: tls,
        configuration: .init(
          idleTimeout: .seconds(120), gracefulCloseTimeout: .seconds(5),
          streamConfiguration: .init(idleTimeout: .seconds(60)))),
      configuration: .init(address: .hostname(host, port: port)),
      onServerRunning: { channel in
        logger.notice("listening", metadata: ["for": "\(name)", "port": "\(channel.localAddress?.port ?? 0)"])
      }, logger: quiet)
  }
}
