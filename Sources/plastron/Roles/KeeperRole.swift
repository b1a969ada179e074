import AsyncHTTPClient
import Crypto
import Doctrine
import Foundation
import Journal
import Keeper
import Logging
import Postgres
import Registry
import Retention
import Seams
import ServiceLifecycle
import Vault

extension Register: KeeperStore {}

/// Puts the keeper together: register, keys, journal, sockets.
enum KeeperRole {
  static let databaseConnections = 4
  /// A database that does not answer for this long is away.
  static let databasePatience_ms: Int32 = 4000

  static func run(_ settings: Settings, logger: Logger) async throws {
    guard let url = settings.databaseURL else {
      throw Settings.Invalid(
        description: "the keeper needs PLASTRON_DATABASE_URL; `plastron serve` gives it the embedded database")
    }
    // A folder a caller: who may enter it may call. The units give each its own group.
    for socket in [
      settings.keeperForIngest, settings.keeperForConsole, settings.keeperForArchive, settings.keeperForAdministrator,
    ] {
      try Directories.make(Directories.parent(of: socket), mode: 0o750)
    }
    try Directories.make(Directories.parent(of: settings.keeperMemoryPath), mode: 0o700)
    let node = try Setup.nodeID(settings)
    let pool = Pool(conninfo: url, connections: databaseConnections, patience_ms: databasePatience_ms)
    let register = Register(pool: pool, node: node)
    let file = try JournalFile(
      folder: settings.journalFolder, origin: settings.journalOrigin, signingKeyPath: settings.journalKeyPath)
    let scribe = Scribe(file: file, clock: SystemClocks.wall, logger: logger)
    let openStore: @Sendable () async throws -> UInt64 = {
      try await register.checkVersion()
      try await register.enterNode(name: settings.nodeName, at: SystemClocks.wall())
      let indexed = try await register.journalIndexSize()
      guard indexed <= file.mark.size else {
        throw VaultError(
          "journal", settings.journalFolder,
          "holds \(file.mark.size) entries, but the database knows \(indexed): restore the journal's newest files before starting"
        )
      }
      return indexed
    }
    let assumed: @Sendable () -> Bool = { true }
    let synchronised = settings.clockAssumed ? assumed : SystemClocks.isSynchronised
    let keeper = Keeper(
      settings: .init(
        node: node, nodeName: settings.nodeName, footageRoot: settings.footageFolder,
        secondFactorRequired: settings.secondFactorRequired,
        clockIsSynchronised: synchronised, memoryPath: settings.keeperMemoryPath,
        moveAfter_days: settings.objects == nil ? nil : settings.objectsAfter_days, openStore: openStore),
      store: register,
      keys: try KeyRing(
        masterKeyPath: settings.masterKeyPath, folder: settings.dayKeysFolder, copy: settings.keysCopyFolder,
        backup: settings.keysBackupFolder),
      scribe: scribe, calendar: try .france(),
      clock: SystemClocks.wall, monotonic: SystemClocks.monotonic, logger: logger)
    try await start(keeper, openStore, logger) { try await scribe.bringIndexUp(register) }
    let ingest = SeamServer<IngestCall, IngestReply, IngestDirective>(
      socketPath: settings.keeperForIngest, logger: logger,
      answer: { call, _ in try await keeper.answer(call) }, notices: { await keeper.ingestNotices() })
    let console = SeamServer<ConsoleCall, ConsoleReply, ConsoleNotice>(
      socketPath: settings.keeperForConsole, logger: logger,
      answer: { call, _ in try await keeper.answer(call) }, notices: { await keeper.consoleNotices() })
    let archive = SeamServer<ArchiveCall, ArchiveReply, ArchiveNotice>(
      socketPath: settings.keeperForArchive, logger: logger, answer: { call, _ in try await keeper.answer(call) },
      notices: { AsyncStream { $0.finish() } })
    let administrator = SeamServer<AdminRequest, AdminReply, AdminNotice>(
      socketPath: settings.keeperForAdministrator, permissions: 0o600, logger: logger,
      answer: { try await keeper.answer($0, by: $1.name) }, notices: { AsyncStream { $0.finish() } })
    defer {
      file.stop()
      pool.close()
    }
    logger.notice("keeper ready", metadata: ["journal": "\(file.mark.size)"])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await keeper.run() }
      group.addTask { try await ingest.run() }
      group.addTask { try await console.run() }
      if settings.objects != nil { group.addTask { try await archive.run() } }
      group.addTask { try await administrator.run() }
      if let folder = settings.publishFolder {
        let publisher = CheckpointPublisher(journal: file.folder, target: folder, logger: logger)
        group.addTask { try await publisher.run() }
      }
      try await group.next()
      group.cancelAll()
    }
  }

  /// From the database; from memory where it is away; waiting for it where there is no memory. Another version of the schema
  /// is final.
  private static func start(
    _ keeper: Keeper, _ openStore: () async throws -> UInt64, _ logger: Logger, bringIndexUp: () async throws -> Void
  ) async throws {
    while true {
      do {
        // The register first, its index of the journal after it: a stop in between begins again where it was.
        try await keeper.load(indexed: try await openStore())
        try await bringIndexUp()
        return
      } catch let error as DatabaseError where error.code == .connectionLost {
        if try await keeper.recall() { return }
        logger.warning("waiting for the database", metadata: ["error": "\(error.message)"])
        try await Task.sleep(for: .seconds(1))
      }
    }
  }
}
