package import Doctrine

/// One active incident, as the wall shows it.
package struct IncidentCard: Equatable, Sendable, Codable {
  package var incident: IncidentID
  package var recording: RecordingID
  package var service: ServiceID
  package var serviceName: String
  package var camera: CameraID
  package var agent: String
  package var matricule: String
  package var reference: String?
  package var openedAt: UTCTime
  package var streaming: Bool
  package var threat: ThreatEntry?
  package var watchers: Int
  package var liveSound: Bool
  /// Open past the bound: asks whether it shall go on (REC-4).
  package var overdue: Bool
  /// What the camera sends is not being written now.
  package var notRecorded: Bool

  package init(
    incident: IncidentID, recording: RecordingID, service: ServiceID, serviceName: String,
    camera: CameraID, agent: String, matricule: String, reference: String?, openedAt: UTCTime,
    streaming: Bool, threat: ThreatEntry?, watchers: Int, liveSound: Bool, overdue: Bool, notRecorded: Bool
  ) {
    self.incident = incident
    self.recording = recording
    self.service = service
    self.serviceName = serviceName
    self.camera = camera
    self.agent = agent
    self.matricule = matricule
    self.reference = reference
    self.openedAt = openedAt
    self.streaming = streaming
    self.threat = threat
    self.watchers = watchers
    self.liveSound = liveSound
    self.overdue = overdue
    self.notRecorded = notRecorded
  }
}

/// A known camera that was refused: an operator can act on it.
package struct CameraAlarm: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var service: ServiceID
  package var at: UTCTime
  package var code: String
  package var sentence: String
  /// It can be issued from the wall.
  package var canIssue: Bool

  package init(
    camera: CameraID, service: ServiceID, at: UTCTime, code: String, sentence: String, canIssue: Bool
  ) {
    self.camera = camera
    self.service = service
    self.at = at
    self.code = code
    self.sentence = sentence
    self.canIssue = canIssue
  }
}

/// Everything the wall shows, whole, each time it changes.
package struct WallState: Equatable, Sendable, Codable {
  package var incidents: [IncidentCard]
  package var alarms: [CameraAlarm]
  /// False while the ingest is not connected to the keeper.
  package var ingestConnected: Bool
  /// Recordings of open procedures whose term is near (RET-8).
  package var warnings: [TermWarning]
  /// Why the sweeper asks, where it does.
  package var sweeperStopped: String?
  /// What is wrong with the footage's disks, where something is.
  package var storage: String?
  /// The database does not answer: incidents, threats and live go on, the rest is refused.
  package var databaseAway: Bool

  package init(
    incidents: [IncidentCard] = [], alarms: [CameraAlarm] = [], ingestConnected: Bool = false,
    warnings: [TermWarning] = [], sweeperStopped: String? = nil, storage: String? = nil,
    databaseAway: Bool = false
  ) {
    self.incidents = incidents
    self.alarms = alarms
    self.ingestConnected = ingestConnected
    self.warnings = warnings
    self.sweeperStopped = sweeperStopped
    self.storage = storage
    self.databaseAway = databaseAway
  }

  /// What one service may see of it.
  package func restricted(to services: Set<ServiceID>) -> WallState {
    WallState(
      incidents: incidents.filter { services.contains($0.service) },
      alarms: alarms.filter { services.contains($0.service) }, ingestConnected: ingestConnected,
      warnings: warnings.filter { services.contains($0.service) }, sweeperStopped: sweeperStopped,
      storage: storage, databaseAway: databaseAway)
  }
}

/// Which wall it is: what was granted before a stream of walls began has ended with the stream before it.
package struct WallMark: Equatable, Sendable, Codable {
  /// One stream of notices, of one run of the keeper.
  package var stream: String
  /// Counts up within a stream.
  package var number: UInt64

  package init(stream: String, number: UInt64) {
    self.stream = stream
    self.number = number
  }
}

package enum ConsoleNotice: Sendable, Codable {
  case wall(WallState, WallMark)
  /// A viewing ended by somebody else: its viewer sees nothing more.
  case cut(ViewingID)
  case heartbeat
}

/// Who is logged in, and what they may see.
package struct SessionInfo: Equatable, Sendable, Codable {
  package var account: AccountID
  package var name: String
  package var agentName: String
  package var accreditations: [Accreditation]
  /// Expected in a header of every request that changes something.
  package var csrf: String
  /// Services whose wall this person may see now.
  package var wall: [ServiceID]
  /// A second factor must be set up before anything else.
  package var needsSecondFactor: Bool

  package init(
    account: AccountID, name: String, agentName: String, accreditations: [Accreditation], csrf: String,
    wall: [ServiceID], needsSecondFactor: Bool
  ) {
    self.account = account
    self.name = name
    self.agentName = agentName
    self.accreditations = accreditations
    self.csrf = csrf
    self.wall = wall
    self.needsSecondFactor = needsSecondFactor
  }
}

/// Leave to read one part of a recording.
package struct PartReadGrant: Equatable, Sendable, Codable {
  package var part: PartID
  package var path: String
  package var place: FootagePlace
  package var key: Blob
  /// How many chunks are the part's: a disk that failed may have left more, that are in the next one.
  package var chunkCount: Int64

  package init(part: PartID, path: String, place: FootagePlace, key: Blob, chunkCount: Int64) {
    self.part = part
    self.path = path
    self.place = place
    self.key = key
    self.chunkCount = chunkCount
  }
}

/// Leave to read one recording, for one purpose, journalled.
package struct ReadGrant: Equatable, Sendable, Codable {
  package var recording: RecordingID
  /// Ended by a cut when the right ends, and by a leave when it was sent; nil for the server's own check.
  package var viewing: ViewingID?
  package var parts: [PartReadGrant]

  package init(recording: RecordingID, viewing: ViewingID?, parts: [PartReadGrant]) {
    self.recording = recording
    self.viewing = viewing
    self.parts = parts
  }
}

/// What the device API tells a camera of itself, so that the wearer's signal is true (REC-9).
package struct DeviceState: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var recording: Bool
  package var incident: IncidentID?
  package var threatOpen: Bool
  package var watchers: Int
  package var lastRefusal: String?
  package var lastLinkTest: LinkTestResult?

  package init(
    camera: CameraID, recording: Bool, incident: IncidentID?, threatOpen: Bool, watchers: Int,
    lastRefusal: String?, lastLinkTest: LinkTestResult?
  ) {
    self.camera = camera
    self.recording = recording
    self.incident = incident
    self.threatOpen = threatOpen
    self.watchers = watchers
    self.lastRefusal = lastRefusal
    self.lastLinkTest = lastLinkTest
  }
}

/// How one part's file and the index compare.
package struct PartIndexFacts: Equatable, Sendable, Codable {
  package var part: PartID
  package var recording: RecordingID
  package var path: String
  package var place: FootagePlace
  package var state: String
  package var chunkCount: Int64
  package var chainHead: Blob
  package var file_bytes: Int64
  package var media_bytes: Int64
  /// A disk failed under it: it ends at its count of chunks without a close, and another part goes on.
  package var isContinued: Bool

  package init(
    part: PartID, recording: RecordingID, path: String, place: FootagePlace, state: String, chunkCount: Int64,
    chainHead: Blob,
    file_bytes: Int64, media_bytes: Int64, isContinued: Bool
  ) {
    self.part = part
    self.recording = recording
    self.path = path
    self.place = place
    self.state = state
    self.chunkCount = chunkCount
    self.chainHead = chainHead
    self.file_bytes = file_bytes
    self.media_bytes = media_bytes
    self.isContinued = isContinued
  }
}

/// The journal's size and root that an answer was true at, and the newest signed checkpoint.
package struct JournalMark: Equatable, Sendable, Codable {
  package var size: UInt64
  /// Hexadecimal.
  package var root: String
  /// At most a second older than the size.
  package var checkpoint: String

  package init(size: UInt64, root: String, checkpoint: String) {
    self.size = size
    self.root = root
    self.checkpoint = checkpoint
  }
}

/// What a provider has vouched for: who somebody is there. Never what they may do.
package struct ProviderIdentity: Equatable, Sendable, Codable {
  package var issuer: String
  package var subject: String

  package init(issuer: String, subject: String) {
    self.issuer = issuer
    self.subject = subject
  }
}

/// What an extraction is for, and for whom.
package struct ExtractionOrder: Equatable, Sendable, Codable {
  package var reason: ExtractionReason
  package var reference: String
  package var form: String
  package var recipient: String?
  package var requestingAgent: String?
  package var requestingService: String?

  package init(
    reason: ExtractionReason, reference: String, form: String, recipient: String?, requestingAgent: String?,
    requestingService: String?
  ) {
    self.reason = reason
    self.reference = reference
    self.form = form
    self.recipient = recipient
    self.requestingAgent = requestingAgent
    self.requestingService = requestingService
  }
}

/// From console to keeper. `token` is the session's, as the browser sent it: the console decides nothing.
package enum ConsoleCall: Sendable, Codable {
  case logIn(name: String, password: String, code: String?, peer: String)
  case logInByProvider(ProviderIdentity, peer: String)
  case logOut(token: String)
  case session(token: String)
  case beginSecondFactor(token: String)
  case confirmSecondFactor(token: String, code: String)
  case changePassword(token: String, old: String, new: String)
  /// Whether a person may see a wall at all; a refusal is journalled.
  case seeWall(token: String)
  case joinLive(token: String, RecordingID)
  case leave(ViewingID)
  case closeIncident(token: String, IncidentID)
  case declareThreat(token: String, IncidentID, ThreatGround, reason: String)
  case endThreat(token: String, IncidentID)
  case agents(token: String, ServiceID)
  case issueCamera(token: String, CameraID, AgentID)
  case refusals(token: String, limit: Int)
  case cameras(token: String)
  case linkMinutes(token: String, CameraID, from: UTCTime, to: UTCTime)
  case register(token: String, RegisterView, RegisterFilter)
  case extract(token: String, RecordingID, ExtractionOrder)
  case consult(token: String, RecordingID, reason: ConsultationReason, reference: String)
  case indexFacts(token: String)
  case desk(token: String, DeskCall)
  case administer(token: String, AdminCall)
  case journal(token: String?, JournalCall)
  case deviceState(token: String)
  case deviceCloseIncident(token: String)
  case deviceDeclareThreat(token: String, ThreatGround)
  /// What a camera's clock shows now.
  case deviceClock(token: String, UTCTime)
  case nextDecodeCheck
  /// For a collector: no session, as it holds nothing of anybody.
  case figures
  /// For a collector that asks for each camera.
  case cameraFigures
  /// - clock: how far the camera's clock was off as its stream says, the way it took included; nil where it says nothing.
  case decodeChecked(RecordingID, verdict: String, detail: String, clock: ClockReading?)
  /// A closed part that has not been read whole for a month.
  case nextFootageCheck(onDisksOnly: Bool)
  /// - finding: what disagrees, or nil.
  case footageChecked(PartID, finding: String?)
}

package enum ConsoleReply: Sendable, Codable {
  case loggedIn(token: String, SessionInfo)
  case session(SessionInfo)
  /// Shown once: the secret for the code generator.
  case secondFactor(uri: String, secret: String)
  /// Shown once.
  case recoveryCodes([String])
  /// - `wall`: the last wall that was told before: what it says of the recording is older than this answer.
  case joined(ViewingID, sound: Bool, wall: WallMark)
  case agents([AgentEntry])
  case refusals([RefusalEntry])
  case cameras([CameraLink])
  /// In order of time, and where to go on.
  case linkMinutes([LinkMinute], next: UTCTime?)
  case register(RegisterPage, JournalMark)
  case read(ReadGrant?)
  /// The parts of the caller's services, and the paths of every part, so that no other's file is taken for a stray.
  case indexFacts([PartIndexFacts], paths: [String])
  case figures(ServerFigures)
  case cameraFigures(node: String, [CameraFigures])
  case footageToCheck(PartIndexFacts?)
  case desk(DeskReply)
  case administered(AdminReply)
  case journal(JournalReply)
  case deviceState(DeviceState)
  case done
}
