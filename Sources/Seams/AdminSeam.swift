package import Doctrine

/// The administrator's acts: by an accredited administrator through the console, or over a socket that only the
/// keeper's own user and root can open. Every one is journalled. None of them shows footage.
package enum AdminCall: Equatable, Sendable, Codable {
  case createService(
    name: String, regime: String, act: String, date: LocalDate, authorisedCameras: Int?)
  /// A new act authorises the treatment of a service, and how many cameras it may have (STO-5).
  case authorise(service: String, act: String, date: LocalDate, cameras: Int?)
  case createAgent(service: String, matricule: String, name: String, rank: String)
  case createAccount(name: String, agent: AgentID, password: String)
  case setAccount(name: String, enabled: Bool)
  case resetSecondFactor(name: String)
  case linkIdentity(name: String, ProviderIdentity)
  /// Two persons, each with their own password and code, seat a head of service (ACC-1).
  case seatHead(service: String, account: String, act: String, days: Int, first: Witness, second: Witness)
  case accreditAdministrator(account: String, service: String, act: String, days: Int)
  case enrolCamera(service: String, CameraID, model: String)
  case issueCamera(CameraID, AgentID)
  case returnCamera(CameraID)
  case setCamera(CameraID, enabled: Bool)
  /// How a camera is received; what is nil stays as it is.
  case setReception(CameraID, Delivery?, maximumRate_kbps: Int?)
  /// How long the live relay of a service waits for a missing packet.
  case setRelayBudget(service: String, ms: Int)
  case closeIncident(IncidentID)
  case status
  /// Runs the sweeper now, as of now.
  case sweep
  /// A person has looked at the clock: the sweeper goes on.
  case confirmClock
  case rotateJournalKey
  /// Seals everything that the master key seals under the new one of its file.
  case rotateMasterKey
  /// The old master key is gone from the file: it is forgotten.
  case retireMasterKey
  /// Rebuilds the register from footage, journal and keys, where its database is new.
  case reindex
  case reindexProgress
  /// Purges journal bodies older than three years.
  case purgeJournal
}

/// One of the two who seat a head.
package struct Witness: Equatable, Sendable, Codable {
  package var account: String
  package var password: String
  package var code: String?

  package init(account: String, password: String, code: String?) {
    self.account = account
    self.password = password
    self.code = code
  }
}

/// An act over the administrator's socket, and why. Who asks is what the system says of the socket's other end.
package struct AdminRequest: Equatable, Sendable, Codable {
  package var call: AdminCall
  /// Required for whatever changes something.
  package var reason: String?
  /// Whom the user of the machine says they act for (`sudo`): noted beside, believed in nothing.
  package var behind: String?

  package init(_ call: AdminCall, reason: String?, behind: String? = nil) {
    self.call = call
    self.reason = reason
    self.behind = behind
  }
}

package enum AdminReply: Sendable, Codable {
  case created(String)
  /// Shown once; only sealed and hashed forms are kept.
  case enrolled(CameraID, passphrase: String, token: String)
  case status(WallState, JournalMark, sweeper: SweeperStatus)
  case swept(erased: Int, overdue: Int)
  case purged(entries: UInt64)
  case reindexing(ReindexProgress)
  case resealed(dayKeys: Int, secrets: Int)
  case done
}

/// How far the rebuilding of the register is.
package struct ReindexProgress: Equatable, Sendable, Codable {
  package var total: Int
  package var done: Int
  /// What came of it, once it is over.
  package var outcome: String?

  package init(total: Int, done: Int, outcome: String?) {
    self.total = total
    self.done = done
    self.outcome = outcome
  }
}

package struct SweeperStatus: Equatable, Sendable, Codable {
  package var lastRun: UTCTime?
  package var overdue: Int
  /// Why it asks, where it does.
  package var stopped: String?
  /// Journal bodies older than three years wait for `plastron journal purge` (LOG-5).
  package var isPurgeOverdue: Bool

  package init(lastRun: UTCTime?, overdue: Int, stopped: String?, isPurgeOverdue: Bool) {
    self.lastRun = lastRun
    self.overdue = overdue
    self.stopped = stopped
    self.isPurgeOverdue = isPurgeOverdue
  }
}

package enum AdminNotice: Sendable, Codable { case heartbeat }
