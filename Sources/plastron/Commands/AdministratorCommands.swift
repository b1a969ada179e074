import ArgumentParser
import AsyncHTTPClient
import Doctrine
import Foundation
import Seams

/// The administrator's commands go through the keeper's own socket, which only root and the keeper can open.
struct Administer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin", abstract: "Services, agents, comptes, caméras (administrator; journalled).",
    subcommands: [
      AddService.self, AuthoriseService.self, AddAgent.self, AddAccount.self, SetAccount.self, ResetSecondFactor.self,
      LinkIdentity.self,
      SeatHead.self, AccreditAdministrator.self, EnrolCamera.self, IssueCamera.self,
      ReturnCamera.self, SetCamera.self, SetReception.self, SetRelay.self, CloseIncident.self, Status.self, Sweep.self,
      ConfirmClock.self,
      RotateJournalKey.self,
    ])
}

/// Where the keeper is, and why the act is done: the journal keeps it.
struct ActOptions: ParsableArguments {
  @OptionGroup var configuration: ConfigurationOption
  @Option(help: "Motif, gardé au journal ; ou PLASTRON_REASON (why: the journal keeps it)") var reason: String?
}

enum AdministratorLink {
  static func call(_ options: ActOptions, _ call: AdminCall) async throws -> AdminReply {
    try await self.call(
      try await options.configuration.settings(), call,
      reason: options.reason ?? ProcessInfo.processInfo.environment["PLASTRON_REASON"])
  }

  static func call(_ settings: Settings, _ call: AdminCall, reason: String? = nil) async throws -> AdminReply {
    guard FileManager.default.fileExists(atPath: settings.keeperForAdministrator) else {
      throw Complaint(
        description:
          "aucun keeper à \(settings.keeperForAdministrator) : « plastron serve » tourne-t-il, PLASTRON_DATA_FOLDER est-il le même ? (No keeper at this socket.)"
      )
    }
    let http = SeamClient<AdminRequest, AdminReply, AdminNotice>.makeHTTPClient()
    let client = SeamClient<AdminRequest, AdminReply, AdminNotice>(
      client: http, socketPath: settings.keeperForAdministrator, peer: "le keeper (\(settings.keeperForAdministrator))")
    let behind = ProcessInfo.processInfo.environment["SUDO_USER"]
    let result: Result<AdminReply, Problem>
    do throws(Problem) {
      result = .success(try await client.call(AdminRequest(call, reason: reason, behind: behind), timeout_s: 120))
    } catch { result = .failure(error) }
    try await http.shutdown()
    switch result {
    case .success(let reply): return reply
    case .failure(let problem): throw Complaint(description: "\(problem.title) : \(problem.detail)")
    }
  }

  /// Prints an id, or "ok".
  static func show(_ reply: AdminReply) {
    switch reply {
    case .created(let id): print(id)
    case .enrolled(let camera, let passphrase, let token):
      print("camera: \(camera)\npassphrase: \(passphrase)\ntoken: \(token)")
    case .swept(let erased, let overdue): print("erased: \(erased)  overdue: \(overdue)")
    case .purged(let entries): print("purged: the bodies of the first \(entries) entries")
    case .status(let wall, let mark, let sweeper):
      print("incidents: \(wall.incidents.count)  ingest: \(wall.ingestConnected)  journal: \(mark.size) \(mark.root)")
      print("sweeper: \(sweeper.stopped.map { "STOPPED, asks: \($0)" } ?? "runs")  overdue: \(sweeper.overdue)")
      if sweeper.isPurgeOverdue { print("journal: bodies older than three years wait for: plastron journal purge") }
      if let storage = wall.storage { print("disks: \(storage)") }
      if wall.databaseAway { print("database: AWAY; incidents, threats and live go on") }
      for card in wall.incidents {
        print(
          "\(card.incident) \(card.camera) \(card.agent) threat=\(card.threat?.ground.rawValue ?? "none") watchers=\(card.watchers)"
        )
      }
    case .reindexing(let progress): print(progress.outcome ?? "\(progress.done) of \(progress.total)")
    case .resealed(let dayKeys, let secrets): print("resealed: \(dayKeys) day keys, \(secrets) secrets of the register")
    case .done: print("ok")
    }
  }
}

struct AddService: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "service", abstract: "Crée un service.")
  @OptionGroup var options: ActOptions
  @Option var name: String
  @Option(help: "bwc-six-months, pn-gn, pm, sp, ap") var regime = "bwc-six-months"
  @Option(help: "Référence de l'acte autorisant le traitement") var act: String
  @Option(help: "Date de cet acte, aaaa-mm-jj") var date: String
  @Option(help: "Nombre de caméras autorisé (pm, sp)") var cameras: Int?

  func run() async throws {
    guard let day = LocalDate(date) else { throw Complaint(description: "--date: \(date) is not a day yyyy-mm-dd") }
    AdministratorLink.show(
      try await AdministratorLink.call(
        options, .createService(name: name, regime: regime, act: act, date: day, authorisedCameras: cameras)))
  }
}

struct AuthoriseService: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authorise", abstract: "Un nouvel acte autorise le traitement d'un service, et son nombre de caméras.")
  @OptionGroup var options: ActOptions
  @Option var service: String
  @Option(help: "Référence de l'acte autorisant le traitement") var act: String
  @Option(help: "Date de cet acte, aaaa-mm-jj") var date: String
  @Option(help: "Nombre de caméras autorisé (pm, sp)") var cameras: Int?

  func run() async throws {
    guard let day = LocalDate(date) else { throw Complaint(description: "--date: \(date) is not a day yyyy-mm-dd") }
    AdministratorLink.show(
      try await AdministratorLink.call(options, .authorise(service: service, act: act, date: day, cameras: cameras)))
  }
}

struct AddAgent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "agent", abstract: "Crée un agent.")
  @OptionGroup var options: ActOptions
  @Option var service: String
  @Option var matricule: String
  @Option var name: String
  @Option var rank: String

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(
        options, .createAgent(service: service, matricule: matricule, name: name, rank: rank)))
  }
}

struct AddAccount: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account", abstract: "Crée un compte nommé ; mot de passe par --password-file ou PLASTRON_PASSWORD.")
  @OptionGroup var options: ActOptions
  @OptionGroup var password: PasswordOption
  @Option var name: String
  @Option(help: "Identifiant de l'agent") var agent: String

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(
        options, .createAccount(name: name, agent: AgentID(agent), password: try password.read())))
  }
}

struct SetAccount: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set-account", abstract: "Ouvre ou ferme un compte ; ferme aussi ses sessions et ses directs.")
  @OptionGroup var options: ActOptions
  @Option var name: String
  @Flag(inversion: .prefixedEnableDisable) var access = true

  func run() async throws {
    AdministratorLink.show(try await AdministratorLink.call(options, .setAccount(name: name, enabled: access)))
  }
}

struct ResetSecondFactor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reset-second-factor", abstract: "Le second facteur est perdu : le compte en activera un autre.")
  @OptionGroup var options: ActOptions
  @Option var name: String

  func run() async throws {
    AdministratorLink.show(try await AdministratorLink.call(options, .resetSecondFactor(name: name)))
  }
}

struct LinkIdentity: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "link", abstract: "Lie un compte à une identité OpenID Connect (issuer, subject).")
  @OptionGroup var options: ActOptions
  @Option var name: String
  @Option(help: "Émetteur (issuer)") var issuer: String
  @Option(help: "Sujet (subject)") var subject: String

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(
        options, .linkIdentity(name: name, ProviderIdentity(issuer: issuer, subject: subject))))
  }
}

struct SeatHead: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "seat-head", abstract: "Installe un chef de service, en présence de deux autres personnes.",
    discussion: """
      Chacune donne son compte et son mot de passe : par un fichier (--first-password-file, --second-password-file),
      par PLASTRON_FIRST_PASSWORD et PLASTRON_SECOND_PASSWORD, ou au clavier.
      """)
  @OptionGroup var options: ActOptions
  @Option var service: String
  @Option(help: "Compte du chef (the head's account)") var account: String
  @Option(help: "Référence de l'acte de nomination") var act: String
  @Option(help: "Durée en jours") var days = 365
  @Option(help: "Compte de la première personne") var first: String
  @Option var firstPasswordFile: String?
  @Option var firstCode: String?
  @Option(help: "Compte de la seconde personne") var second: String
  @Option var secondPasswordFile: String?
  @Option var secondCode: String?

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(
        options,
        .seatHead(
          service: service, account: account, act: act, days: days,
          first: try witness(first, firstPasswordFile, "PLASTRON_FIRST_PASSWORD", firstCode),
          second: try witness(second, secondPasswordFile, "PLASTRON_SECOND_PASSWORD", secondCode))))
  }

  private func witness(_ account: String, _ file: String?, _ variable: String, _ code: String?) throws -> Witness {
    Witness(
      account: account,
      password: try PasswordOption.read(
        file: file, variable: variable, prompt: "Mot de passe de \(account) (password): "), code: code)
  }
}

struct AccreditAdministrator: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "accredit-administrator",
    abstract: "Habilite un administrateur d'un service (il ne voit aucune image).")
  @OptionGroup var options: ActOptions
  @Option var account: String
  @Option var service: String
  @Option(help: "Référence de l'acte d'habilitation") var act: String
  @Option(help: "Durée en jours") var days = 365

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(
        options, .accreditAdministrator(account: account, service: service, act: act, days: days)))
  }
}

struct ConfirmClock: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "confirm-clock", abstract: "L'heure du serveur a été vérifiée : l'effaceur reprend.")
  @OptionGroup var options: ActOptions

  func run() async throws { AdministratorLink.show(try await AdministratorLink.call(options, .confirmClock)) }
}

struct RotateJournalKey: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate-journal-key",
    abstract: "Change la clé qui signe le journal ; l'ancienne introduit la nouvelle.")
  @OptionGroup var options: ActOptions

  func run() async throws { AdministratorLink.show(try await AdministratorLink.call(options, .rotateJournalKey)) }
}

struct EnrolCamera: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enrol", abstract: "Enrôle une caméra ; sa phrase secrète et son jeton sont montrés une fois.")
  @OptionGroup var options: ActOptions
  @Option var service: String
  @Option var camera: String
  @Option var model = ""
  @Option(help: "Nom ou adresse sous lesquels l'appareil joint ce serveur (how the device reaches this server)")
  var address = "SERVEUR"
  @Option(help: "Débit de l'appareil en kbit/s, son compris : d'où la limite à régler (rate of the stream)") var rate =
    2000

  func validate() throws {
    guard (64...ReceptionSettings.maximumRate_kbps).contains(rate) else {
      throw ValidationError("--rate : de 64 à \(ReceptionSettings.maximumRate_kbps) kbit/s")
    }
  }

  func run() async throws {
    let reply = try await AdministratorLink.call(
      options, .enrolCamera(service: service, CameraID(camera), model: model))
    AdministratorLink.show(reply)
    guard case .enrolled(let camera, let passphrase, _) = reply else { return }
    let port = try await options.configuration.settings().ingestPort
    let settings = ClientSettings(
      server: address, port: port, camera: "\(camera)", passphrase: passphrase, rate_kbps: rate)
    print("\n\(settings.text)")
  }
}

struct IssueCamera: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "issue", abstract: "Perception d'une caméra par un agent.")
  @OptionGroup var options: ActOptions
  @Option var camera: String
  @Option var agent: String

  func run() async throws {
    AdministratorLink.show(try await AdministratorLink.call(options, .issueCamera(CameraID(camera), AgentID(agent))))
  }
}

struct ReturnCamera: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "return", abstract: "Réintégration d'une caméra.")
  @OptionGroup var options: ActOptions
  @Option var camera: String

  func run() async throws {
    AdministratorLink.show(try await AdministratorLink.call(options, .returnCamera(CameraID(camera))))
  }
}

struct SetCamera: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "camera", abstract: "Active ou désactive une caméra.")
  @OptionGroup var options: ActOptions
  @Option var camera: String
  @Flag(inversion: .prefixedEnableDisable) var admission = true

  func run() async throws {
    AdministratorLink.show(try await AdministratorLink.call(options, .setCamera(CameraID(camera), enabled: admission)))
  }
}

struct SetReception: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reception", abstract: "Règle la réception d'une caméra (how a camera is received).",
    discussion: """
      complete : rien n'est abandonné, même en retard ; c'est ce qui enregistre le plus. timely : ce qui vient après la
      fenêtre est abandonné, pour un direct sans retard. Vaut dès la prochaine connexion. (Holds from the next connection on.)
      """)
  @OptionGroup var options: ActOptions
  @Option var camera: String
  @Option(help: "complete, timely") var delivery: String?
  @Option(help: "Fenêtre de timely, en millisecondes (window)") var window: Int?
  @Option(help: "Débit au-delà duquel elle est refusée, en kbit/s (maximum rate)") var rate: Int?

  private var setting: Delivery?? {
    switch (delivery, window) {
    case (nil, nil): .some(nil)
    case ("complete", nil): .complete
    case ("timely", let window?): .timely(window_ms: window)
    default: nil
    }
  }

  func validate() throws {
    guard setting != nil else { throw ValidationError("--delivery complete, or --delivery timely --window MS") }
    guard delivery != nil || rate != nil else { throw ValidationError("--delivery, --rate: what is to be set") }
  }

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(
        options, .setReception(CameraID(camera), setting ?? nil, maximumRate_kbps: rate)))
  }
}

struct SetRelay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relay", abstract: "Règle combien le direct d'un service attend un paquet manquant (live relay).")
  @OptionGroup var options: ActOptions
  @Option var service: String
  @Option(
    help: "En millisecondes, \(ReceptionSettings.relayBudgets_ms.upperBound) au plus (milliseconds, at the most)")
  var budget: Int

  func validate() throws {
    guard ReceptionSettings.relayBudgets_ms.contains(budget) else {
      throw ValidationError(ReceptionSettings.relayBudgetSentence)
    }
  }

  func run() async throws {
    AdministratorLink.show(
      try await AdministratorLink.call(options, .setRelayBudget(service: service, ms: budget)))
  }
}

struct CloseIncident: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "close", abstract: "Clôt un incident.")
  @OptionGroup var options: ActOptions
  @Option var incident: String

  func run() async throws {
    AdministratorLink.show(try await AdministratorLink.call(options, .closeIncident(IncidentID(incident))))
  }
}

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Incidents en cours et taille du journal.")
  @OptionGroup var options: ActOptions

  func run() async throws { AdministratorLink.show(try await AdministratorLink.call(options, .status)) }
}

struct Sweep: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Efface maintenant ce dont le terme est venu.")
  @OptionGroup var options: ActOptions

  func run() async throws { AdministratorLink.show(try await AdministratorLink.call(options, .sweep)) }
}
