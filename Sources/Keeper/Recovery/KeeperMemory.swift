internal import Doctrine
internal import Seams

/// What the keeper must know to decide without its database, across a restart: who streams, what is open, who is logged in.
struct KeeperMemory: Equatable, Sendable, Codable {
  struct Incident: Equatable, Sendable, Codable {
    var entry: IncidentEntry
    var agent: AgentEntry?
    var threat: ThreatEntry?
    /// Nil in a memory that an older version wrote: no.
    var wasThreatened: Bool?
    var closing: ClosingCause?
    var closedBy: String?
    var attached: [AgentID: UTCTime]
    var confirmedUntil: UTCTime?
    var lastPart: Int
    /// Left out by keepers that did not remember it.
    var clock: RecordingClock?
  }

  struct Session: Equatable, Sendable, Codable {
    var hash: Blob
    /// Without its password hash and second factor: a log-in asks the database.
    var account: AccountEntry
    var isLimited: Bool
    var until: UTCTime
    var usedAt: UTCTime
  }

  var services: [ServiceEntry]
  var cameras: [CameraEntry]
  var incidents: [Incident]
  var sessions: [Session]
}
