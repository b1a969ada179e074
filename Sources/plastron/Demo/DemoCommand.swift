import ArgumentParser
import Doctrine
import Foundation
import Identity
import Seams
import Vault

/// Everything once, on real parts: server, camera, viewer, auditor.
struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Démonstration complète sur cette machine (whole demonstration).")

  @Option(help: "Dossier de données.") var data: String
  @Option var ingestPort: UInt16 = 9710
  @Option var consolePort: UInt16 = 8443
  @Option var devicePort: UInt16 = 9443
  @Flag(help: "Vingt secondes, vérifie et finit par 0 si tout est vrai.") var once = false

  func run() async throws {
    let world = try await DemoWorld(
      data: data, ingestPort: ingestPort, consolePort: consolePort, devicePort: devicePort)
    do {
      try await world.start()
      if once { try await DemoRun(world).once() } else { try await DemoRun(world).forAPerson() }
    } catch {
      world.stop()
      throw error
    }
    world.stop()
  }
}

/// The demonstration's server and what it knows of it.
final class DemoWorld {
  let settings: Settings
  let environment: [String: String]
  private(set) var passwords: [String: String] = [:]
  private(set) var camera = (id: "CAM-DEMO-1", passphrase: "", token: "")
  private var server: Process?
  private let lifeline = Pipe()

  init(data: String, ingestPort: UInt16, consolePort: UInt16, devicePort: UInt16) async throws {
    let folder = URL(fileURLWithPath: data).standardizedFileURL.path
    var environment = ProcessInfo.processInfo.environment
    environment["PLASTRON_DATA_FOLDER"] = folder
    environment["PLASTRON_INGEST_HOST"] = "127.0.0.1"
    // A demonstration has no phone with a code generator beside it, and runs where nothing disciplines the clock.
    environment["PLASTRON_LOGIN_SECOND_FACTOR"] = "offered"
    environment["PLASTRON_CLOCK_SYNCHRONISED"] = "assumed"
    environment["PLASTRON_INGEST_PORT"] = "\(ingestPort)"
    environment["PLASTRON_CONSOLE_PORT"] = "\(consolePort)"
    environment["PLASTRON_DEVICE_HOST"] = "127.0.0.1"
    environment["PLASTRON_DEVICE_PORT"] = "\(devicePort)"
    self.environment = environment
    for (name, value) in environment where name.hasPrefix("PLASTRON_") { setenv(name, value, 1) }
    settings = try await Settings.load(file: nil)
  }

  var url: String { "https://localhost:\(settings.consolePort)" }

  func start() async throws {
    let server = Process()
    server.executableURL = Settings.executable
    server.arguments = ["serve", "--supervised"]
    server.environment = environment
    server.standardInput = lifeline
    let log = settings.dataFolder + "/server.log"
    try Directories.make(settings.dataFolder, mode: 0o755)
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    server.standardError = FileHandle(forWritingAtPath: log)
    try server.run()
    self.server = server
    for _ in 0..<300 {
      if case .status(let wall, _, _)? = try? await AdministratorLink.call(settings, .status), wall.ingestConnected {
        try await furnish()
        return
      }
      guard server.isRunning else { break }
      try await Task.sleep(for: .milliseconds(200))
    }
    throw Complaint(description: "the server did not start; its log is \(log)")
  }

  func stop() {
    guard let server, server.isRunning else { return }
    server.terminate()
    server.waitUntilExit()
  }

  /// A service, two people, three accounts, a camera that is issued. Names carry a number of their own, so that
  /// a second run in the same folder finds no obstacle.
  private func furnish() async throws {
    let run = String(UUID().uuidString.lowercased().prefix(6))
    let service = "Police municipale de démonstration \(run)"
    let serviceID = try await created(
      .createService(
        name: service, regime: "bwc-six-months", act: "DÉMONSTRATION, sans valeur d'autorisation",
        date: LocalDate(year: 2026, month: 1, day: 1), authorisedCameras: nil))
    let wearer = try await created(
      .createAgent(service: service, matricule: "D-001", name: "Camille Démonstration", rank: "brigadier"))
    let officer = try await created(
      .createAgent(service: service, matricule: "D-002", name: "Dominique Opérateur", rank: "brigadier-chef"))
    let witness = try await created(
      .createAgent(service: service, matricule: "D-003", name: "Claude Témoin", rank: "maire adjoint"))
    let auditor = try await created(
      .createAgent(service: service, matricule: "D-004", name: "Andrea Auditeur", rank: "attaché"))
    let head = try await created(
      .createAgent(service: service, matricule: "D-005", name: "Sacha Chef", rank: "chef de service"))
    for (name, agent) in [
      ("operateur", officer), ("auditeur", auditor), ("chef", head), ("temoin-1", wearer), ("temoin-2", witness),
    ] {
      let account = "\(name)-\(run)"
      passwords[name] = Tokens.make()
      accounts[name] = account
      try await call(.createAccount(name: account, agent: AgentID(agent), password: passwords[name] ?? ""))
    }
    func present(_ name: String) -> Witness {
      Witness(account: accounts[name] ?? "", password: passwords[name] ?? "", code: nil)
    }
    try await call(
      .seatHead(
        service: service, account: accounts["chef"] ?? "", act: "démonstration", days: 30, first: present("temoin-1"),
        second: present("temoin-2")))
    try await withSession("chef") { session in
      for (name, role) in [("operateur", Role.operator), ("auditeur", .auditor)] {
        try await session.send(
          "POST", "/services/\(serviceID)/accreditations",
          [
            "account": accounts[name] ?? "", "role": role.rawValue, "act": "démonstration",
            "until": Date().addingTimeInterval(30 * 86_400).formatted(.iso8601),
          ])
      }
    }
    camera.id = "CAM-\(run)"
    guard
      case .enrolled(_, let passphrase, let token) = try await AdministratorLink.call(
        settings, .enrolCamera(service: service, CameraID(camera.id), model: "simulée"), reason: Self.reason)
    else { throw Complaint(description: "the camera was not enrolled") }
    camera.passphrase = passphrase
    camera.token = token
    try await call(.issueCamera(CameraID(camera.id), AgentID(wearer)))
    serviceName = service
  }

  private var serviceName = ""

  /// More cameras of its service, each issued to an agent of its own: for measurements.
  func enrolCameras(_ count: Int, prefix: String) async throws -> [(id: String, passphrase: String)] {
    var cameras: [(id: String, passphrase: String)] = []
    for number in 0..<count {
      let name = "\(prefix)-\(number)"
      let agent = try await created(
        .createAgent(service: serviceName, matricule: name, name: "Mesure \(name)", rank: "brigadier"))
      guard
        case .enrolled(_, let passphrase, _) = try await AdministratorLink.call(
          settings, .enrolCamera(service: serviceName, CameraID(name), model: "simulée"), reason: Self.reason)
      else { throw Complaint(description: "the camera \(name) was not enrolled") }
      try await call(.issueCamera(CameraID(name), AgentID(agent)))
      cameras.append((name, passphrase))
    }
    return cameras
  }

  private(set) var accounts: [String: String] = [:]

  func logIn(_ role: String) async throws -> APISession {
    try await APISession.logIn(
      server: url, ca: settings.certificatePath, account: accounts[role] ?? "", password: passwords[role] ?? "")
  }

  /// Logs in, works, and logs out however that ends.
  func withSession<R>(_ role: String, _ body: (APISession) async throws -> R) async throws -> R {
    let session = try await logIn(role)
    do {
      let result = try await body(session)
      await session.end()
      return result
    } catch {
      await session.end()
      throw error
    }
  }

  /// What the journal keeps as the reason of what the demonstration sets up.
  private static let reason = "démonstration"

  private func call(_ call: AdminCall) async throws {
    _ = try await AdministratorLink.call(settings, call, reason: Self.reason)
  }

  private func created(_ call: AdminCall) async throws -> String {
    guard case .created(let id) = try await AdministratorLink.call(settings, call, reason: Self.reason) else {
      throw Complaint(description: "nothing was created")
    }
    return id
  }
}
