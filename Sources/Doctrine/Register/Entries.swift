/// An agent as the register names them (LOG-3).
package struct AgentEntry: Equatable, Sendable, Codable {
  package var id: AgentID
  package var service: ServiceID
  package var matricule: String
  package var name: String
  package var rank: String

  package init(id: AgentID, service: ServiceID, matricule: String, name: String, rank: String) {
    self.id = id
    self.service = service
    self.matricule = matricule
    self.name = name
    self.rank = rank
  }
}

/// A service and its legal profile.
package struct ServiceEntry: Equatable, Sendable, Codable {
  package var id: ServiceID
  package var name: String
  package var regime: Regime
  package var authorisingAct: String
  package var authorisingDate: LocalDate
  package var authorisedCameras: Int?

  package init(
    id: ServiceID, name: String, regime: Regime, authorisingAct: String, authorisingDate: LocalDate,
    authorisedCameras: Int?
  ) {
    self.id = id
    self.name = name
    self.regime = regime
    self.authorisingAct = authorisingAct
    self.authorisingDate = authorisingDate
    self.authorisedCameras = authorisedCameras
  }
}

/// An enrolled camera and to whom it is issued. The passphrase is sealed.
package struct CameraEntry: Equatable, Sendable, Codable {
  package var id: CameraID
  package var service: ServiceID
  package var model: String
  package var passphraseSealed: [UInt8]
  package var tokenHash: [UInt8]
  package var enabled: Bool
  package var issuedTo: AgentEntry?

  package init(
    id: CameraID, service: ServiceID, model: String, passphraseSealed: [UInt8], tokenHash: [UInt8],
    enabled: Bool, issuedTo: AgentEntry?
  ) {
    self.id = id
    self.service = service
    self.model = model
    self.passphraseSealed = passphraseSealed
    self.tokenHash = tokenHash
    self.enabled = enabled
    self.issuedTo = issuedTo
  }
}

/// A named account with what a log-in needs.
package struct AccountEntry: Equatable, Sendable {
  package var id: AccountID
  package var name: String
  package var agent: AgentEntry
  package var passwordHash: String
  package var failedAttempts: Int
  package var lockedUntil: UTCTime?
  package var disabled: Bool
  package var accreditations: [Accreditation]

  package init(
    id: AccountID, name: String, agent: AgentEntry, passwordHash: String, failedAttempts: Int,
    lockedUntil: UTCTime?, disabled: Bool, accreditations: [Accreditation]
  ) {
    self.id = id
    self.name = name
    self.agent = agent
    self.passwordHash = passwordHash
    self.failedAttempts = failedAttempts
    self.lockedUntil = lockedUntil
    self.disabled = disabled
    self.accreditations = accreditations
  }

  package var actor: Actor { Actor(account: id, name: name, accreditations: accreditations) }
}

/// An open threat declaration.
package struct ThreatEntry: Equatable, Sendable, Codable {
  package enum Origin: String, Sendable, Codable {
    case wearer
    case commandRoom = "command-room"
  }

  package var id: ThreatID
  package var incident: IncidentID
  package var origin: Origin
  package var author: String
  package var ground: ThreatGround
  package var reason: String?
  package var openedAt: UTCTime

  package init(
    id: ThreatID, incident: IncidentID, origin: Origin, author: String, ground: ThreatGround,
    reason: String?, openedAt: UTCTime
  ) {
    self.id = id
    self.incident = incident
    self.origin = origin
    self.author = author
    self.ground = ground
    self.reason = reason
    self.openedAt = openedAt
  }
}

/// An incident that was opened, with the recording that it carries.
package struct IncidentEntry: Equatable, Sendable, Codable {
  package var id: IncidentID
  package var recording: RecordingID
  package var service: ServiceID
  package var camera: CameraID
  package var agent: AgentID
  package var reference: String?
  package var activation: String?
  package var openedAt: UTCTime

  package init(
    id: IncidentID, recording: RecordingID, service: ServiceID, camera: CameraID, agent: AgentID,
    reference: String?, activation: String?, openedAt: UTCTime
  ) {
    self.id = id
    self.recording = recording
    self.service = service
    self.camera = camera
    self.agent = agent
    self.reference = reference
    self.activation = activation
    self.openedAt = openedAt
  }
}

/// The end of an incident.
package struct IncidentClosed: Equatable, Sendable, Codable {
  package var incident: IncidentID
  package var recording: RecordingID
  package var camera: CameraID
  package var at: UTCTime
  package var cause: ClosingCause
  package var by: String?
  /// Packets that were not whole transport stream packets.
  package var damage: Int64

  package init(
    incident: IncidentID, recording: RecordingID, camera: CameraID, at: UTCTime, cause: ClosingCause,
    by: String?, damage: Int64
  ) {
    self.incident = incident
    self.recording = recording
    self.camera = camera
    self.at = at
    self.cause = cause
    self.by = by
    self.damage = damage
  }
}

/// A part as the index knows it.
package struct PartEntry: Equatable, Sendable, Codable {
  package var id: PartID
  package var recording: RecordingID
  package var service: ServiceID
  package var number: Int
  package var localDay: LocalDate
  package var termDay: LocalDate
  package var regime: String
  package var regimeVersion: Int
  package var wrappedKey: [UInt8]
  package var path: String

  package init(
    id: PartID, recording: RecordingID, service: ServiceID, number: Int, localDay: LocalDate,
    termDay: LocalDate, regime: String, regimeVersion: Int, wrappedKey: [UInt8], path: String
  ) {
    self.id = id
    self.recording = recording
    self.service = service
    self.number = number
    self.localDay = localDay
    self.termDay = termDay
    self.regime = regime
    self.regimeVersion = regimeVersion
    self.wrappedKey = wrappedKey
    self.path = path
  }
}

/// How far a part's file has been indexed, or was when it was closed.
package struct PartProgress: Equatable, Sendable, Codable {
  package var part: PartID
  package var chunkCount: Int64
  package var chainHead: [UInt8]
  package var file_bytes: Int64

  package init(part: PartID, chunkCount: Int64, chainHead: [UInt8], file_bytes: Int64) {
    self.part = part
    self.chunkCount = chunkCount
    self.chainHead = chainHead
    self.file_bytes = file_bytes
  }
}

/// One row of the segment index: consecutive chunks of one epoch, about ten seconds.
package struct SegmentEntry: Equatable, Sendable, Codable {
  package var part: PartID
  package var recording: RecordingID
  package var firstChunk: Int64
  package var lastChunk: Int64
  package var epoch: Int64
  package var firstArrival: UTCTime
  package var lastArrival: UTCTime
  package var media_bytes: Int64
  package var fileOffset: Int64
  package var file_bytes: Int64
  package var chainHead: [UInt8]
  /// Per chunk, big-endian: length (32), kind (8), marks (8), arrival offset in ms (32).
  package var chunkTable: [UInt8]

  package init(
    part: PartID, recording: RecordingID, firstChunk: Int64, lastChunk: Int64, epoch: Int64,
    firstArrival: UTCTime, lastArrival: UTCTime, media_bytes: Int64, fileOffset: Int64, file_bytes: Int64,
    chainHead: [UInt8], chunkTable: [UInt8]
  ) {
    self.part = part
    self.recording = recording
    self.firstChunk = firstChunk
    self.lastChunk = lastChunk
    self.epoch = epoch
    self.firstArrival = firstArrival
    self.lastArrival = lastArrival
    self.media_bytes = media_bytes
    self.fileOffset = fileOffset
    self.file_bytes = file_bytes
    self.chainHead = chainHead
    self.chunkTable = chunkTable
  }
}

/// Why a time of a recording is not there (INT-6).
package enum GapCause: String, Sendable, Codable, CaseIterable {
  case linkLost = "link-lost"
  case stoppedBySender = "stopped-by-sender"
  case serverRestart = "server-restart"
  case notDeliverable = "not-deliverable"
  case lostInTransport = "lost-in-transport"
  case noSpace = "no-space"

  package var sentence: String {
    switch self {
    case .linkLost: "liaison perdue"
    case .stoppedBySender: "envoi arrêté puis repris par la caméra"
    case .serverRestart: "arrêt du serveur"
    case .notDeliverable: "reçu par le transport, non remis"
    case .lostInTransport: "perdu par le transport"
    case .noSpace: "plus de place sur le disque"
    }
  }
}

package struct GapEntry: Equatable, Sendable, Codable {
  package var part: PartID
  package var chunk: Int64
  package var from: UTCTime
  package var to: UTCTime
  package var cause: GapCause

  package init(part: PartID, chunk: Int64, from: UTCTime, to: UTCTime, cause: GapCause) {
    self.part = part
    self.chunk = chunk
    self.from = from
    self.to = to
    self.cause = cause
  }
}

/// A stream that was not admitted, or was ended, and the true reason.
package struct RefusalEntry: Equatable, Sendable, Codable {
  /// A stream that ran and was ended by a close: told, and no alarm.
  package static let streamEnded = "stream-ended"

  package var at: UTCTime
  package var camera: String?
  package var service: ServiceID?
  package var peer: String
  package var code: String
  package var sentence: String
  package var proven: Bool
  package var count: Int64

  package init(
    at: UTCTime, camera: String?, service: ServiceID?, peer: String, code: String, sentence: String,
    proven: Bool, count: Int64 = 1
  ) {
    self.at = at
    self.camera = camera
    self.service = service
    self.peer = peer
    self.code = code
    self.sentence = sentence
    self.proven = proven
    self.count = count
  }
}

/// One line of the register of recordings.
package struct RegisterRow: Equatable, Sendable, Codable {
  package var recording: RecordingID
  package var state: String
  package var service: String
  package var agent: String?
  package var matricule: String?
  package var camera: String?
  package var incident: IncidentID
  package var reference: String?
  package var from: UTCTime?
  package var to: UTCTime?
  package var size_bytes: Int64?
  package var gaps: Int64
  package var termDay: LocalDate?
  package var decodeVerdict: String?
  package var decodeDetail: String?
  package var damage: Int64?
  package var chainHead: String?
  package var erasedAt: UTCTime?

  package init(
    recording: RecordingID, state: String, service: String, agent: String?, matricule: String?,
    camera: String?, incident: IncidentID, reference: String?, from: UTCTime?, to: UTCTime?,
    size_bytes: Int64?, gaps: Int64, termDay: LocalDate?, decodeVerdict: String?, decodeDetail: String?,
    damage: Int64?, chainHead: String?, erasedAt: UTCTime?
  ) {
    self.recording = recording
    self.state = state
    self.service = service
    self.agent = agent
    self.matricule = matricule
    self.camera = camera
    self.incident = incident
    self.reference = reference
    self.from = from
    self.to = to
    self.size_bytes = size_bytes
    self.gaps = gaps
    self.termDay = termDay
    self.decodeVerdict = decodeVerdict
    self.decodeDetail = decodeDetail
    self.damage = damage
    self.chainHead = chainHead
    self.erasedAt = erasedAt
  }
}

/// What an auditor asks the register for: facts, never content (MET-5).
package struct RegisterFilter: Equatable, Sendable, Codable {
  package var service: String?
  package var agent: String?
  package var camera: String?
  package var incident: String?
  package var state: String?
  package var from: UTCTime?
  package var to: UTCTime?
  package var limit: Int
  package var after: String?

  /// Rows of one answer at the most; the next page goes on `after` the last row.
  package static let maximumLimit = 1000

  package init(
    service: String? = nil, agent: String? = nil, camera: String? = nil, incident: String? = nil,
    state: String? = nil, from: UTCTime? = nil, to: UTCTime? = nil, limit: Int = 200, after: String? = nil
  ) {
    self.service = service
    self.agent = agent
    self.camera = camera
    self.incident = incident
    self.state = state
    self.from = from
    self.to = to
    self.limit = max(1, min(limit, Self.maximumLimit))
    self.after = after
  }
}

/// A write that the register refuses for what was asked.
package enum StoreComplaint: Equatable, Sendable {
  /// Something of this name is there already.
  case exists
  /// A value breaks a rule of the schema, or names something that is not there.
  case refused
}
