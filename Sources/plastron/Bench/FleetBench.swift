import ArgumentParser
import Doctrine
import Foundation
import Seams

/// A fleet at a low bit rate that loses its network and comes back, again and again: does every incident go on, is all kept
/// that was acknowledged, does memory stay?
struct FleetBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fleet", abstract: "Une flotte qui revient d'une coupure, plusieurs fois (reconnections of a fleet).")

  @Option(help: "Clip .ts à bas débit (low bit rate)") var clip: String
  @Option(help: "Dossier de données, où postgres peut entrer (data folder).") var data: String
  @Option var cameras = 2000
  @Option(help: "Coupures (rounds)") var rounds = 15
  @Option(help: "Secondes sur lesquelles la flotte revient (the fleet comes back within)") var spread = 45
  @Option(help: "Y écrire aussi les chiffres en JSON (JSON file).") var json: String?

  func run() async throws {
    try await BenchServer.with(folder: data + "/fleet", port: 9716) { try await measure($0) }
  }

  private static let outage_s = 8
  /// The first rounds fill what is kept; growth is judged by the last ones.
  private static let judgedRounds = 5
  /// A kibibyte a camera and round, for 2,000: a session, a key or a name that stays with each reconnection is more.
  private static let noise_mibPerRound = 2.0
  private static let descriptorNoise = 2
  private static let roles = ["ingest", "keeper", "console"]

  private struct Round: Encodable {
    var round: Int
    var connected: Int
    var connected_s: Double
    /// Until the wall had every incident, each of a camera that sends and is written.
    var known_s: Double
    var failedCalls: Int
    var incidents: Int
    /// What each process allocated, by role; the database's together.
    var mebibytes: [String: Double]
    var resident_mebibytes: [String: Double]
    var descriptors: [String: Int]
    var ingest_threads: Int
  }

  private struct Figures: Encodable {
    var cameras: Int
    var rounds: [Round] = []
    /// Of the last rounds, by role.
    var mebibytesPerRound: [String: Double] = [:]
    var kept = BenchServer.Kept()
  }

  private func startLoad(_ file: String, _ server: BenchServer) throws -> BenchChild {
    try BenchChild([
      "bench", "load", "--clip", clip, "--port", "\(server.world.settings.ingestPort)", "--cameras", file, "--seconds",
      "\(spread + 300)", "--spread", "\(spread)", "--threads", "4",
    ])
  }

  private func measure(_ server: BenchServer) async throws -> Bool {
    let known = try await server.world.enrolCameras(cameras, prefix: "B")
    let pids = try server.pids()
    let file = data + "/load-cameras"
    BenchChild.writeCameras(known, to: file)
    var load = try startLoad(file, server)
    defer { load.end() }
    print(
      "| round | connected, within s | failed calls | incidents open and written, all within s | MiB allocated: ingest, keeper, console, database | ingest resident MiB | descriptors: ingest, keeper, console | threads |"
    )
    print("|---|---|---|---|---|---|---|---|")
    var figures = Figures(cameras: cameras)
    defer { try? BenchChild.writeJSON(figures, to: json) }
    var faults: [String] = []
    // They are the same incidents, round after round.
    var opened: Set<IncidentID>?
    var sent: [String: Int64] = [:]
    var acknowledged: [String: Int64] = [:]
    func note(_ end: IngestBench.LoadEnd, _ round: Int) {
      sent.merge(end.sent, uniquingKeysWith: +)
      acknowledged.merge(end.acknowledged, uniquingKeysWith: +)
      let silent = known.count { (end.acknowledged[$0.id] ?? 0) == 0 }
      if silent > 0 { faults.append("round \(round): nothing of \(silent) cameras was acknowledged") }
    }
    for round in 0...rounds {
      if round > 0 {
        // The network is gone for all of them at once, and comes back after a while.
        load.say("vanish")
        let end = try load.last(IngestBench.LoadEnd.self, within: 60)
        load.kill()
        note(end, round - 1)
        try await Task.sleep(for: .seconds(Self.outage_s))
        load = try startLoad(file, server)
      }
      let row = try await measureRound(round, load, server, pids, &opened, &faults)
      figures.rounds.append(row)
      print(Self.line(row))
      fflush(nil)
    }
    load.say("stop")
    note(try load.last(IngestBench.LoadEnd.self, within: 120), rounds)
    figures.kept = try await server.compare(
      sent.reduce(into: [:]) { bounds, one in bounds[one.key] = (acknowledged[one.key] ?? 0)...one.value })
    print(figures.kept.words)
    if !figures.kept.isWhole || figures.kept.cameras != cameras { faults.append("not all is kept that was sent") }
    judgeMemory(&figures, &faults)
    for fault in faults { print(fault) }
    guard faults.isEmpty else { throw Complaint(description: "the fleet did not come back whole, or memory grows") }
    print("every camera came back to its incident, all is kept that was acknowledged, memory stays")
    return true
  }

  private func measureRound(
    _ round: Int, _ load: BenchChild, _ server: BenchServer, _ pids: BenchServer.Processes,
    _ opened: inout Set<IncidentID>?, _ faults: inout [String]
  ) async throws -> Round {
    let began = Date()
    var report: IngestBench.Load
    repeat {
      report = try load.last(IngestBench.Load.self, newerThan: load.lineCount)
    } while report.connected < cameras && Date().timeIntervalSince(began) < Double(spread) + 60
    let took = Date().timeIntervalSince(began)
    if report.connected != cameras { faults.append("round \(round): \(report.connected) cameras connected") }
    let wall = try await server.wall(of: cameras, writing: true)
    let registered = Date().timeIntervalSince(began)
    let incidents = Set(wall.incidents.map(\.incident))
    if incidents.count != cameras || (opened ?? incidents) != incidents {
      faults.append("round \(round): they are not the same incidents")
    }
    opened = opened ?? incidents
    let reading = try ServerReading(pids)
    func byRole(_ value: (ProcessFigures) -> Int) -> [String: Double] {
      Dictionary(
        zip(Self.roles, [reading.ingest, reading.keeper, reading.console].map { Double(value($0)) / 1_048_576 })
      ) { $1 }
    }
    var mebibytes = byRole(\.anonymous_bytes)
    mebibytes["database"] = Double(reading.database_bytes) / 1_048_576
    return Round(
      round: round, connected: report.connected, connected_s: took, known_s: registered, failedCalls: report.failed,
      incidents: incidents.count, mebibytes: mebibytes, resident_mebibytes: byRole(\.resident_bytes),
      descriptors: Dictionary(
        zip(Self.roles, [pids.ingest, pids.keeper, pids.console].map(ProcessFigures.descriptors))
      ) { $1 },
      ingest_threads: reading.ingest.threads)
  }

  private static func line(_ row: Round) -> String {
    let memory = (roles + ["database"]).map { String(format: "%.1f", row.mebibytes[$0] ?? 0) }.joined(separator: ", ")
    let descriptors = roles.map { "\(row.descriptors[$0] ?? 0)" }.joined(separator: ", ")
    return String(
      format: "| %d | %d, %.0f | %d | %d, %.0f | %@ | %.0f | %@ | %d |", row.round, row.connected, row.connected_s,
      row.failedCalls, row.incidents, row.known_s, memory, row.resident_mebibytes["ingest"] ?? 0, descriptors,
      row.ingest_threads)
  }

  /// A process grows, if the line through its last rounds does.
  private func judgeMemory(_ figures: inout Figures, _ faults: inout [String]) {
    // The first start is no reconnection: it is not among those judged.
    let judged = Array(figures.rounds.dropFirst().suffix(Self.judgedRounds))
    guard judged.count == Self.judgedRounds, let first = judged.first, let last = judged.last else {
      faults.append("memory is not judged: it takes \(Self.judgedRounds) rounds after the first start")
      return
    }
    for role in Self.roles + ["database"] {
      let slope = Trend.slope(judged.map { (Double($0.round), $0.mebibytes[role] ?? 0) })
      figures.mebibytesPerRound[role] = slope
      print(String(format: "%@: %+.2f MiB a round over the last %d", role, slope, judged.count))
      // The database's processes come and go with their work; what they share is not in the figure.
      guard role != "database" else { continue }
      if slope > Self.noise_mibPerRound { faults.append("\(role) grows from round to round") }
      if (last.descriptors[role] ?? 0) > (first.descriptors[role] ?? 0) + Self.descriptorNoise {
        faults.append(
          "descriptors of \(role) grow: \(first.descriptors[role] ?? 0), then \(last.descriptors[role] ?? 0)")
      }
    }
  }
}
