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
    var acknowledged: Int64
    var connected: Int
    var failed: Int
    var late_ms: Int64
  }
  struct LoadEnd: Decodable {
    var sent: [String: Int64]
    var acknowledged: [String: Int64]

    /// Of each camera, what was acknowledged and what was sent: at least and at most so much is kept.
    var bounds: [String: ClosedRange<Int64>] {
      sent.reduce(into: [:]) { bounds, one in
        bounds[one.key] = min(acknowledged[one.key] ?? 0, one.value)...one.value
      }
    }
  }
  struct LoadRate: Decodable { var mbps: Double }
  private struct FloorPort: Decodable { var port: UInt16 }
  private struct FloorBytes: Decodable { var bytes: Int64 }

  struct Row: Encodable {
    var cameras: Int
    /// Of a camera: what the clip has, what the floor received, what the server recorded.
    var clip_mbps = 0.0
    var floor_mbps = 0.0
    var server_mbps = 0.0
    var floor_s_per_gb = 0.0
    var ingest_s_per_gb = 0.0
    var keeper_s_per_gb = 0.0
    var database_s_per_gb = 0.0
    /// All processes of the server, the console and what starts the roles among them.
    var all_s_per_gb = 0.0
    /// Ingest, keeper and database against the floor.
    var ratio = 0.0
    var all_ratio = 0.0
    var floor_bytes_per_camera = 0
    var ingest_bytes_per_camera = 0
    var keeper_bytes_per_camera = 0
    /// What the ingest took at most since its start, without what it had before the first camera, a camera.
    var ingestPeak_bytes_per_camera = 0
    var floor_threads = 0
    var ingest_threads = 0
    var floor_calls_per_gb: Int?
    var ingest_calls_per_gb: Int?
    var kept = BenchServer.Kept()
    /// Of the minute that ends with the quiet window.
    var quietLag_ms: Int64 = 0
    /// Of the minute that ends with the last live window; nil without live views.
    var liveLag_ms: Int64?
    /// A packet's lag begins where the ingest reads it: by how much the files fell further behind what the transport had, in
    /// the quiet window. Asked twice a second; a chunk's length, half a second, is within it.
    var quietBehind_ms: Int64 = 0
    /// Of all processors in the quiet window, the load's share among it: a full machine is late whatever runs on it.
    var quietBusy_percent = 0
    /// Chunks that became durable in the quiet window and in the live ones, and of them those after more than a second.
    var quietChunks = 0
    var quietLateChunks = 0
    var liveChunks = 0
    var liveLateChunks = 0
    /// The latest that the load sent a message after it was due, in the floor's window and in the quiet one.
    var floorLoadLate_ms: Int64 = 0
    var loadLate_ms: Int64 = 0
    /// Connections that broke, and calls that failed, once all cameras were connected.
    var failedCalls = 0
    var live: [Live] = []
  }

  struct Live: Encodable {
    var views: Int
    /// Of them, those that something came to in the last three seconds of the window: a key picture and a second.
    var alive = 0
    var mbps = 0.0
    var console_s_per_gb: Double
    var ingest_s_per_gb: Double
    var keeper_s_per_gb: Double
    var all_s_per_gb: Double
    var loadLate_ms: Int64
    var behind_ms: Int64
    /// Of all processors in the window.
    var busy_percent: Int
    var delay: RelayDelay.Figures?
    /// The same while these views were being opened, before the window.
    var delayWhileJoining: RelayDelay.Figures?
  }

  /// What is sent or received slower than this share of the clip's rate is not the load that a row names.
  private static let pace = 0.9

  func run() async throws {
    var rows: [Row] = []
    print(
      "| cameras × Mbit/s | floor, CPU s/GB | ingest | keeper | database | ratio (all processes) | KiB a camera: floor, ingest (at most), keeper | threads: floor, ingest | calls/GB: floor, ingest | lost bytes | worst lag ms: quiet, live | files behind ms: quiet, live | chunks over 1 s: quiet, live | machine busy %: quiet, live |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for count in cameras {
      var row = Row(cameras: count)
      try await measureFloor(&row)
      try await measureServer(&row)
      row.ratio = (row.ingest_s_per_gb + row.keeper_s_per_gb + row.database_s_per_gb) / row.floor_s_per_gb
      row.all_ratio = row.all_s_per_gb / row.floor_s_per_gb
      rows.append(row)
      print(Self.line(row))
      fflush(nil)
      // What was measured stays, whatever becomes of the next size.
      try BenchChild.writeJSON(rows, to: json)
    }
    if !noLive { Self.printLive(rows) }
    try Self.judge(rows)
  }

  /// What makes the figures of a row mean something else than the row says.
  private static func judge(_ rows: [Row]) throws {
    var faults: [String] = []
    for row in rows {
      if !row.kept.isAll { faults.append(row.kept.words) }
      let rates = [row.floor_mbps, row.server_mbps] + row.live.map(\.mbps)
      if rates.contains(where: { $0 < row.clip_mbps * pace }) {
        let said = rates.map { String(format: "%.2f", $0) }.joined(separator: ", ")
        faults.append(
          String(format: "%d cameras: %@ Mbit/s a camera instead of %.2f", row.cameras, said, row.clip_mbps))
      }
      for live in row.live where live.alive < live.views {
        faults.append("\(row.cameras) cameras: of \(live.views) views \(live.alive) were alive")
      }
      if row.failedCalls > 0 { faults.append("\(row.cameras) cameras: \(row.failedCalls) calls or connections failed") }
    }
    for fault in faults { print("not as the table says: \(fault)") }
    guard faults.isEmpty else { throw Complaint(description: "a row is not what it says") }
  }

  private static func line(_ row: Row) -> String {
    String(
      format:
        "| %d × %.1f | %.2f | %.2f | %.2f | %.2f | **%.2f** (%.2f) | %d, %d (%d), %d | %d, %d | %@, %@ | %d | %d, %@ | %d, %d | %d of %d, %d of %d | %d, %d |",
      row.cameras, row.server_mbps, row.floor_s_per_gb, row.ingest_s_per_gb, row.keeper_s_per_gb,
      row.database_s_per_gb, row.ratio, row.all_ratio, row.floor_bytes_per_camera / 1024,
      row.ingest_bytes_per_camera / 1024, row.ingestPeak_bytes_per_camera / 1024, row.keeper_bytes_per_camera / 1024,
      row.floor_threads, row.ingest_threads, row.floor_calls_per_gb.map(String.init) ?? "–",
      row.ingest_calls_per_gb.map(String.init) ?? "–", row.kept.lost_bytes, row.quietLag_ms,
      row.liveLag_ms.map(String.init) ?? "–", row.quietBehind_ms, row.live.dropFirst().map(\.behind_ms).max() ?? 0,
      row.quietLateChunks, row.quietChunks, row.liveLateChunks, row.liveChunks, row.quietBusy_percent,
      row.live.dropFirst().map(\.busy_percent).max() ?? 0)
  }

  private static func printLive(_ rows: [Row]) {
    print(
      "\n| cameras | live, one viewer each (alive) | CPU s/GB of ingest: console | ingest | keeper | relay delay ms from a picture's last packet: median, p99, worst | from its first | pictures: measured, never came, over 2 s | the same while the views were opened: median, p99, worst (measured, never) | end told by the next: median, p99 (measured) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows {
      for live in row.live {
        print(
          String(
            format: "| %d | %d (%d) | %.2f | %.2f | %.2f | ", row.cameras, live.views, live.alive,
            live.console_s_per_gb, live.ingest_s_per_gb, live.keeper_s_per_gb) + words(live))
      }
    }
  }

  private static func words(_ live: Live) -> String {
    guard let delay = live.delay, let joining = live.delayWhileJoining else { return "– | – | – | – | – |" }
    func ms(_ value: Double?) -> String { value.map { String(format: "%.1f", $0) } ?? "never" }
    func words(_ quantiles: RelayDelay.Quantiles) -> String {
      "\(ms(quantiles.median_ms)), \(ms(quantiles.p99_ms)), \(ms(quantiles.worst_ms))"
    }
    let next =
      delay.toldByNext == 0
      ? "– (0)"
      : "\(ms(delay.toldByNext_fromLast.median_ms)), \(ms(delay.toldByNext_fromLast.p99_ms)) (\(delay.toldByNext))"
    return
      "\(words(delay.fromLast)) | \(words(delay.fromFirst)) | \(delay.pictures) of \(delay.cameras) cameras, \(delay.never), \(delay.over2s) | \(joining.pictures == 0 ? "–" : words(joining.fromLast)) (\(joining.pictures), \(joining.never)) | \(next) |"
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
    row.clip_mbps = try load.last(LoadRate.self).mbps
    try await settle(load, row.cameras)
    let calls = SystemCallCount([floor.pid], seconds: seconds)
    let lines = load.lineCount
    let began = Date()
    let before = ProcessFigures.read(floor.pid)
    let start = try ask(floor)
    try await Task.sleep(for: .seconds(seconds))
    guard let before, let after = ProcessFigures.read(floor.pid), let empty else {
      throw Complaint(description: "the floor ended")
    }
    let gigabytes = Double(try ask(floor) - start) / 1e9
    row.floor_mbps = gigabytes * 8000 / Date().timeIntervalSince(began) / Double(row.cameras)
    row.floorLoadLate_ms = load.all(Load.self, newerThan: lines).map(\.late_ms).max() ?? 0
    row.floor_s_per_gb = (after.cpu_s - before.cpu_s) / gigabytes
    row.floor_bytes_per_camera = (after.resident_bytes - empty.resident_bytes) / row.cameras
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
    try await BenchServer.with(folder: data + "/server-\(row.cameras)", port: 9713) {
      try await measure(&measured, $0)
      return measured.kept.isAll
    }
    row = measured
  }

  private func measure(_ row: inout Row, _ server: BenchServer) async throws {
    let known = try await server.world.enrolCameras(row.cameras, prefix: "B")
    let pids = try server.pids()
    let empty = try ServerReading(pids)
    let log = data + "/load-times"
    let measured = Self.spread(known.map(\.id))
    let load = try startLoad(known, server.world.settings.ingestPort, log: log, logged: measured)
    defer { load.end() }
    try await settle(load, row.cameras)
    _ = try await server.wall(of: row.cameras, writing: true)
    let durability = try await server.durability()
    let failed = try load.last(Load.self).failed
    let calls = SystemCallCount([pids.ingest], seconds: seconds)
    let quiet = try await window(load, server, pids)
    row.server_mbps = quiet.mbps(row.cameras)
    row.ingest_s_per_gb = quiet.ingest_s / quiet.gigabytes
    row.keeper_s_per_gb = quiet.keeper_s / quiet.gigabytes
    row.database_s_per_gb = quiet.database_s / quiet.gigabytes
    row.all_s_per_gb = quiet.all_s / quiet.gigabytes
    row.loadLate_ms = quiet.late_ms
    row.quietBehind_ms = quiet.behind_ms
    row.quietBusy_percent = quiet.busy_percent
    row.ingest_calls_per_gb = calls.finish().map { Int(Double($0) / quiet.gigabytes) }
    let full = quiet.after
    row.ingest_bytes_per_camera = (full.ingest.resident_bytes - empty.ingest.resident_bytes) / row.cameras
    row.ingestPeak_bytes_per_camera = (full.ingest.peak_bytes - empty.ingest.resident_bytes) / row.cameras
    row.keeper_bytes_per_camera = (full.keeper.resident_bytes - empty.keeper.resident_bytes) / row.cameras
    row.ingest_threads = full.ingest.threads
    let afterQuiet = try await server.durability()
    row.quietLag_ms = afterQuiet.worst_ms
    row.quietChunks = afterQuiet.chunks - durability.chunks
    row.quietLateChunks = afterQuiet.late - durability.late
    row.live.append(Self.live(0, quiet, row.cameras))
    var times: [(joining: ClosedRange<Int64>, window: ClosedRange<Int64>)] = []
    if !noLive {
      times = try await measureLive(&row, server, load, pids, measured, known.map(\.id))
      let afterLive = try await server.durability()
      row.liveLag_ms = afterLive.worst_ms
      row.liveChunks = afterLive.chunks - afterQuiet.chunks
      row.liveLateChunks = afterLive.late - afterQuiet.late
      // What was sent last may still come.
      try await Task.sleep(for: .seconds(3))
      await server.endWatching()
    }
    row.failedCalls = try load.last(Load.self, newerThan: load.lineCount).failed - failed
    load.say("stop")
    let end = try load.last(LoadEnd.self, within: 90)
    if !times.isEmpty {
      // Delay is read once the load has written when each message left.
      let delay = try RelayDelay(server.viewers, log: log, clip: clip, seconds: streamSeconds(row.cameras))
      for (index, time) in times.enumerated() {
        row.live[index + 1].delayWhileJoining = delay.figures(sentIn: time.joining)
        row.live[index + 1].delay = delay.figures(sentIn: time.window)
      }
    }
    row.kept = try await server.compare(end.bounds)
  }

  /// Up to ten cameras, from all over the list.
  private static func spread(_ cameras: [String]) -> [String] {
    let count = min(10, cameras.count)
    return (0..<count).map { cameras[$0 * cameras.count / count] }
  }

  /// Opens the views of one step after another, and measures under each; returns when the views were opened, and the windows.
  private func measureLive(
    _ row: inout Row, _ server: BenchServer, _ load: BenchChild, _ pids: BenchServer.Processes, _ measured: [String],
    _ cameras: [String]
  ) async throws -> [(joining: ClosedRange<Int64>, window: ClosedRange<Int64>)] {
    // The cameras whose pictures are timed are watched in every step.
    let order = measured + cameras.filter { !measured.contains($0) }
    var times: [(ClosedRange<Int64>, ClosedRange<Int64>)] = []
    for views in Set([measured.count, max(measured.count, row.cameras / 2), row.cameras]).sorted() {
      let began = Self.now_us()
      try await server.watch(Array(order.prefix(views)), noting: Set(measured), of: row.cameras)
      try await Task.sleep(for: .seconds(3))
      let start = Self.now_us()
      let figures = try await window(load, server, pids)
      let end = Self.now_us()
      times.append((began...start, start...end))
      var live = Self.live(views, figures, row.cameras)
      live.alive = server.viewers.count { !$0.isOver && $0.last_us > end - 3_000_000 }
      row.live.append(live)
    }
    return times
  }

  private static func live(_ views: Int, _ window: Window, _ cameras: Int) -> Live {
    Live(
      views: views, mbps: window.mbps(cameras), console_s_per_gb: window.console_s / window.gigabytes,
      ingest_s_per_gb: window.ingest_s / window.gigabytes, keeper_s_per_gb: window.keeper_s / window.gigabytes,
      all_s_per_gb: window.all_s / window.gigabytes, loadLate_ms: window.late_ms, behind_ms: window.behind_ms,
      busy_percent: window.busy_percent)
  }

  private static func now_us() -> Int64 { Int64(Date().timeIntervalSince1970 * 1e6) }

  private struct Window {
    /// What the server's transport acknowledged, or what its files grew by, whichever is less.
    var gigabytes: Double
    var seconds: Double
    var ingest_s: Double
    var keeper_s: Double
    var console_s: Double
    var database_s: Double
    var all_s: Double
    var late_ms: Int64
    /// The most, in time of the stream, that files fell behind what the transport had acknowledged, since the window's begin.
    var behind_ms: Int64
    var busy_percent: Int
    var after: ServerReading

    func mbps(_ cameras: Int) -> Double { gigabytes * 8000 / seconds / Double(cameras) }
  }

  private func window(_ load: BenchChild, _ server: BenchServer, _ pids: BenchServer.Processes) async throws -> Window {
    func read() async throws -> (load: Load, footage: Int64, server: ServerReading) {
      let report = try await load.next(Load.self)
      return (report, server.footage_bytes(), try ServerReading(pids))
    }
    let before = try await read()
    let machine = MachineTime.now()
    let lines = load.lineCount
    let until = Date().addingTimeInterval(Double(seconds))
    var behind_bytes: Int64 = 0
    while Date() < until {
      let report = try await load.next(Load.self)
      let acknowledged = report.acknowledged - before.load.acknowledged
      behind_bytes = max(behind_bytes, acknowledged - (server.footage_bytes() - before.footage))
    }
    let after = try await read()
    let bytes = min(after.load.acknowledged - before.load.acknowledged, after.footage - before.footage)
    guard bytes > 0 else { throw Complaint(description: "nothing was recorded in a window") }
    return Window(
      gigabytes: Double(bytes) / 1e9, seconds: Double(after.load.us - before.load.us) / 1e6,
      ingest_s: after.server.ingest.cpu_s - before.server.ingest.cpu_s,
      keeper_s: after.server.keeper.cpu_s - before.server.keeper.cpu_s,
      console_s: after.server.console.cpu_s - before.server.console.cpu_s,
      database_s: after.server.database_s - before.server.database_s, all_s: after.server.all_s - before.server.all_s,
      late_ms: load.all(Load.self, newerThan: lines).map(\.late_ms).max() ?? 0,
      behind_ms: behind_bytes * (after.load.us - before.load.us) / 1000
        / max(1, after.load.acknowledged - before.load.acknowledged),
      busy_percent: MachineTime.now().busy_percent(since: machine), after: after.server)
  }

  // MARK: Load

  /// Enough stream for the connecting, four windows and what lies between; opening a view takes some tenths of a second.
  private func streamSeconds(_ cameras: Int) -> Double { Double(seconds * 4 + 120) + Double(cameras) / 4 }

  private func startLoad(
    _ known: [(id: String, passphrase: String)], _ port: UInt16, log: String? = nil, logged: [String] = []
  ) throws -> BenchChild {
    let file = data + "/load-cameras"
    BenchChild.writeCameras(known, to: file)
    return try BenchChild(
      [
        "bench", "load", "--clip", clip, "--port", "\(port)", "--cameras", file, "--seconds",
        "\(streamSeconds(known.count))",
      ] + (log.map { ["--log", $0, "--logged"] + logged } ?? []))
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
