import Foundation
import Logging

/// Runs one role until it is told to end: by SIGTERM, SIGINT, or the end of its supervisor.
enum RoleRunner {
  /// What is in hand gets this long to be finished.
  static let grace_s = 5.0

  static func logger(_ role: String) -> Logger {
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = ProcessInfo.processInfo.environment["PLASTRON_LOG"] == "debug" ? .debug : .info
      return handler
    }
    return Logger(label: role)
  }

  /// - Parameter supervised: standard input is a pipe that its supervisor holds; its end ends the role.
  static func run(supervised: Bool, logger: Logger, _ body: @escaping @Sendable () async throws -> Void) async throws {
    // A peer that goes away while it is written to is an error, not a signal.
    signal(SIGPIPE, SIG_IGN)
    // A file that may not grow is an error of that file.
    signal(SIGXFSZ, SIG_IGN)
    // Keys are in memory: no core dump of any role.
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    ProcessMemory.lock(logger: logger)
    ProcessMemory.keepFreed()
    let ending = AsyncStream<Void>.makeStream()
    let sources = [SIGTERM, SIGINT].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { ending.continuation.yield() }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    if supervised {
      Thread.detachNewThread {
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) > 0 {}
        ending.continuation.yield()
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await body() }
      group.addTask {
        for await _ in ending.stream { break }
        DispatchQueue.global().asyncAfter(deadline: .now() + grace_s) { _exit(0) }
      }
      do { try await group.next() } catch {
        group.cancelAll()
        throw error
      }
      group.cancelAll()
    }
  }
}
