import ArgumentParser
import Foundation

@main
struct Plastron: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plastron",
    abstract: "Serveur de caméras individuelles : réception, conservation, direct, registre.",
    discussion: "The server side of body-worn cameras. `plastron serve` runs everything on one machine.",
    version: "0.1.0",
    subcommands: [
      Serve.self, KeeperCommand.self, IngestCommand.self, ConsoleCommand.self, ArchiveCommand.self, Migrate.self,
      Prepare.self,
      Administer.self, AccreditCommand.self, APICommand.self, RetentionCommand.self, RightsCommand.self,
      JournalCommand.self, KeysCommand.self, RegisterCommand.self, Refusals.self, CamerasCommand.self,
      IncidentCommand.self,
      FootageCommand.self, ErasureCommand.self,
      CameraCommand.self, DemoCommand.self, HostileCommand.self, BenchCommand.self,
    ])
}

/// Where the configuration is.
struct ConfigurationOption: ParsableArguments {
  @Option(help: "Fichier de configuration YAML (configuration file).")
  var config: String?

  func settings() async throws -> Settings {
    let fallback = "/etc/plastron/plastron.yaml"
    return try await Settings.load(
      file: config ?? (FileManager.default.fileExists(atPath: fallback) ? fallback : nil))
  }
}

/// Says what went wrong in one line and ends with 1; never a stack of types.
struct Complaint: Error, CustomStringConvertible, LocalizedError {
  var description: String
  var errorDescription: String? { description }
}
