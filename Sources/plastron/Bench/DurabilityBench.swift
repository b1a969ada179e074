import ArgumentParser
import Crypto
import Footage
import Foundation
import Synchronization
import Vault

/// What it costs to make footage durable: the writer alone, in real time, with as many cameras as asked.
struct DurabilityBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "durability", abstract: "Coût de la durabilité : CPU et appels d'écriture par Go.")
  @Option(help: "Dossier sur le disque à mesurer (a folder on the disk)") var folder: String
  @Option(parsing: .upToNextOption, help: "Caméras de 2 Mbit/s") var cameras = [1, 50, 200]
  @Option(help: "Secondes par mesure") var seconds = 20

  /// Half a second of 2 Mbit/s.
  private static let chunk_bytes = 125_000

  func run() throws {
    // As the server does.
    ProcessMemory.keepFreed()
    print(
      "| cameras | GB | CPU s/GB | floor: one AES-256-GCM and one SHA-256, CPU s/GB | ratio | write calls/GB | lag, worst ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for count in cameras {
      let figures = try measure(count)
      let floor = floor()
      print(
        String(
          format: "| %d | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f |", count, figures.gigabytes, figures.cpu, floor,
          figures.cpu / floor, figures.writes, figures.lag_ms))
    }
  }

  private func floor() -> Double {
    let bytes = [UInt8](repeating: 7, count: Self.chunk_bytes)
    let key = SymmetricKey(size: .bits256)
    let laps = 1000
    let before = clock()
    for _ in 0..<laps {
      _ = try? AES.GCM.seal(bytes, using: key)
      _ = SHA256.hash(data: bytes)
    }
    return Double(clock() - before) / Double(CLOCKS_PER_SEC) / (Double(laps * Self.chunk_bytes) / 1e9)
  }

  private func measure(_ count: Int) throws -> (gigabytes: Double, cpu: Double, writes: Double, lag_ms: Double) {
    let place = folder + "/durability-bench-\(getpid())"
    try Directories.make(place)
    defer { try? FileManager.default.removeItem(atPath: place) }
    let durable = Mutex<(worst_us: Int64, chunks: Int)>((0, 0))
    let writer = FootageWriter(root: place) { outcome in
      guard case .committed(let chunks) = outcome else { return }
      let now = Self.now_us()
      durable.withLock { durable in
        for chunk in chunks where chunk.header.kind == .media {
          durable.worst_us = max(durable.worst_us, now - chunk.header.firstArrival_us)
          durable.chunks += 1
        }
      }
    }
    let parts = (0..<count).map { _ in UUID().uuidString.lowercased() }
    for part in parts {
      let header = PartHeader(
        part: UUIDText.binary(part) ?? [], recording: .init(repeating: 2, count: 16),
        incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_260_101,
        created_us: 0, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 0, count: 60),
        sealedFacts: [])
      writer.submit(
        .open(part: part, path: "2026/\(part).plm", header: header, key: SymmetricKey(size: .bits256), after: nil))
    }
    usleep(500_000)
    let media = [UInt8](repeating: 9, count: Self.chunk_bytes)
    let (cpu, calls) = (clock(), Self.writeCalls())
    // Each camera's chunks end at an instant of its own, as they do.
    let turns = seconds * 2
    for turn in 0..<turns {
      let began = DispatchTime.now().uptimeNanoseconds
      for (index, part) in parts.enumerated() {
        let due = UInt64(index) * 500_000_000 / UInt64(count)
        let passed = DispatchTime.now().uptimeNanoseconds - began
        if due > passed + 1_000_000 { usleep(UInt32((due - passed) / 1000)) }
        // Its first packet came half a second ago.
        let arrival = Self.now_us() - 500_000
        writer.submit(
          .append(
            part: part,
            ChunkContent(
              kind: .media, epoch: 1, firstSequence: UInt64(turn), firstArrival_us: arrival, lastArrival_us: arrival,
              plaintext: media)))
      }
      let passed = DispatchTime.now().uptimeNanoseconds - began
      if passed < 500_000_000 { usleep(UInt32((500_000_000 - passed) / 1000)) }
    }
    writer.stop()
    // A chunk that no disk took costs nothing and is never late.
    let (worst_us, chunks) = durable.withLock { $0 }
    guard chunks == turns * count else {
      throw Complaint(description: "\(chunks) of \(turns * count) chunks became durable")
    }
    let gigabytes = Double(turns * count * Self.chunk_bytes) / 1e9
    return (
      gigabytes, Double(clock() - cpu) / Double(CLOCKS_PER_SEC) / gigabytes,
      Double(Self.writeCalls() - calls) / gigabytes, Double(worst_us) / 1000
    )
  }

  /// Write calls of this process so far: proc(5), io, `syscw`.
  private static func writeCalls() -> Int64 {
    let text = (try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("syscw:") }
    return line.flatMap { Int64($0.dropFirst(7)) } ?? 0
  }

  private static func now_us() -> Int64 { Int64(Date().timeIntervalSince1970 * 1e6) }
}
