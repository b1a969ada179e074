import ArgumentParser
import Doctrine
import Foundation
import Journal
import Keeper
import Logging
import Synchronization
import Vault

/// What an act waits for its entry, whether any is lost, and how long a verification takes.
struct JournalBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Attente d'un acte, pertes, vérification (waits, losses, verification).")
  @Option(help: "Dossier, effacé au début (wiped at the start)") var folder: String
  @Option(help: "Entrées à vérifier") var entries = 100_000

  func run() async throws {
    let path = URL(fileURLWithPath: folder).standardizedFileURL.path
    try? FileManager.default.removeItem(atPath: path)
    let file = try JournalFile(folder: path + "/journal", origin: "plastron/bench", signingKeyPath: path + "/key")
    let scribe = Scribe(file: file, clock: SystemClocks.wall, logger: Logger(label: "bench"))
    print("disk: one flush of a growing file, alone: \(Self.milliseconds(try flushes(path))) ms in the median")
    for (rate, seconds) in [(200, 10), (2000, 5)] {
      let before = file.mark.size
      let waits = try await act(scribe, perSecond: rate, seconds: seconds)
      // An act whose wait is over has its entry.
      let lost = Int64(waits.count) - Int64(file.mark.size - before)
      print(
        "acts: \(rate) a second for \(seconds) s: \(waits.count) waited \(Self.milliseconds(waits)) ms in the median, \(Self.milliseconds(waits, 0.99)) ms at the 99th percentile, \(Self.milliseconds(waits, 1)) ms at most; lost \(lost)"
      )
      guard lost == 0 else { throw ExitCode(1) }
    }
    while file.mark.size < UInt64(entries) {
      _ = try await act(scribe, perSecond: 1_000_000, seconds: 0, count: min(8000, entries - Int(file.mark.size)))
    }
    let size = file.mark.size
    file.stop()
    let text = try String(contentsOfFile: path + "/journal/public-key", encoding: .utf8)
    guard let key = VerifierKey(text.trimmingCharacters(in: .newlines)) else { throw ExitCode(1) }
    let began = ContinuousClock.now
    let report = try JournalVerifier.verify(JournalFolder(path: path + "/journal"), trusting: key)
    let took = ContinuousClock.now - began
    print("verification: \(report.entries) of \(size) entries in \(took), holds: \(report.holds)")
    guard report.holds, report.entries == size else { throw ExitCode(1) }
  }

  /// Writes entries at a rate; how long each waited, in seconds.
  private func act(_ scribe: Scribe, perSecond rate: Int, seconds: Int, count: Int? = nil) async throws -> [Double] {
    let waits = Waits()
    let total = count ?? rate * seconds
    let began = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<total {
        try await Task.sleep(until: began.advanced(by: .seconds(Double(number) / Double(rate))), clock: .continuous)
        group.addTask {
          let start = ContinuousClock.now
          try await scribe.write(
            .consultation, "viewing.joined", author: "account-\(number % 30)",
            service: ServiceID("service-\(number % 5)"),
            [
              "recording": .string("recording-\(number)"), "camera": .string("CAM-\(number % 50)"),
              "matricule": .string("M-12345"), "rank": .string("brigadier-chef"), "reason": .string("live:agents"),
            ])
          let waited = (ContinuousClock.now - start) / .seconds(1)
          waits.list.withLock { $0.append(waited) }
        }
      }
      try await group.waitForAll()
    }
    return waits.list.withLock { $0.sorted() }
  }

  private func flushes(_ path: String) throws -> [Double] {
    var file = try DurableFile.append(path + "/floor")
    return try (0..<200).map { _ in
      let start = ContinuousClock.now
      try file.append([UInt8](repeating: 7, count: 400))
      try file.flush()
      return (ContinuousClock.now - start) / .seconds(1)
    }.sorted()
  }

  private static func milliseconds(_ sorted: [Double], _ quantile: Double = 0.5) -> String {
    guard !sorted.isEmpty else { return "-" }
    return String(format: "%.2f", 1000 * sorted[min(sorted.count - 1, Int(Double(sorted.count) * quantile))])
  }
}

/// What each act waited, in seconds.
private final class Waits: Sendable {
  let list = Mutex<[Double]>([])
}
