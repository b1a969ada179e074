import ArgumentParser
import Crypto
import Footage
import Foundation
import Relay
import TransportStream
import Vault

/// Prints ratios measured in this run. No test depends on them.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Mesures, en rapports (ratios).",
    subcommands: [
      IngestBench.self, FloorCommand.self, LoadCommand.self, FleetBench.self, SoakBench.self, FootageBench.self,
      FlushBench.self,
      DurabilityBench.self, JournalBench.self, RegisterBench.self,
    ])
}

/// What sealing and relaying cost beside the bare cryptography.
struct FootageBench: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "footage", abstract: "Scellement et relais.")
  @Option(help: "Clip .ts") var clip: String
  @Option var megabytes = 256

  func run() throws {
    let clip = [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip)))
    let laps = max(1, megabytes << 20 / clip.count)
    let total_gb = Double(laps * clip.count) / 1e9
    let key = SymmetricKey(size: .bits256)
    let floor = cpu {
      for _ in 0..<laps {
        _ = try? AES.GCM.seal(clip, using: key)
        _ = SHA256.hash(data: clip)
      }
    }
    let sealing = try cpu {
      var chain = ChainState(
        header: PartHeader(
          part: .init(repeating: 1, count: 16), recording: .init(repeating: 2, count: 16),
          incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_260_101,
          created_us: 0, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 0, count: 60),
          sealedFacts: []))
      var sealed: [UInt8] = []
      for _ in 0..<laps {
        for start in stride(from: 0, to: clip.count, by: 131_600) {
          sealed.removeAll(keepingCapacity: true)
          _ = try chain.seal(
            ChunkContent(
              kind: .media, epoch: 1, firstArrival_us: 0, lastArrival_us: 0,
              plaintext: Array(clip[start..<min(start + 131_600, clip.count)])), key: key, into: &sealed)
        }
      }
    }
    var relayed = 0
    let relaying = cpu {
      for _ in 0..<laps {
        var pipeline = LivePipeline(keepsSound: true)
        for start in stride(from: 0, to: clip.count, by: 1316) {
          relayed += pipeline.push(Array(clip[start..<min(start + 1316, clip.count)])).count
        }
      }
    }
    guard relayed > laps else { throw Complaint(description: "the relay put nothing out of this clip") }
    print("bytes: \(laps * clip.count)")
    print(String(format: "floor, one AES-256-GCM and one SHA-256: %.2f CPU s/GB", floor / total_gb))
    print(String(format: "sealed chunks: %.2f CPU s/GB, %.2f times the floor", sealing / total_gb, sealing / floor))
    print(
      String(format: "demultiplex and mux: %.2f CPU s/GB, %.2f times the floor", relaying / total_gb, relaying / floor))
  }

  private func cpu(_ body: () throws -> Void) rethrows -> Double {
    let before = clock()
    try body()
    return Double(clock() - before) / Double(CLOCKS_PER_SEC)
  }
}
