import ArgumentParser
import Doctrine
import Foundation
import Seams

/// A fleet at a low bit rate that loses its network and comes back, again and again: does every incident go on, does memory stay?
struct FleetBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fleet", abstract: "Une flotte qui revient d'une coupure, plusieurs fois (reconnections of a fleet).")

  @Option(help: "Clip .ts à bas débit (low bit rate)") var clip: String
  @Option(help: "Dossier de données, où postgres peut entrer (data folder).") var data: String
  @Option var cameras = 2000
  @Option(help: "Coupures (rounds)") var rounds = 10
  @Option(help: "Secondes sur lesquelles la flotte revient (the fleet comes back within)") var spread = 45

  func run() async throws {
    try await BenchServer.with(folder: data + "/fleet", port: 9716) { try await measure($0) }
  }

  private static let outage_s = 8

  private func startLoad(_ file: String, _ server: BenchServer) throws -> BenchChild {
    try BenchChild([
      "bench", "load", "--clip", clip, "--port", "\(server.world.settings.ingestPort)", "--cameras", file, "--seconds",
      "\(spread + 120)", "--spread", "\(spread)", "--threads", "4",
    ])
  }

  /// The wall once the keeper has every opening: it journals them one after another, while the recordings run.
  private func settled(_ server: BenchServer) async throws -> WallState {
    for _ in 0..<120 {
      if case .status(let wall, _, _) = try await AdministratorLink.call(server.world.settings, .status),
        wall.incidents.count >= cameras
      {
        return wall
      }
      try await Task.sleep(for: .milliseconds(500))
    }
    throw Complaint(description: "the keeper does not know of every incident after a minute")
  }

  private func measure(_ server: BenchServer) async throws {
    let known = try await server.world.enrolCameras(cameras, prefix: "B")
    let pids = try server.pids()
    let file = data + "/load-cameras"
    BenchChild.writeCameras(known, to: file)
    var load = try startLoad(file, server)
    defer { load.end() }
    print(
      "| round | connected | back within s | failed calls | incidents open, all known within s | ingest MiB | descriptors | threads | keeper MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    var memory: [Int] = []
    var holds = true
    // They are the same incidents, round after round.
    var opened: Set<IncidentID>?
    for round in 0...rounds {
      if round > 0 {
        // The network is gone for all of them at once, and comes back after a while.
        load.kill()
        try await Task.sleep(for: .seconds(Self.outage_s))
        load = try startLoad(file, server)
      }
      let began = Date()
      var report = try load.last(IngestBench.Load.self, newerThan: load.lineCount)
      repeat {
        report = try load.last(IngestBench.Load.self, newerThan: load.lineCount)
      } while report.connected < cameras && Date().timeIntervalSince(began) < Double(spread) + 60
      let took = Date().timeIntervalSince(began)
      let wall = try await settled(server)
      let registered = Date().timeIntervalSince(began)
      guard let ingest = ProcessFigures.read(pids.ingest), let keeper = ProcessFigures.read(pids.keeper) else {
        throw Complaint(description: "a role of the server ended")
      }
      memory.append(ingest.resident_bytes)
      let incidents = Set(wall.incidents.map(\.incident))
      holds = holds && report.connected == cameras && incidents.count == cameras && (opened ?? incidents) == incidents
      opened = incidents
      print(
        String(
          format: "| %d | %d | %.0f | %d | %d, %.0f | %d | %d | %d | %d |", round, report.connected, took,
          report.failed,
          wall.incidents.count, registered, ingest.resident_bytes >> 20, ingest.descriptors, ingest.threads,
          keeper.resident_bytes >> 20))
      fflush(nil)
    }
    load.say("stop")
    let lost = try await server.lost(of: [:])
    guard holds, lost == 0 else { throw Complaint(description: "not every camera came back to its incident") }
    // The first rounds fill what is kept; from there on it stays.
    guard let middle = memory.dropFirst(rounds / 2).first, let last = memory.last,
      Double(last) < Double(middle) * 1.1 + 16e6
    else { throw Complaint(description: "memory grows from round to round") }
    print("every camera came back to its incident, memory stays")
  }
}
