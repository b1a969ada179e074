import Foundation

/// What the kernel says of a process. Source: proc(5).
struct ProcessFigures: Sendable {
  var parent: pid_t
  var name: String
  /// Its own threads.
  var cpu_s: Double
  /// Of the children that it waited for, and of theirs.
  var ended_s: Double
  var resident_bytes: Int
  /// What it allocated: without the pages of files.
  var anonymous_bytes: Int
  /// The most that was resident since its start.
  var peak_bytes: Int
  var threads: Int

  /// Nil where the process is gone.
  static func read(_ pid: pid_t) -> ProcessFigures? {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let start = stat.firstIndex(of: "("), let end = stat.lastIndex(of: ")"),
      let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    else { return nil }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 15, let parent = pid_t(fields[1]) else { return nil }
    let times = fields[11...14].compactMap { Double($0) }
    guard times.count == 4 else { return nil }
    func number(_ name: String) -> Int {
      status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        .flatMap { $0.split(whereSeparator: \.isWhitespace).dropFirst().first }.flatMap { Int($0) } ?? 0
    }
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    return ProcessFigures(
      parent: parent, name: String(stat[stat.index(after: start)..<end]), cpu_s: (times[0] + times[1]) / ticks,
      ended_s: (times[2] + times[3]) / ticks, resident_bytes: number("VmRSS") * 1024,
      anonymous_bytes: number("RssAnon") * 1024, peak_bytes: number("VmHWM") * 1024, threads: number("Threads"))
  }

  /// How many files and sockets it has open.
  static func descriptors(of pid: pid_t) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
  }
}

/// All processes of a server at one instant: the three roles, the database, and what started them.
struct ServerReading: Sendable {
  var ingest: ProcessFigures
  var keeper: ProcessFigures
  var console: ProcessFigures
  /// The database's processes together; they come and go, and the first of them keeps the time of those that ended.
  var database_s = 0.0
  var database_bytes = 0
  /// Everything below the process that started the roles, and that one.
  var all_s = 0.0

  init(_ pids: BenchServer.Processes) throws {
    guard let ingest = ProcessFigures.read(pids.ingest), let keeper = ProcessFigures.read(pids.keeper),
      let console = ProcessFigures.read(pids.console)
    else { throw Complaint(description: "a role of the server ended") }
    (self.ingest, self.keeper, self.console) = (ingest, keeper, console)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    var known: [pid_t: ProcessFigures] = [:]
    for pid in names.compactMap({ pid_t($0) }) { known[pid] = ProcessFigures.read(pid) }
    func isBelow(_ pid: pid_t) -> Bool {
      var pid = pid
      while pid > 1, pid != ingest.parent { pid = known[pid]?.parent ?? 0 }
      return pid == ingest.parent
    }
    for (pid, figures) in known where isBelow(pid) {
      all_s += figures.cpu_s + figures.ended_s
      guard figures.name.hasPrefix("postgres") else { continue }
      database_s += figures.cpu_s + figures.ended_s
      database_bytes += figures.anonymous_bytes
    }
    guard database_bytes > 0 else { throw Complaint(description: "the database's processes are not found") }
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
