import ArgumentParser
import Foundation
import Seams
import Synchronization

/// What it costs to record a fleet, beside a floor of the same run: the same library and load, everything thrown away.
///
/// Server, floor and load are processes of their own. Figures are CPU seconds per gigabyte (10^9 bytes) of transport stream.
struct IngestBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingest", abstract: "Coût de l'enregistrement, en rapport au plancher (ratio to the floor).")

  @Option(help: "Clip .ts") var clip: String
  @Option(help: "Dossier de données, où postgres peut entrer (data folder).") var data: String
  @Option(parsing: .upToNextOption, help: "Caméras") var cameras = [10, 50, 100, 200]
  @Option(help: "Secondes par mesure (seconds a measurement)") var seconds = 20
  @Option(help: "Y écrire aussi les chiffres en JSON (JSON file).") var json: String?
  @Flag(help: "Sans le direct (without live views).") var noLive = false

  struct Load: Decodable {
    var us: Int64
    var bytes: Int64
    var connected: Int
    var failed: Int
    var late_ms: Int64
  }
  struct LoadEnd: Decodable { var sent: [String: Int64] }
  private struct FloorPort: Decodable { var port: UInt16 }
  private struct FloorBytes: Decodable { var bytes: Int64 }

  struct Row: Encodable {
    var cameras: Int
    var rate_mbps = 0.0
    var floor_s_per_gb = 0.0
    var ingest_s_per_gb = 0.0
    var keeper_s_per_gb = 0.0
    var ratio = 0.0
    var floor_bytes_per_camera = 0
    var ingest_bytes_per_camera = 0
    var floor_threads = 0
    var ingest_threads = 0
    var floor_calls_per_gb: Int?
    var ingest_calls_per_gb: Int?
    var lost_bytes: Int64 = 0
    var worstLag_ms: Int64 = 0
    var loadLate_ms: Int64 = 0
    var live: [Live] = []
  }

  struct Live: Encodable {
    var views: Int
    var console_s_per_gb: Double
    var ingest_s_per_gb: Double
    var delay: RelayDelay.Figures?
  }

  func run() async throws {
    var rows: [Row] = []
    print(
      "| cameras × Mbit/s | floor, CPU s/GB | ingest | keeper | ratio | KiB a camera: floor, ingest | threads: floor, ingest | calls/GB: floor, ingest | lost bytes | worst lag ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for count in cameras {
      var row = Row(cameras: count)
      try await measureFloor(&row)
      try await measureServer(&row)
      row.ratio = (row.ingest_s_per_gb + row.keeper_s_per_gb) / row.floor_s_per_gb
      rows.append(row)
      print(Self.line(row))
      fflush(nil)
    }
    if !noLive { Self.printLive(rows) }
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try encoder.encode(rows).write(to: URL(fileURLWithPath: json))
    }
    guard rows.allSatisfy({ $0.lost_bytes == 0 }) else { throw Complaint(description: "bytes were lost") }
  }

  private static func line(_ row: Row) -> String {
    String(
      format: "| %d × %.1f | %.2f | %.2f | %.2f | **%.2f** | %d, %d | %d, %d | %@, %@ | %d | %d |", row.cameras,
      row.rate_mbps, row.floor_s_per_gb, row.ingest_s_per_gb, row.keeper_s_per_gb, row.ratio,
      row.floor_bytes_per_camera / 1024, row.ingest_bytes_per_camera / 1024, row.floor_threads, row.ingest_threads,
      row.floor_calls_per_gb.map(String.init) ?? "–", row.ingest_calls_per_gb.map(String.init) ?? "–", row.lost_bytes,
      row.worstLag_ms)
  }

  private static func printLive(_ rows: [Row]) {
    print(
      "\n| cameras | live, one viewer each | console, CPU s/GB of ingest | ingest | relay delay ms: median, p99 (frames) |"
    )
    print("|---|---|---|---|---|")
    for row in rows {
      for live in row.live {
        let delay = live.delay.map { String(format: "%.1f, %.1f (%d)", $0.median_ms, $0.p99_ms, $0.frames) } ?? "–"
        print(
          String(
            format: "| %d | %d | %.2f | %.2f | %@ |", row.cameras, live.views, live.console_s_per_gb,
            live.ingest_s_per_gb, delay))
      }
    }
  }

  // MARK: Floor

  private func measureFloor(_ row: inout Row) async throws {
    let secret = data + "/floor-passphrase"
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    try Data("the floor has one passphrase".utf8).write(to: URL(fileURLWithPath: secret))
    let floor = try BenchChild(["bench", "floor", "--port", "0", "--passphrase-file", secret])
    defer { floor.end() }
    let port = try floor.last(FloorPort.self).port
    let empty = ProcessFigures.read(floor.pid)
    let load = try startLoad((0..<row.cameras).map { ("F-\($0)", "the floor has one passphrase") }, port)
    defer { load.end() }
    try await settle(load, row.cameras)
    let calls = SystemCallCount([floor.pid], seconds: seconds)
    let before = ProcessFigures.read(floor.pid)
    let start = try ask(floor)
    try await Task.sleep(for: .seconds(seconds))
    guard let before, let after = ProcessFigures.read(floor.pid), let empty else {
      throw Complaint(description: "the floor ended")
    }
    let gigabytes = Double(try ask(floor) - start) / 1e9
    row.rate_mbps = gigabytes * 8000 / Double(seconds) / Double(row.cameras)
    row.floor_s_per_gb = (after.cpu_s - before.cpu_s) / gigabytes
    row.floor_bytes_per_camera = max(0, after.resident_bytes - empty.resident_bytes) / row.cameras
    row.floor_threads = after.threads
    row.floor_calls_per_gb = calls.finish().map { Int(Double($0) / gigabytes) }
    load.say("stop")
  }

  private func ask(_ floor: BenchChild) throws -> Int64 {
    let known = floor.lineCount
    floor.say("bytes")
    return try floor.last(FloorBytes.self, newerThan: known).bytes
  }

  // MARK: Server

  private func measureServer(_ row: inout Row) async throws {
    var measured = row
    try await BenchServer.with(folder: data + "/server-\(row.cameras)", port: 9713) { try await measure(&measured, $0) }
    row = measured
  }

  private func measure(_ row: inout Row, _ server: BenchServer) async throws {
    let known = try await server.world.enrolCameras(row.cameras, prefix: "B")
    let pids = try server.pids()
    let empty = ProcessFigures.read(pids.ingest)
    let log = data + "/load-times"
    let load = try startLoad(known, server.world.settings.ingestPort, log: log)
    defer { load.end() }
    try await settle(load, row.cameras)
    let calls = SystemCallCount([pids.ingest], seconds: seconds)
    let quiet = try await window(load, pids)
    row.ingest_s_per_gb = quiet.ingest_s / quiet.gigabytes
    row.keeper_s_per_gb = quiet.keeper_s / quiet.gigabytes
    row.loadLate_ms = quiet.late_ms
    row.ingest_calls_per_gb = calls.finish().map { Int(Double($0) / quiet.gigabytes) }
    if let empty, let now = ProcessFigures.read(pids.ingest) {
      row.ingest_bytes_per_camera = max(0, now.resident_bytes - empty.resident_bytes) / row.cameras
      row.ingest_threads = now.threads
    }
    row.live.append(
      Live(
        views: 0, console_s_per_gb: quiet.console_s / quiet.gigabytes, ingest_s_per_gb: row.ingest_s_per_gb, delay: nil)
    )
    if !noLive { try await measureLive(&row, server, load, pids) }
    row.worstLag_ms = try await server.worstLag_ms()
    load.say("stop")
    let sent = try load.last(LoadEnd.self, within: 60).sent
    // Delay is read once the load has written when each message left.
    for index in row.live.indices where row.live[index].views > 0 {
      row.live[index].delay = try server.delay.figures(
        views: row.live[index].views, log: log, clip: clip, seconds: streamSeconds)
    }
    row.lost_bytes = try await server.lost(of: sent)
  }

  private func measureLive(
    _ row: inout Row, _ server: BenchServer, _ load: BenchChild, _ pids: BenchServer.Processes
  ) async throws {
    for views in Set([min(10, row.cameras), row.cameras]).sorted() {
      try await server.watch(views)
      try await Task.sleep(for: .seconds(3))
      server.delay.began(views: views)
      let figures = try await window(load, pids)
      row.live.append(
        Live(
          views: views, console_s_per_gb: figures.console_s / figures.gigabytes,
          ingest_s_per_gb: figures.ingest_s / figures.gigabytes, delay: nil))
    }
    await server.endWatching()
  }

  private struct Window {
    var gigabytes: Double
    var ingest_s: Double
    var keeper_s: Double
    var console_s: Double
    var late_ms: Int64
  }

  private func window(_ load: BenchChild, _ pids: BenchServer.Processes) async throws -> Window {
    func read() throws -> (Load, ProcessFigures, ProcessFigures, ProcessFigures) {
      let report = try load.last(Load.self, newerThan: load.lineCount)
      guard let ingest = ProcessFigures.read(pids.ingest), let keeper = ProcessFigures.read(pids.keeper),
        let console = ProcessFigures.read(pids.console)
      else { throw Complaint(description: "a role of the server ended") }
      return (report, ingest, keeper, console)
    }
    let before = try read()
    try await Task.sleep(for: .seconds(seconds))
    let after = try read()
    return Window(
      gigabytes: Double(after.0.bytes - before.0.bytes) / 1e9, ingest_s: after.1.cpu_s - before.1.cpu_s,
      keeper_s: after.2.cpu_s - before.2.cpu_s, console_s: after.3.cpu_s - before.3.cpu_s, late_ms: after.0.late_ms)
  }

  // MARK: Load

  /// Enough stream for the connecting, three windows and what lies between.
  private var streamSeconds: Double { Double(seconds * 3 + 40) }

  private func startLoad(_ known: [(id: String, passphrase: String)], _ port: UInt16, log: String? = nil) throws
    -> BenchChild
  {
    let file = data + "/load-cameras"
    BenchChild.writeCameras(known, to: file)
    return try BenchChild(
      ["bench", "load", "--clip", clip, "--port", "\(port)", "--cameras", file, "--seconds", "\(streamSeconds)"]
        + (log.map { ["--log", $0] } ?? []))
  }

  /// Waits until all are connected and the first chunks are written.
  private func settle(_ load: BenchChild, _ count: Int) async throws {
    for _ in 0..<120 {
      let report = try load.last(Load.self, newerThan: load.lineCount)
      if report.connected == count {
        try await Task.sleep(for: .seconds(3))
        return
      }
    }
    throw Complaint(description: "not all cameras were admitted within a minute")
  }
}
