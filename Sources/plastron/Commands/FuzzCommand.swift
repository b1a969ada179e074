import ArgumentParser
import Foundation
import FragmentedMP4
import Ingest
import Relay
import TransportStream

/// Throws mutated input at the parsers of wire data for a bounded time. A crash is a failure; so is growth.
struct FuzzCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuzz", abstract: "Essais par mutation (bounded fuzzing).")
  @Option(help: "Dossier du corpus initial (seed corpus).") var corpus: String
  @Option(help: "Durée en secondes.") var seconds = 10.0
  @Option(help: "Graine ; affichée, pour rejouer.") var seed: UInt64?

  func run() throws {
    let seed = self.seed ?? UInt64.random(in: .min ... .max)
    print("seed: \(seed)")
    var random = SplitMix(state: seed)
    let names = try FileManager.default.contentsOfDirectory(atPath: corpus).sorted()
    let seeds = try names.map { name in
      (name, [UInt8](try Data(contentsOf: URL(fileURLWithPath: corpus + "/" + name))))
    }
    guard !seeds.isEmpty else { throw Complaint(description: "the corpus is empty: \(corpus)") }
    let end = Date().addingTimeInterval(seconds)
    var runs = 0
    var events = 0
    while Date() < end {
      let (name, bytes) = seeds[Int.random(in: 0..<seeds.count, using: &random)]
      let input = mutate(bytes, &random)
      if name.hasSuffix(".sid") {
        _ = try? StreamIdentifier(String(decoding: input, as: UTF8.self))
      } else {
        events += try demultiplex(input, &random)
      }
      runs += 1
    }
    print("runs: \(runs), events: \(events)")
  }

  /// The whole live path, cut at random places. Invariant: no output without an initialization before it.
  private func demultiplex(_ input: [UInt8], _ random: inout SplitMix) throws -> Int {
    var pipeline = LivePipeline(keepsSound: true)
    var started = false
    var count = 0
    var index = 0
    while index < input.count {
      let end = min(input.count, index + Int.random(in: 1...2000, using: &random))
      for output in pipeline.push(Array(input[index..<end])) {
        count += 1
        switch output {
        case .initialization: started = true
        case .fragment:
          guard started else { throw Complaint(description: "a fragment came before its initialization") }
        }
      }
      index = end
    }
    return count
  }

  private func mutate(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    var out = bytes
    for _ in 0..<Int.random(in: 0...8, using: &random) where !out.isEmpty {
      let at = Int.random(in: 0..<out.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0: out[at] = UInt8.random(in: .min ... .max, using: &random)
      case 1: out[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: out.removeSubrange(at..<min(out.count, at + Int.random(in: 1...400, using: &random)))
      case 3: out.insert(contentsOf: out[at..<min(out.count, at + 188)], at: at)
      case 4: for index in at..<min(out.count, at + 4) { out[index] = 0xFF }
      default: out = Array(out.prefix(at))
      }
    }
    return out
  }
}

/// A small generator that repeats itself for a seed.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
