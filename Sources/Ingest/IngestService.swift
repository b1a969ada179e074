internal import Doctrine
package import Logging
internal import SRT
internal import Seams
internal import Vault

/// The ingest process as a whole: takes up what a stop left open, then listens.
package struct IngestService: Sendable {
  package struct Settings: Sendable {
    /// Where cameras call.
    package var addresses: [ListenAddress]
    /// Threads that own cameras.
    package var threads: Int
    /// Packets that a camera in complete delivery may have under way.
    package var window_packets: Int
    package var footageRoot: String

    package init(addresses: [ListenAddress], threads: Int, window_packets: Int, footageRoot: String) {
      self.addresses = addresses
      self.threads = threads
      self.window_packets = window_packets
      self.footageRoot = footageRoot
    }
  }

  private let settings: Settings
  private let keeper: KeeperClient
  private let clocks: IngestClocks
  private let logger: Logger
  private let table: AdmissionTable
  private let spool = EventSpool()
  private let shards: IngestShards
  private let openParts: OpenParts
  /// What the console reads.
  package let feed: LiveFeed

  /// - Parameter patientKeeper: the same keeper, called with time for long answers.
  package init(
    settings: Settings, keeper: KeeperClient, patientKeeper: KeeperClient, clocks: IngestClocks, logger: Logger
  ) {
    self.settings = settings
    self.keeper = keeper
    self.clocks = clocks
    self.logger = logger
    table = AdmissionTable(clocks: clocks, window_packets: settings.window_packets)
    feed = LiveFeed(now: clocks.monotonic)
    shards = IngestShards(
      count: settings.threads, footageRoot: settings.footageRoot, table: table, spool: spool, feed: feed,
      clocks: clocks, logger: logger)
    openParts = OpenParts(
      footageRoot: settings.footageRoot, keeper: patientKeeper, shards: shards, spool: spool, clocks: clocks,
      logger: logger)
  }

  /// Runs until cancelled.
  package func run() async throws {
    try SRTLibrary.start()
    let shards = self.shards
    do { try await serve() } catch {
      await BlockingWork.run { shards.stop() }
      throw error
    }
    await BlockingWork.run { shards.stop() }
  }

  private func serve() async throws {
    // What a stop left open comes first: a directive for it, and its camera's call, must find it.
    let startedAt = clocks.wall()
    let recent = await openParts.look(isStart: true)
    // An incident that has a file is not opened a second time, whatever became of the news of it.
    table.markUsed(recent.incidents)
    shards.avoid(recent.unreadable.map(\.path))
    let asked = try await openParts.ask(recent.parts, startedAt: startedAt)
    for answer in asked.answers { shards.expect(answer) }
    let (looks, look) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let link = KeeperLink(
      client: keeper, table: table, spool: spool, shards: shards, logger: logger, lookAgain: { look.yield() })
    let linked = Task { await link.run() }
    defer { linked.cancel() }
    // The files are read beside: cameras that have none open are received meanwhile.
    let takingUp = Task {
      try await openParts.takeUp(asked)
      for await _ in looks { try await openParts.takeUpUntaken() }
    }
    defer { takingUp.cancel() }
    let ports: [UInt16]
    do {
      ports = try shards.start(settings.addresses)
    } catch {
      logger.critical(
        "cannot listen for cameras",
        metadata: [
          "setting": "ingest.host, ingest.port, ingest.also",
          "addresses": "\(settings.addresses.map(\.description).joined(separator: " "))", "error": "\(error)",
        ])
      throw error
    }
    logger.notice(
      "listening for cameras",
      metadata: [
        "port": "\(ports.map(String.init).joined(separator: " "))", "threads": "\(settings.threads)",
        "srt": "\(SRTLibrary.version)",
      ])
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }
}
