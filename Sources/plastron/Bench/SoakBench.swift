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

  private static let roles = ["ingest", "keeper", "console"]
  /// Of stream: what grows slower than this in an hour is not told from noise.
  private static let noise_mibPerHour = 8.0

  private struct Sample {
    var hours: Double
    var mebibytes: [Double]
    var descriptors: [Int]
  }

  func run() async throws {
    try await BenchServer.with(folder: data + "/soak", port: 9719) { try await measure($0) }
  }

  private func measure(_ server: BenchServer) async throws {
    let known = try await server.world.enrolCameras(cameras, prefix: "B")
    let pids = try server.pids()
    let file = data + "/load-cameras"
    BenchChild.writeCameras(known, to: file)
    let load = try BenchChild([
      "bench", "load", "--clip", clip, "--port", "\(server.world.settings.ingestPort)", "--cameras", file, "--seconds",
      "\(minutes * 60 + 60)", "--speed", "\(speed)",
    ])
    defer { load.end() }
    let began = Date()
    var samples: [Sample] = []
    print("| minutes of stream | MiB: ingest, keeper, console | descriptors |")
    print("|---|---|---|")
    while true {
      let hours = Date().timeIntervalSince(began) * speed / 3600
      guard hours * 60 < Double(minutes) else { break }
      try await Task.sleep(for: .seconds(5))
      let figures = [pids.ingest, pids.keeper, pids.console].compactMap(ProcessFigures.read)
      guard figures.count == Self.roles.count else { throw Complaint(description: "a role of the server ended") }
      let sample = Sample(
        hours: hours, mebibytes: figures.map { Double($0.resident_bytes) / 1_048_576 },
        descriptors: figures.map(\.descriptors))
      samples.append(sample)
      guard samples.count % 12 == 1 else { continue }
      let memory = sample.mebibytes.map { String(format: "%.0f", $0) }.joined(separator: ", ")
      print("| \(Int(hours * 60)) | \(memory) | \(sample.descriptors.map(String.init).joined(separator: ", ")) |")
      fflush(nil)
    }
    load.say("stop")
    let sent = try load.last(IngestBench.LoadEnd.self, within: 60).sent
    let lost = try await server.lost(of: sent)
    try judge(samples, lost)
  }

  /// The slope is of the second half: the first fills what is kept.
  private func judge(_ samples: [Sample], _ lost: Int64) throws {
    let half = Array(samples.suffix(samples.count / 2))
    guard let first = half.first, let last = half.last, half.count >= 4 else {
      throw Complaint(description: "too short a run to say anything")
    }
    var holds = lost == 0
    for (index, role) in Self.roles.enumerated() {
      let slope = Self.slope(half.map { ($0.hours, $0.mebibytes[index]) })
      print(
        String(
          format: "%@: %+.1f MiB an hour of stream, descriptors %d then %d", role, slope, first.descriptors[index],
          last.descriptors[index]))
      holds =
        holds && slope < Self.noise_mibPerHour && last.descriptors[index] <= first.descriptors[index] + 2
    }
    print("lost bytes: \(lost)")
    guard holds else { throw Complaint(description: "memory or descriptors grow, or bytes were lost") }
  }

  /// Least squares.
  private static func slope(_ points: [(x: Double, y: Double)]) -> Double {
    let n = Double(points.count)
    let mean = (x: points.reduce(0) { $0 + $1.x } / n, y: points.reduce(0) { $0 + $1.y } / n)
    let spread = points.reduce(0) { $0 + ($1.x - mean.x) * ($1.x - mean.x) }
    return points.reduce(0) { $0 + ($1.x - mean.x) * ($1.y - mean.y) } / max(spread, 1e-9)
  }
}
