import ArgumentParser
import Foundation

/// A long run of steady cameras: does memory grow, does a descriptor stay open?
struct SoakBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "soak", abstract: "Endurance : pente de la mémoire, descripteurs (memory's slope, descriptors).")

  @Option(help: "Clip .ts") var clip: String
  @Option(help: "Dossier de données, où postgres peut entrer (data folder).") var data: String
  @Option var cameras = 50
  @Option(help: "Minutes de flux (minutes of stream)") var minutes = 60
  @Option(help: "Fois le temps réel (times real time)") var speed = 1.0
  @Option(help: "Y écrire aussi les chiffres en JSON (JSON file).") var json: String?

  private static let roles = ["ingest", "keeper", "console"]
  /// Of stream: what grows slower than this in an hour is not told from noise.
  private static let noise_mibPerHour = 8.0

  private struct Sample: Encodable {
    /// Of stream, since all cameras were connected.
    var hours: Double
    /// What each role allocated.
    var mebibytes: [Double]
    /// What the database's processes allocated.
    var database_mebibytes: Double
    var descriptors: [Int]
  }

  private struct Figures: Encodable {
    var cameras: Int
    var speed: Double
    var samples: [Sample]
    /// Of the second half, by role.
    var mebibytesPerHour: [String: Double]
    var kept: BenchServer.Kept
    /// What the clip has in the time that was measured, over all cameras.
    var due_bytes: Int64
    var failedCalls: Int
  }

  func run() async throws {
    try await BenchServer.with(folder: data + "/soak", port: 9719) { try await measure($0) }
  }

  private func measure(_ server: BenchServer) async throws -> Bool {
    let known = try await server.world.enrolCameras(cameras, prefix: "B")
    let pids = try server.pids()
    let file = data + "/load-cameras"
    BenchChild.writeCameras(known, to: file)
    let load = try BenchChild([
      "bench", "load", "--clip", clip, "--port", "\(server.world.settings.ingestPort)", "--cameras", file, "--seconds",
      "\(minutes * 60 + 60)", "--speed", "\(speed)",
    ])
    defer { load.end() }
    let rate_mbps = try load.last(IngestBench.LoadRate.self).mbps
    _ = try await server.wall(of: cameras, writing: true)
    let began = Date()
    var samples: [Sample] = []
    print("| minutes of stream | MiB allocated: ingest, keeper, console, database | descriptors |")
    print("|---|---|---|")
    while true {
      let hours = Date().timeIntervalSince(began) * speed / 3600
      guard hours * 60 < Double(minutes) else { break }
      try await Task.sleep(for: .seconds(5))
      let reading = try ServerReading(pids)
      let sample = Sample(
        hours: Date().timeIntervalSince(began) * speed / 3600,
        mebibytes: [reading.ingest, reading.keeper, reading.console].map { Double($0.anonymous_bytes) / 1_048_576 },
        database_mebibytes: Double(reading.database_bytes) / 1_048_576,
        descriptors: [pids.ingest, pids.keeper, pids.console].map(ProcessFigures.descriptors))
      samples.append(sample)
      guard samples.count % 12 == 1 else { continue }
      let memory = (sample.mebibytes + [sample.database_mebibytes]).map { String(format: "%.0f", $0) }
      print(
        "| \(Int(hours * 60)) | \(memory.joined(separator: ", ")) | \(sample.descriptors.map(String.init).joined(separator: ", ")) |"
      )
      fflush(nil)
    }
    let report = try load.last(IngestBench.Load.self, newerThan: load.lineCount)
    let due = Date().timeIntervalSince(began) * rate_mbps * 125_000 * Double(cameras)
    load.say("stop")
    let end = try load.last(IngestBench.LoadEnd.self, within: 90)
    var figures = Figures(
      cameras: cameras, speed: speed, samples: samples, mebibytesPerHour: [:],
      kept: try await server.compare(end.bounds), due_bytes: Int64(due), failedCalls: report.failed)
    defer { try? BenchChild.writeJSON(figures, to: json) }
    try judge(&figures)
    return true
  }

  /// The slope is of the second half: the first fills what is kept.
  private func judge(_ figures: inout Figures) throws {
    let samples = figures.samples
    let half = Array(samples.suffix(samples.count / 2))
    guard let first = half.first, let last = half.last, half.count >= 4 else {
      throw Complaint(description: "too short a run to say anything")
    }
    print(figures.kept.words)
    print("connections and calls that failed: \(figures.failedCalls)")
    // A load that did not send says nothing of memory.
    let isLoaded = Double(figures.kept.sent_bytes) > 0.95 * Double(figures.due_bytes)
    if !isLoaded { print("sent: \(figures.kept.sent_bytes) bytes of \(figures.due_bytes) that were due") }
    var holds = figures.kept.isAll && figures.failedCalls == 0 && isLoaded
    for (index, role) in Self.roles.enumerated() {
      let slope = Trend.slope(half.map { ($0.hours, $0.mebibytes[index]) })
      figures.mebibytesPerHour[role] = slope
      print(
        String(
          format: "%@: %+.1f MiB an hour of stream, descriptors %d then %d", role, slope, first.descriptors[index],
          last.descriptors[index]))
      holds =
        holds && slope < Self.noise_mibPerHour && last.descriptors[index] <= first.descriptors[index] + 2
    }
    guard holds else {
      throw Complaint(description: "memory or descriptors grow, bytes were lost, or the load did not keep its pace")
    }
  }
}
