import Foundation
import Logging
import Postgres
import Registry
import Synchronization
import Vault

/// Runs the three roles on one machine, each a process of its own, and starts anew whichever ends.
///
/// A role holds the reading end of a pipe of which the supervisor has the other: if the supervisor is killed, they end too.
final class Supervisor: Sendable {
  /// A role that ends at once is started again after growing pauses, up to this one.
  static let longestPause_s = 5.0

  private let settings: Settings
  private let configurationFile: String?
  private let logger: Logger
  private let stopping = Atomic<Bool>(false)
  private let children = Mutex<[String: pid_t]>([:])

  init(_ settings: Settings, configurationFile: String?, logger: Logger) {
    self.settings = settings
    self.configurationFile = configurationFile
    self.logger = logger
  }

  func run() async throws {
    try Directories.make(settings.dataFolder, mode: 0o755)
    // Before anything else: a second server here would end the first one's database and write into its journal.
    let lock = try FolderLock(path: settings.dataFolder + "/serve.lock")
    defer { withExtendedLifetime(lock) {} }
    try Setup.prepare(settings)
    var database: EmbeddedPostgres?
    defer { database?.stop() }
    var url = settings.databaseURL
    if url == nil {
      let embedded = EmbeddedPostgres(settings, logger: logger)
      database = embedded
      try await embedded.start()
      let owner = Pool(conninfo: try EmbeddedPostgres.conninfo(settings, "plastron_owner"), connections: 1)
      let applied = try await Migrator(pool: owner, folder: settings.migrationsFolder).run()
      owner.close()
      if !applied.isEmpty { logger.notice("migrations applied", metadata: ["count": "\(applied.count)"]) }
      url = try EmbeddedPostgres.conninfo(settings, "plastron_server")
    }
    let secret = url ?? ""
    let keeping = database.map { database in Task { await database.keep() } }
    defer { keeping?.cancel() }
    await withTaskGroup(of: Void.self) { group in
      for role in ["keeper", "ingest", "console"] + (settings.objects == nil ? [] : ["archive"]) {
        group.addTask { await self.keep(role, databaseURL: role == "keeper" ? secret : nil) }
      }
      // Ends when this task is cancelled.
      while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
      stopping.store(true, ordering: .releasing)
      for pid in children.withLock({ Array($0.values) }) { kill(pid, SIGTERM) }
      group.cancelAll()
    }
  }

  private func keep(_ role: String, databaseURL: String?) async {
    var pause_s = 0.1
    while !stopping.load(ordering: .acquiring) {
      let began = Date()
      await runOnce(role, databaseURL: databaseURL)
      if stopping.load(ordering: .acquiring) { return }
      pause_s = Date().timeIntervalSince(began) > 10 ? 0.1 : min(pause_s * 2, Self.longestPause_s)
      logger.warning("a role ended and is started anew", metadata: ["role": "\(role)"])
      try? await Task.sleep(for: .milliseconds(Int64(pause_s * 1000)))
    }
  }

  private func runOnce(_ role: String, databaseURL: String?) async {
    let process = Process()
    process.executableURL = Settings.executable
    process.arguments = [role, "--supervised"] + (configurationFile.map { ["--config", $0] } ?? [])
    // Only the keeper gets the database: the other roles' environment does not have it.
    var environment = ProcessInfo.processInfo.environment
    environment["PLASTRON_DATABASE_URL"] = databaseURL
    process.environment = environment
    let lifeline = Pipe()
    process.standardInput = lifeline
    await withCheckedContinuation { continuation in
      process.terminationHandler = { _ in continuation.resume() }
      do {
        try process.run()
        let pid = process.processIdentifier
        children.withLock { $0[role] = pid }
        try? Directories.replace(settings.runFolder + "/\(role).pid", with: Array("\(pid)\n".utf8))
      } catch {
        logger.critical("a role cannot be started", metadata: ["role": "\(role)", "error": "\(error)"])
        continuation.resume()
      }
    }
    children.withLock { $0[role] = nil }
    try? lifeline.fileHandleForWriting.close()
  }
}
