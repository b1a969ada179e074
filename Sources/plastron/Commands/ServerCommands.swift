import ArgumentParser
import Foundation
import ObjectStore
import Postgres
import Registry

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lance les trois processus (runs keeper, ingest and console).")
  @OptionGroup var options: ConfigurationOption

  @Flag(help: .hidden) var supervised = false

  func run() async throws {
    let logger = RoleRunner.logger("plastron")
    let settings = try await options.settings()
    let file = options.config
    try await RoleRunner.run(supervised: supervised, logger: logger) {
      try await Supervisor(settings, configurationFile: file, logger: logger).run()
    }
  }
}

struct KeeperCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keeper", abstract: "Décide, journalise, garde les clés (decides, journals, holds the keys).")
  @OptionGroup var options: ConfigurationOption
  @Flag(help: .hidden) var supervised = false

  func run() async throws {
    let logger = RoleRunner.logger("keeper")
    let settings = try await options.settings()
    try await RoleRunner.run(supervised: supervised, logger: logger) {
      try await KeeperRole.run(settings, logger: logger)
    }
  }
}

struct IngestCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingest", abstract: "Reçoit et enregistre les caméras (receives and records).")
  @OptionGroup var options: ConfigurationOption
  @Flag(help: .hidden) var supervised = false

  func run() async throws {
    let logger = RoleRunner.logger("ingest")
    let settings = try await options.settings()
    try await RoleRunner.run(supervised: supervised, logger: logger) {
      try await IngestRole.run(settings, logger: logger)
    }
  }
}

struct ArchiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive",
    abstract: "Déplace les enregistrements clos vers le stockage objet (moves closed recordings to the object store).")
  @OptionGroup var options: ConfigurationOption
  @Flag(help: "Dit si le stockage convient, et finit (says whether the store can be used, and ends).") var check = false
  @Flag(help: .hidden) var supervised = false

  func run() async throws {
    let logger = RoleRunner.logger("archive")
    let settings = try await options.settings()
    if check {
      let store = try ArchiveRole.store(settings)
      defer { store.stop() }
      do throws(ObjectStoreError) { try store.checkBucket() } catch { throw Complaint(description: error.description) }
      print("\(store.location.origin)/\(store.location.bucket): usable")
      return
    }
    try await RoleRunner.run(supervised: supervised, logger: logger) {
      try await ArchiveRole.run(settings, logger: logger)
    }
  }
}

struct ConsoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "console", abstract: "Sert le mur, l'API et le direct (wall, API, live relay).")
  @OptionGroup var options: ConfigurationOption
  @Flag(help: .hidden) var supervised = false

  func run() async throws {
    let logger = RoleRunner.logger("console")
    let settings = try await options.settings()
    try await RoleRunner.run(supervised: supervised, logger: logger) {
      try await ConsoleRole.run(settings, logger: logger)
    }
  }
}

struct Migrate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Applique les migrations sous le rôle propriétaire (PLASTRON_DATABASE_URL).")
  @OptionGroup var options: ConfigurationOption

  func run() async throws {
    let settings = try await options.settings()
    guard let url = settings.databaseURL else {
      throw Complaint(
        description: "PLASTRON_DATABASE_URL is not set; `plastron serve` migrates its embedded database itself")
    }
    let pool = Pool(conninfo: url, connections: 1)
    defer { pool.close() }
    let applied = try await Migrator(pool: pool, folder: settings.migrationsFolder).run()
    print(applied.isEmpty ? "schema is at version \(Migrator.version)" : "applied: \(applied)")
  }
}

struct Prepare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Crée clés et certificat d'un nouveau dossier de données (makes keys and certificate).")
  @OptionGroup var options: ConfigurationOption

  func run() async throws {
    let settings = try await options.settings()
    try Setup.prepare(settings)
    print("prepared \(settings.dataFolder)")
  }
}
