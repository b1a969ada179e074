import Doctrine
import Footage
import Foundation
import Journal
import Logging
import Postgres
import Registry
import Seams
import TestSupport
import Vault

@testable import Keeper

extension Register: KeeperStore {}

/// A keeper with a real register, journal, keys and footage folder, and clocks that the test sets.
struct KeeperWorld {
  let keeper: Keeper
  let register: Register
  let database: TestDatabase
  let pool: Pool
  let folder: String
  let journal: JournalFile
  let keys: KeyRing
  let scribe: Scribe
  let wall: SettableClock
  let monotonic: SettableClock

  static let password = "un mot de passe de test"

  static func make(at start: UTCTime, calendar: LegalCalendar) async throws -> KeeperWorld {
    let database = try await TestDatabase.make()
    try await database.migrate()
    let pool = database.asServer()
    let node = UUID().uuidString.lowercased()
    let register = Register(pool: pool, node: node)
    let folder = NSTemporaryDirectory() + "plastron-keeper-" + UUID().uuidString
    try Directories.make(folder + "/footage")
    try MasterKeyFile.create(at: folder + "/master.key")
    let wall = SettableClock(start.microseconds)
    let monotonic = SettableClock(0)
    let journal = try JournalFile(folder: folder + "/journal", origin: "test", signingKeyPath: folder + "/journal.key")
    let keys = try KeyRing(masterKeyPath: folder + "/master.key", folder: folder + "/days")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let clock: @Sendable () -> UTCTime = { UTCTime(microseconds: wall.now) }
    let scribe = Scribe(file: journal, clock: clock, logger: logger)
    try await register.enterNode(name: node, at: start)
    let keeper = keeper(node, folder, register, keys, scribe, calendar, wall, monotonic, logger)
    try await keeper.load()
    return KeeperWorld(
      keeper: keeper, register: register, database: database, pool: pool, folder: folder, journal: journal, keys: keys,
      scribe: scribe, wall: wall, monotonic: monotonic)
  }

  private static func keeper(
    _ node: String, _ folder: String, _ register: Register, _ keys: KeyRing, _ scribe: Scribe,
    _ calendar: LegalCalendar, _ wall: SettableClock, _ monotonic: SettableClock, _ logger: Logger
  ) -> Keeper {
    Keeper(
      settings: .init(
        node: node, nodeName: "test", footageRoot: folder + "/footage", secondFactorRequired: false,
        clockIsSynchronised: { true }, sweepPause: .zero), store: register, keys: keys, scribe: scribe,
      calendar: calendar, clock: { UTCTime(microseconds: wall.now) },
      monotonic: { MonotonicTime(microseconds: monotonic.now) }, logger: logger)
  }

  /// Another process on the same folders: what was in memory is gone.
  func restarted() async throws -> Keeper {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let again = Self.keeper(
      await keeper.settings.node, folder, register, keys, scribe, await keeper.calendar, wall, monotonic, logger)
    try await again.load()
    return again
  }

  /// A service under one month, an agent of it, and the camera "C", issued to the agent.
  func furnish(on day: LocalDate = LocalDate(year: 2027, month: 1, day: 1)) async throws -> (ServiceID, AgentID) {
    let service = ServiceID(
      try await admin(
        .createService(name: "pn", regime: "pn-gn", act: "essai", date: day, authorisedCameras: nil)))
    let agent = AgentID(try await admin(.createAgent(service: service.rawValue, matricule: "w", name: "w", rank: "g")))
    try await admin(.enrolCamera(service: service.rawValue, CameraID("C"), model: ""))
    try await admin(.issueCamera(CameraID("C"), agent))
    return (service, agent)
  }

  func end() {
    journal.stop()
    pool.close()
    database.owner.close()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Time passes on both clocks.
  func pass(to time: UTCTime) {
    monotonic.add(time.microseconds - wall.now)
    wall.set(time.microseconds)
  }

  @discardableResult
  func admin(_ call: AdminCall) async throws -> String {
    if case .created(let id) = try await keeper.answer(AdminRequest(call, reason: "test"), by: "test") { return id }
    return ""
  }

  /// An agent with an account of the same name, who can log in through a provider.
  func person(_ name: String, in service: String) async throws -> AgentID {
    let agent = AgentID(
      try await admin(.createAgent(service: service, matricule: name, name: name, rank: "gardien")))
    try await admin(.createAccount(name: name, agent: agent, password: Self.password))
    try await admin(.linkIdentity(name: name, ProviderIdentity(issuer: "https://idp.invalid", subject: name)))
    return agent
  }

  func seatHead(_ name: String, in service: String, by witnesses: (String, String)) async throws {
    func witness(_ name: String) -> Witness { Witness(account: name, password: Self.password, code: nil) }
    try await admin(
      .seatHead(
        service: service, account: name, act: "arrêté", days: 3000, first: witness(witnesses.0),
        second: witness(witnesses.1)))
  }

  func logIn(_ name: String) async throws -> String {
    guard
      case .loggedIn(let token, _) = try await keeper.answer(
        .logInByProvider(ProviderIdentity(issuer: "https://idp.invalid", subject: name), peer: "test"))
    else { throw Problem.fault }
    return token
  }

  @discardableResult
  func desk(_ name: String, _ call: DeskCall) async throws -> DeskReply {
    guard case .desk(let reply) = try await keeper.answer(.desk(token: try await logIn(name), call)) else {
      throw Problem.fault
    }
    return reply
  }
}

extension IngestEvent {
  /// The camera "C" has opened an incident.
  static func opened(
    _ incident: IncidentID, _ recording: RecordingID, _ service: ServiceID, by agent: AgentID, at time: UTCTime,
    threat: ThreatGround? = nil
  ) -> IngestEvent {
    .incidentOpened(
      IncidentEntry(
        id: incident, recording: recording, service: service, camera: CameraID("C"), agent: agent, reference: nil,
        activation: nil, openedAt: time), threat: threat, peer: "test")
  }
}
