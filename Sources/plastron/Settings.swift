import CommandRoom
import Configuration
import Foundation
import Identity
import Ingest
import ObjectStore
import SRT
import SystemPackage

/// The configuration, parsed once into values that are valid.
///
/// Sources, the first that has a value wins: the environment (`PLASTRON_INGEST_PORT`), then the YAML file.
/// The database's URL is a secret and comes from the environment or a credential file, never from an argument.
struct Settings: Sendable {
  struct Invalid: Error, CustomStringConvertible { var description: String }

  var dataFolder: String
  var runFolder: String
  var nodeName: String
  var ingestHost: String
  var ingestPort: UInt16
  /// More addresses that cameras call, besides the first.
  var ingestAlso: [ListenAddress]
  /// Threads that own cameras: one a core, if nothing else is said.
  var ingestThreads: Int
  /// Packets that a camera in complete delivery may have under way.
  var ingestWindow_packets: Int
  var consoleHost: String
  var consolePort: Int
  var deviceHost: String
  var devicePort: Int
  var metricsHost: String
  /// 0: no metrics.
  var metricsPort: Int
  var certificatePath: String
  var certificateKeyPath: String
  var certificateNames: [String]
  var masterKeyPath: String
  /// Where day keys live a second time; best on another disk.
  var keysCopyFolder: String
  /// Where day keys are copied to every day, in place of the day before; nil: nowhere.
  var keysBackupFolder: String?
  var migrationsFolder: String
  var imagingProgram: String
  /// Secret. Nil: the embedded database.
  var databaseURL: String?
  /// Secret. The role that purges the journal's index, and does nothing else.
  var purgeDatabaseURL: String?
  /// A log-in by password asks for a second factor, and lets nobody in without one (ACC-8).
  var secondFactorRequired: Bool
  /// The clock is taken as true without a look at the system's own word for it (MET-3).
  var clockAssumed: Bool
  var oidcIssuer: String?
  var oidcClientID: String
  /// A file with the client's secret; nil: a public client.
  var oidcClientSecretPath: String?
  /// The console as people reach it, such as https://console.example.fr:8443.
  var oidcConsoleURL: String
  var oidcCAPath: String?
  /// Somebody has looked: the provider asks for a second factor itself.
  var oidcSecondFactorAtProvider: Bool
  /// Object store for closed recordings; nil: disks only.
  var objects: ObjectStoreLocation?
  /// Files with the store's credentials: of the archive, which writes, and of the console, which reads.
  var objectsCredentialsPath: String
  var objectsReadCredentialsPath: String
  var objectsCAPath: String?
  /// Days after which a closed recording is moved.
  var objectsAfter_days: Int
  /// Where checkpoints are copied to every minute; nil: nowhere.
  var publishFolder: String?
  /// A witness of the checkpoints (C2SP tlog-witness); nil: none.
  var witnessURL: String?

  var footageFolder: String { dataFolder + "/footage" }
  var journalFolder: String { dataFolder + "/journal" }
  var keysFolder: String { dataFolder + "/keys" }
  var dayKeysFolder: String { keysFolder + "/days" }
  var journalKeyPath: String { keysFolder + "/journal.key" }
  /// Name the journal's checkpoints are signed under; a signed note's name has neither blanks nor plus signs.
  var journalOrigin: String {
    "plastron/" + nodeName.map { $0.isWhitespace || $0 == "+" ? "-" : String($0) }.joined()
  }
  var nodePath: String { dataFolder + "/node" }
  var keeperMemoryPath: String { dataFolder + "/keeper/memory" }
  var keeperForIngest: String { runFolder + "/for-ingest/keeper.sock" }
  var keeperForConsole: String { runFolder + "/for-console/keeper.sock" }
  var keeperForArchive: String { runFolder + "/for-archive/keeper.sock" }
  var keeperForAdministrator: String { runFolder + "/for-administrator/keeper.sock" }
  var ingestForConsole: String { runFolder + "/live/ingest.sock" }

  static func load(file: String?) async throws -> Settings {
    var providers: [any ConfigProvider] = [EnvironmentVariablesProvider().prefixKeys(with: ["plastron"])]
    if let file {
      providers.append(try await FileProvider<YAMLSnapshot>(filePath: FilePath(file), allowMissing: false))
    }
    let config = ConfigReader(providers: providers)
    let data = config.string(forKey: "data.folder", default: "/var/lib/plastron")
    let beside = Self.executable.deletingLastPathComponent()
    let settings = Settings(
      dataFolder: data, runFolder: config.string(forKey: "run.folder", default: data + "/run"),
      nodeName: config.string(forKey: "node.name", default: ProcessInfo.processInfo.hostName),
      ingestHost: config.string(forKey: "ingest.host", default: "0.0.0.0"),
      ingestPort: try port(config, "ingest.port", 9710),
      ingestAlso: try addresses(config, "ingest.also"),
      ingestThreads: try number(
        config, "ingest.threads", in: 1...maximumThreads,
        default: min(ProcessInfo.processInfo.activeProcessorCount, maximumThreads)),
      ingestWindow_packets: try number(
        config, "ingest.window", in: SRTListener.flightWindows_packets,
        default: SRTListener.usualFlightWindow_packets),
      consoleHost: config.string(forKey: "console.host", default: "127.0.0.1"),
      consolePort: Int(try port(config, "console.port", 8443)),
      deviceHost: config.string(forKey: "device.host", default: "0.0.0.0"),
      devicePort: Int(try port(config, "device.port", 9443)),
      metricsHost: config.string(forKey: "metrics.host", default: "127.0.0.1"),
      metricsPort: Int(try port(config, "metrics.port", 9464)),
      certificatePath: config.string(forKey: "tls.certificate", default: data + "/tls/certificate.pem"),
      certificateKeyPath: config.string(forKey: "tls.key", default: data + "/tls/key.pem"),
      certificateNames: config.stringArray(forKey: "tls.names", default: ["localhost", "127.0.0.1"]),
      masterKeyPath: config.string(forKey: "keys.master", default: data + "/keys/master.key"),
      keysCopyFolder: config.string(forKey: "keys.copy", default: data + "/keys/days-copy"),
      keysBackupFolder: config.string(forKey: "keys.backup").flatMap { $0.isEmpty ? nil : $0 },
      migrationsFolder: config.string(forKey: "migrations.folder", default: Self.migrations(beside: beside)),
      imagingProgram: config.string(
        forKey: "imaging.program", default: beside.appendingPathComponent("plastron-imaging").path),
      databaseURL: config.string(forKey: "database.url", isSecret: true).flatMap { $0.isEmpty ? nil : $0 },
      purgeDatabaseURL: config.string(forKey: "purge.database.url", isSecret: true).flatMap { $0.isEmpty ? nil : $0 },
      secondFactorRequired: try choice(config, "login.secondFactor", ["required", "offered"]) == "required",
      clockAssumed: try choice(config, "clock.synchronised", ["required", "assumed"]) == "assumed",
      oidcIssuer: config.string(forKey: "oidc.issuer").flatMap { $0.isEmpty ? nil : $0 },
      oidcClientID: config.string(forKey: "oidc.client.id", default: "plastron"),
      oidcClientSecretPath: config.string(forKey: "oidc.client.secretFile"),
      oidcConsoleURL: config.string(
        forKey: "oidc.console", default: "https://localhost:\(try port(config, "console.port", 8443))"),
      oidcCAPath: config.string(forKey: "oidc.ca"),
      oidcSecondFactorAtProvider: config.string(forKey: "oidc.secondFactor") == "provider",
      objects: try objects(config),
      objectsCredentialsPath: config.string(forKey: "objects.credentials", default: data + "/keys/objects"),
      objectsReadCredentialsPath: config.string(
        forKey: "objects.readCredentials",
        default: config.string(forKey: "objects.credentials", default: data + "/keys/objects")),
      objectsCAPath: config.string(forKey: "objects.ca"),
      objectsAfter_days: config.int(forKey: "objects.afterDays", default: 7),
      publishFolder: config.string(forKey: "journal.publish"),
      witnessURL: config.string(forKey: "journal.witness").flatMap { $0.isEmpty ? nil : $0 })
    guard data.hasPrefix("/") else { throw Invalid(description: "data.folder: \(data) is not an absolute path") }
    guard settings.keeperForAdministrator.utf8.count < 104, settings.keeperForConsole.utf8.count < 104 else {
      throw Invalid(
        description: "run.folder is too long for a Unix socket: \(settings.runFolder.utf8.count) bytes, at most 76")
    }
    return settings
  }

  /// The other way in, where one is configured.
  func provider() throws -> ProviderSettings? {
    guard let issuer = oidcIssuer else { return nil }
    guard ProviderMetadata.isSafe(issuer) else { throw Invalid(description: "oidc.issuer: \(issuer) is not https") }
    guard !secondFactorRequired || oidcSecondFactorAtProvider else {
      throw Invalid(
        description:
          "oidc: a second factor is required (login.secondFactor), and none is asked for here after a provider's log-in: where the provider asks for one itself, say so with oidc.secondFactor: provider"
      )
    }
    let secret = try oidcClientSecretPath.map { path in
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw Invalid(description: "oidc.client.secretFile: cannot read \(path)")
      }
      return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    return ProviderSettings(
      issuer: issuer, clientID: oidcClientID, clientSecret: secret,
      redirect: oidcConsoleURL + "/api/v1/session/provider/return", certificateAuthorities: oidcCAPath)
  }

  private static func objects(_ config: ConfigReader) throws -> ObjectStoreLocation? {
    guard let url = config.string(forKey: "objects.url"), !url.isEmpty else { return nil }
    do throws(ObjectStoreError) {
      return try ObjectStoreLocation(url: url, region: config.string(forKey: "objects.region", default: "us-east-1"))
    } catch { throw Invalid(description: error.message) }
  }

  /// One of a few words; the first where nothing is said, an error for any other.
  private static func choice(_ config: ConfigReader, _ key: ConfigKey, _ words: [String]) throws -> String {
    let value = config.string(forKey: key, default: words[0])
    guard words.contains(value) else {
      throw Invalid(description: "\(key): \(value) is none of: \(words.joined(separator: ", "))")
    }
    return value
  }

  /// A port that is there but no port is an error, never the default.
  private static func port(_ config: ConfigReader, _ key: ConfigKey, _ fallback: UInt16) throws -> UInt16 {
    guard let text = config.string(forKey: key) ?? config.int(forKey: key).map(String.init) else { return fallback }
    guard let value = UInt16(text) else { throw Invalid(description: "\(key): \(text) is not a port (0 to 65535)") }
    return value
  }

  /// A list, or one text with commas.
  private static func addresses(_ config: ConfigReader, _ key: ConfigKey) throws -> [ListenAddress] {
    let texts =
      config.stringArray(forKey: key)
      ?? config.string(forKey: key).map { $0.split(separator: ",").map(String.init) } ?? []
    return try texts.map { try address($0.trimmingCharacters(in: .whitespaces)) }
  }

  /// `host:port`, the host of version 6 in brackets.
  private static func address(_ text: String) throws -> ListenAddress {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0,
      case let host = String(text[..<colon]), !host.isEmpty,
      !host.contains(":") || host.hasPrefix("[") && host.hasSuffix("]")
    else {
      throw Invalid(
        description: "ingest.also: \(text) is not an address and port (192.0.2.1:9711 or [2001:db8::1]:9711)")
    }
    return ListenAddress(host: host.trimmingCharacters(in: CharacterSet(charactersIn: "[]")), port: port)
  }

  private static func number(
    _ config: ConfigReader, _ key: ConfigKey, in range: ClosedRange<Int>, default usual: Int
  ) throws -> Int {
    guard let text = config.string(forKey: key) ?? config.int(forKey: key).map(String.init) else { return usual }
    guard let asked = Int(text), range.contains(asked) else {
      throw Invalid(description: "\(key): \(text) is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return asked
  }

  /// More than the cameras of a whole national force need.
  private static let maximumThreads = 64

  static var executable: URL {
    URL(fileURLWithPath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "plastron")
  }

  /// Beside an installed program, or at the top of a checkout.
  private static func migrations(beside folder: URL) -> String {
    var candidate = folder
    for _ in 0..<6 {
      let path = candidate.appendingPathComponent("migrations").path
      if FileManager.default.fileExists(atPath: path + "/0001_foundation.sql") { return path }
      candidate.deleteLastPathComponent()
    }
    return "/usr/share/plastron/migrations"
  }
}
