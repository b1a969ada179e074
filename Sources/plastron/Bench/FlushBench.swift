import ArgumentParser
import CUring
import Foundation
import Synchronization
import Vault

/// What one flush of many growing files costs, by each way the kernel has, on the disk that a folder lies on.
struct FlushBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flush", abstract: "Vidages groupés : fdatasync, syncfs, sync_file_range, io_uring.")
  @Option(help: "Dossier sur le disque à mesurer (a folder on the disk)") var folder: String
  @Option(parsing: .upToNextOption, help: "Caméras (files that grow together)") var cameras = [1, 50, 200]
  @Option(help: "Vidages mesurés (rounds)") var rounds = 25
  /// What a camera of 2 Mbit/s sends in one interval of the group commit.
  @Option(help: "Octets par fichier et vidage (bytes a file and flush)") var bytes = 50_000

  enum Way: String, CaseIterable {
    case each = "fdatasync, one after another"
    case threads = "fdatasync, 8 threads"
    case range = "sync_file_range, then fdatasync"
    case ring = "io_uring, one fdatasync a file"
    case whole = "syncfs"
  }

  func run() throws {
    print("| cameras | way | ms a flush, median | worst | system calls a flush | CPU ms a flush |")
    print("|---|---|---|---|---|---|")
    for count in cameras {
      for way in Way.allCases {
        let figures = try measure(way, count)
        print(
          String(
            format: "| %d | %@ | %.1f | %.1f | %d | %.2f |", count, way.rawValue, figures.median_ms, figures.worst_ms,
            figures.calls, figures.cpu_ms))
      }
    }
  }

  private func measure(_ way: Way, _ count: Int) throws -> (
    median_ms: Double, worst_ms: Double, calls: Int, cpu_ms: Double
  ) {
    let place = folder + "/flush-bench-\(getpid())"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: place) }
    let files = (0..<count).map { open("\(place)/\($0)", O_WRONLY | O_CREAT | O_APPEND, 0o600) }
    defer { for file in files { close(file) } }
    guard files.allSatisfy({ $0 >= 0 }) else { throw Complaint(description: "cannot make files in \(place)") }
    var ring = plastron_uring()
    if way == .ring {
      let error = plastron_uring_open(&ring, UInt32(max(2, count)))
      guard error == 0 else { throw Complaint(description: "no io_uring here: \(String(cString: strerror(error)))") }
    }
    defer { if way == .ring { plastron_uring_close(&ring) } }
    var piece = [UInt8](repeating: 0, count: bytes)
    var times: [Double] = []
    let cpu = clock()
    for round in 0..<rounds {
      piece[0] = UInt8(truncatingIfNeeded: round)
      for file in files where write(file, piece, piece.count) != piece.count {
        throw Complaint(description: "a disk took less than it was given: \(String(cString: strerror(errno)))")
      }
      let start = DispatchTime.now().uptimeNanoseconds
      try flush(way, files, &ring)
      times.append(Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6)
    }
    let spent_ms = Double(clock() - cpu) / Double(CLOCKS_PER_SEC) * 1000 / Double(rounds)
    times.sort()
    let calls =
      switch way {
      case .each, .threads: count
      case .range: 2 * count
      case .ring, .whole: 1
      }
    return (times[times.count / 2], times[times.count - 1], calls, spent_ms)
  }

  private func flush(_ way: Way, _ files: [Int32], _ ring: inout plastron_uring) throws {
    var failed = false
    switch way {
    case .each:
      for file in files where fdatasync(file) != 0 { failed = true }
    case .threads:
      let width = (files.count + 7) / 8
      let failures = Atomic<Int>(0)
      DispatchQueue.concurrentPerform(iterations: 8) { lane in
        for file in files.dropFirst(lane * width).prefix(width) where fdatasync(file) != 0 {
          failures.add(1, ordering: .relaxed)
        }
      }
      failed = failures.load(ordering: .relaxed) > 0
    case .range:
      for file in files { failed = !Flushing.begin(file) || failed }
      for file in files where fdatasync(file) != 0 { failed = true }
    case .ring:
      failed = plastron_uring_fdatasync(&ring, files, UInt32(files.count)) != 0
    case .whole:
      failed = !Flushing.fileSystem(files[0])
    }
    guard !failed else { throw Complaint(description: "a flush failed: \(String(cString: strerror(errno)))") }
  }
}
