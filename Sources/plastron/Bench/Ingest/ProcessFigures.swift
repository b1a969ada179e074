import Foundation

/// What the kernel says of a process. Source: proc(5).
struct ProcessFigures: Sendable {
  var cpu_s: Double
  var resident_bytes: Int
  var threads: Int
  var descriptors: Int

  /// Nil where the process is gone.
  static func read(_ pid: pid_t) -> ProcessFigures? {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let end = stat.lastIndex(of: ")"),
      let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    else { return nil }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 13, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
    func number(_ name: String) -> Int {
      status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        .flatMap { $0.split(whereSeparator: \.isWhitespace).dropFirst().first }.flatMap { Int($0) } ?? 0
    }
    let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    return ProcessFigures(
      cpu_s: (user + system) / Double(sysconf(Int32(_SC_CLK_TCK))), resident_bytes: number("VmRSS") * 1024,
      threads: number("Threads"), descriptors: open)
  }
}

/// System calls of a process in a while, where `perf` may count them here.
struct SystemCallCount {
  private let process = Process()
  private let output = Pipe()
  private let isRunning: Bool

  init(_ pids: [pid_t], seconds: Int) {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", pids.map(String.init).joined(separator: ","),
      "--",
      "sleep", "\(seconds)",
    ]
    process.standardError = output
    process.standardOutput = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    do {
      try process.run()
      isRunning = true
    } catch { isRunning = false }
  }

  /// Waits for its end; nil where they cannot be counted.
  func finish() -> Int? {
    guard isRunning else { return nil }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text.split(separator: "\n").first { $0.contains("sys_enter") }?.split(separator: ",").first.flatMap {
      Int($0)
    }
  }
}
