internal import Hummingbird
internal import Logging
internal import Seams

/// `GET /metrics` for a collector on this machine: figures without names of persons or cameras. `GET /metrics/cameras`,
/// which a collector has to ask for, has a series of each for every camera that was connected since the start.
///
/// Names and labels: docs/guide/operations.md. In clear, so on loopback unless the configuration says otherwise.
struct MetricsListener: Sendable {
  let keeper: ConsoleKeeper
  let host: String
  let port: Int
  let logger: Logger

  /// Runs until cancelled. A port that is taken costs the metrics, not the console.
  func run() async {
    let router = Router()
    router.get("metrics") { _, _ in
      Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: await text())))
    }
    router.get("metrics/cameras") { _, _ in
      Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: await camerasText())))
    }
    var quiet = logger
    quiet.logLevel = .critical
    let logger = self.logger
    let application = Application(
      router: router, configuration: .init(address: .hostname(host, port: port)),
      onServerRunning: { channel in
        logger.notice(
          "listening", metadata: ["for": "metrics", "port": "\(channel.localAddress?.port ?? 0)"])
      }, logger: quiet)
    do { try await application.run() } catch {
      logger.error(
        "no metrics",
        metadata: ["setting": "metrics.host, metrics.port", "address": "\(host):\(port)", "error": "\(error)"])
    }
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  private func text() async -> String {
    var figures: ServerFigures?
    do throws(Problem) {
      if case .figures(let found) = try await keeper.call(.figures) { figures = found }
    } catch {
      logger.debug("no figures", metadata: ["problem": "\(error.code)"])
    }
    return Self.text(of: figures)
  }

  private func camerasText() async -> String {
    var out = MetricsText()
    do throws(Problem) {
      if case .cameraFigures(let node, let cameras) = try await keeper.call(.cameraFigures) {
        out.addCameras(cameras, [("node", node)])
      }
    } catch {
      logger.debug("no figures", metadata: ["problem": "\(error.code)"])
    }
    return out.text
  }

  /// - Parameter figures: nil where the keeper does not answer.
  static func text(of figures: ServerFigures?) -> String {
    var out = MetricsText()
    out.add(
      "plastron_up", .gauge, "Whether a process of the server answers.",
      [
        ([("role", "console")], 1), ([("role", "keeper")], figures == nil ? 0 : 1),
        ([("role", "ingest")], figures?.ingestConnected == true ? 1 : 0),
      ])
    guard let figures else { return out.text }
    let node = [("node", figures.node)]
    func gauge(_ name: String, _ help: String, _ value: Int) { out.add(name, .gauge, help, [(node, Double(value))]) }
    func counter(_ name: String, _ help: String, _ value: UInt64) {
      out.add(name, .counter, help, [(node, Double(value))])
    }
    out.add(
      "plastron_durability_lag_seconds", .gauge,
      "Longest time from a packet's arrival to its being flushed, in the last minute; at most 1.",
      [(node, Double(figures.durabilityLag_ms) / 1000)])
    gauge("plastron_incidents_active", "Incidents that are open.", figures.incidents)
    gauge("plastron_incidents_live", "Of them, with a threat declared.", figures.live)
    gauge("plastron_viewings", "Persons who watch or read now.", figures.viewings)
    gauge("plastron_database_up", "Whether the database answers.", figures.databaseAway ? 0 : 1)
    gauge("plastron_register_writes_waiting", "Changes that wait for the database.", figures.writesWaiting)
    counter("plastron_journal_entries_total", "Entries of the journal.", figures.journalEntries)
    gauge(
      "plastron_erasures_overdue", "Parts past their term that are still there; must be 0.", figures.erasuresOverdue)
    gauge("plastron_sweeper_stopped", "Whether the sweeper asks a person.", figures.sweeperStopped ? 1 : 0)
    gauge("plastron_masters_altered", "Masters that are not as they were written; must be 0.", figures.mastersAltered)
    gauge(
      "plastron_keys_copy_failing", "Whether a copy or the backup of the keys fails.", figures.keysCopyFailing ? 1 : 0)
    out.addLinks(figures.links, node)
    guard let ingest = figures.ingest else { return out.text }
    out.add(
      histogram: "plastron_durability_seconds", "Time from a chunk's first packet to its being flushed.", node,
      bounds: DurabilityCounts.bounds_ms.map { Double($0) / 1000 }, counts: ingest.durability.counts,
      sum: Double(ingest.durability.sum_ms) / 1000)
    gauge("plastron_recordings_failing", "Recordings whose file takes nothing now; must be 0.", ingest.failing.count)
    gauge("plastron_events_waiting", "What the ingest has to tell the keeper.", ingest.waiting)
    counter(
      "plastron_index_rows_dropped_total",
      "Events dropped in a long absence of the keeper, nearly always index rows, which are completed from the files.",
      UInt64(ingest.dropped)
    )
    func volumes(_ name: String, _ help: String, _ value: (IngestStatus.Volume) -> Double) {
      out.add(
        name, .gauge, help,
        ingest.volumes.map { (node + [("volume", $0.prefix.isEmpty ? "footage" : $0.prefix)], value($0)) })
    }
    volumes("plastron_volume_free_bytes", "Free space of a disk that footage lies on.") { Double($0.free_bytes) }
    volumes("plastron_volume_size_bytes", "Its size.") { Double($0.total_bytes) }
    volumes("plastron_volume_healthy", "Whether it takes recordings.") { $0.isHealthy ? 1 : 0 }
    return out.text
  }
}
