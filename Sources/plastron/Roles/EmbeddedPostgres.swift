import Foundation
import Identity
import Logging
import Postgres
import Registry
import Synchronization
import Vault

/// A private PostgreSQL in the data folder, reachable only through a Unix socket there.
///
/// The default wherever no database is configured. PostgreSQL refuses to run as root: started by root it runs as
/// the `postgres` user, who must be able to enter the data folder.
final class EmbeddedPostgres: Sendable {
  struct Failure: Error, CustomStringConvertible { var description: String }

  private let folder: String
  private let socketFolder: String
  private let keysFolder: String
  private let logger: Logger
  private let server = Mutex<Process?>(nil)

  init(_ settings: Settings, logger: Logger) {
    folder = settings.dataFolder + "/postgres/data"
    socketFolder = settings.dataFolder + "/postgres/socket"
    keysFolder = settings.keysFolder
    self.logger = logger
  }

  /// Connection string for a role, with its password: a secret.
  static func conninfo(_ settings: Settings, _ role: String) throws -> String {
    let password = String(
      decoding: try Directories.read(settings.keysFolder + "/postgres-\(role)", limit: 256), as: UTF8.self)
    return
      "host=\(settings.dataFolder)/postgres/socket dbname=plastron user=\(role) password=\(password) connect_timeout=5"
  }

  /// Starts it (making it first, where there is none) and waits until it answers.
  func start() async throws {
    let programs = try Self.programs()
    let isNew = !FileManager.default.fileExists(atPath: folder + "/PG_VERSION")
    if isNew { try make(programs) }
    try serve(programs)
    try await waitUntilReady(programs)
    try await makeRoles(andDatabase: isNew)
  }

  /// Starts it anew whenever it ends, until the task is cancelled.
  func keep() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(250))
      guard !Task.isCancelled, server.withLock({ $0?.isRunning }) == false else { continue }
      logger.critical("the embedded PostgreSQL ended and is started anew")
      do { try serve(try Self.programs()) } catch {
        logger.critical("the embedded PostgreSQL cannot be started", metadata: ["error": "\(error)"])
        try? await Task.sleep(for: .seconds(2))
      }
    }
  }

  func stop() {
    guard let server = server.withLock({ $0 }), server.isRunning else { return }
    kill(server.processIdentifier, SIGINT)  // fast shutdown
    server.waitUntilExit()
  }

  private static func programs() throws -> String {
    let root = "/usr/lib/postgresql"
    let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    let newest = versions.compactMap(Int.init).sorted().last
    guard let newest else { throw Failure(description: "PostgreSQL is not installed: apt-get install postgresql") }
    return "\(root)/\(newest)/bin"
  }

  private func make(_ programs: String) throws {
    try Directories.make(Directories.parent(of: folder), mode: 0o711)
    try Directories.make(folder, mode: 0o700)
    try Directories.make(socketFolder, mode: 0o750)
    try Directories.replace(keysFolder + "/postgres-postgres", with: Array(Tokens.make().utf8), mode: 0o600)
    if geteuid() == 0 {
      guard let user = getpwnam("postgres") else { throw Failure(description: "there is no user postgres") }
      for path in [folder, socketFolder] { _ = chown(path, user.pointee.pw_uid, user.pointee.pw_gid) }
      // Root's own processes reach the socket; nobody else does.
      _ = chmod(socketFolder, 0o700)
    }
    // The password goes through a file that is gone again before the server starts.
    let passwordFile = Directories.parent(of: folder) + "/initial"
    try Directories.replace(
      passwordFile, with: try Directories.read(keysFolder + "/postgres-postgres", limit: 256), mode: 0o600)
    defer { try? Directories.remove(passwordFile) }
    if geteuid() == 0, let user = getpwnam("postgres") {
      _ = chown(passwordFile, user.pointee.pw_uid, user.pointee.pw_gid)
    }
    let initdb = process(
      programs + "/initdb",
      [
        "-D", folder, "-U", "postgres", "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8",
        "--locale", "C.UTF-8", "--no-instructions",
      ])
    let output = Pipe()
    initdb.standardOutput = FileHandle.nullDevice
    initdb.standardError = output
    try initdb.run()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    initdb.waitUntilExit()
    guard initdb.terminationStatus == 0 else {
      throw Failure(description: "initdb in \(folder) failed (can the postgres user enter it?): \(said)")
    }
  }

  private func serve(_ programs: String) throws {
    if let pid = runningPostmaster() {
      // Left by a supervisor that was killed: end it, so that this one has a child of its own.
      kill(pid, SIGINT)
      for _ in 0..<100 where kill(pid, 0) == 0 { usleep(100_000) }
    }
    let server = process(
      programs + "/postgres",
      [
        "-D", folder, "-k", socketFolder, "-c", "listen_addresses=", "-c", "max_connections=40",
        "-c", "shared_buffers=64MB", "-c", "log_min_messages=fatal",
      ])
    server.standardInput = FileHandle.nullDevice
    server.standardOutput = FileHandle.nullDevice
    try server.run()
    self.server.withLock { $0 = server }
  }

  private func runningPostmaster() -> pid_t? {
    guard let text = try? String(contentsOfFile: folder + "/postmaster.pid", encoding: .utf8),
      let first = text.split(separator: "\n").first, let pid = pid_t(first), pid > 1, kill(pid, 0) == 0,
      // The number may belong to somebody else by now.
      let command = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline").map({
        String(decoding: $0, as: UTF8.self)
      }),
      command.contains("postgres"), command.contains(folder)
    else { return nil }
    return pid
  }

  private func superuser() throws -> String {
    let password = String(decoding: try Directories.read(keysFolder + "/postgres-postgres", limit: 256), as: UTF8.self)
    return "host=\(socketFolder) dbname=postgres user=postgres password=\(password) connect_timeout=2"
  }

  /// Starts of a server that ends at once: the one before may be dead and not yet reaped, and keep its lock.
  private static let starts = 20

  private func waitUntilReady(_ programs: String) async throws {
    let conninfo = try superuser()
    var starts = 1
    for _ in 0..<150 {
      let pool = Pool(conninfo: conninfo, connections: 1)
      defer { pool.close() }
      if await pool.answers() { return }
      if !server.withLock({ $0?.isRunning ?? false }) {
        guard starts < Self.starts else { break }
        starts += 1
        try await Task.sleep(for: .milliseconds(500))
        try serve(programs)
      }
      try await Task.sleep(for: .milliseconds(200))
    }
    throw Failure(description: "the embedded PostgreSQL in \(folder) does not answer")
  }

  /// Makes the roles that are not there yet: all at first, and those that a newer version brings.
  private func makeRoles(andDatabase isNew: Bool) async throws {
    let missing = RoleStatements.roles.filter {
      !FileManager.default.fileExists(atPath: keysFolder + "/postgres-\($0)")
    }
    guard isNew || !missing.isEmpty else { return }
    let pool = Pool(conninfo: try superuser(), connections: 1)
    defer { pool.close() }
    // A new cluster beside keys that were put back: the roles are made with the passwords that are there.
    for role in isNew ? RoleStatements.roles : missing {
      let known = try? Directories.read(keysFolder + "/postgres-\(role)", limit: 256)
      let password = known.map { String(decoding: $0, as: UTF8.self) } ?? Tokens.make()
      try await pool.run { try $0.script(RoleStatements.make(role, password: password)) }
      try Directories.replace(keysFolder + "/postgres-\(role)", with: Array(password.utf8), mode: 0o600)
    }
    if isNew { try await pool.run { try $0.script(RoleStatements.database) } }
  }

  /// A process that runs as the user PostgreSQL accepts.
  private func process(_ program: String, _ arguments: [String]) -> Process {
    let process = Process()
    if geteuid() == 0 {
      process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
      process.arguments = ["--reuid=postgres", "--regid=postgres", "--init-groups", "--", program] + arguments
    } else {
      process.executableURL = URL(fileURLWithPath: program)
      process.arguments = arguments
    }
    process.currentDirectoryURL = URL(fileURLWithPath: "/")
    process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
    return process
  }
}
