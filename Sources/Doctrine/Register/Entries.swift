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
  /// How long the live relay waits for a packet that is missing.
  package var relayBudget_ms: Int

  package init(
    id: ServiceID, name: String, regime: Regime, authorisingAct: String, authorisingDate: LocalDate,
    authorisedCameras: Int?, relayBudget_ms: Int = ReceptionSettings.relayBudget_ms
  ) {
    self.id = id
    self.name = name
    self.regime = regime
    self.authorisingAct = authorisingAct
    self.authorisingDate = authorisingDate
    self.authorisedCameras = authorisedCameras
    self.relayBudget_ms = relayBudget_ms
  }

  /// What an earlier version wrote has no budget: it is the default.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      id: try values.decode(ServiceID.self, forKey: .id), name: try values.decode(String.self, forKey: .name),
      regime: try values.decode(Regime.self, forKey: .regime),
      authorisingAct: try values.decode(String.self, forKey: .authorisingAct),
      authorisingDate: try values.decode(LocalDate.self, forKey: .authorisingDate),
      authorisedCameras: try values.decodeIfPresent(Int.self, forKey: .authorisedCameras),
      relayBudget_ms: try values.decodeIfPresent(Int.self, forKey: .relayBudget_ms) ?? ReceptionSettings.relayBudget_ms)
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
  package var delivery: Delivery
  package var maximumRate_kbps: Int
  /// What it last told of its clock (MET-3).
  package var clock: CameraClock?

  package init(
    id: CameraID, service: ServiceID, model: String, passphraseSealed: [UInt8], tokenHash: [UInt8],
    enabled: Bool, issuedTo: AgentEntry?, delivery: Delivery = .complete,
    maximumRate_kbps: Int = ReceptionSettings.maximumRate_kbps, clock: CameraClock? = nil
  ) {
    self.id = id
    self.service = service
    self.model = model
    self.passphraseSealed = passphraseSealed
    self.tokenHash = tokenHash
    self.enabled = enabled
    self.issuedTo = issuedTo
    self.delivery = delivery
    self.maximumRate_kbps = maximumRate_kbps
    self.clock = clock
  }

  /// What an earlier version wrote says nothing of reception: it is as for a new camera.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      id: try values.decode(CameraID.self, forKey: .id), service: try values.decode(ServiceID.self, forKey: .service),
      model: try values.decode(String.self, forKey: .model),
      passphraseSealed: try values.decode([UInt8].self, forKey: .passphraseSealed),
      tokenHash: try values.decode([UInt8].self, forKey: .tokenHash),
      enabled: try values.decode(Bool.self, forKey: .enabled),
      issuedTo: try values.decodeIfPresent(AgentEntry.self, forKey: .issuedTo),
      delivery: try values.decodeIfPresent(Delivery.self, forKey: .delivery) ?? .complete,
      maximumRate_kbps: try values.decodeIfPresent(Int.self, forKey: .maximumRate_kbps)
        ?? ReceptionSettings.maximumRate_kbps,
      clock: try values.decodeIfPresent(CameraClock.self, forKey: .clock))
  }
}

/// A named account with what a log-in needs.
package struct AccountEntry: Equatable, Sendable, Codable {
  package var id: AccountID
  package var name: String
  package var agent: AgentEntry
  package var passwordHash: String
  package var failedAttempts: Int
  package var lockedUntil: UTCTime?
  package var disabled: Bool
  package var secondFactor: SecondFactorEntry?
  package var accreditations: [Accreditation]

  package init(
    id: AccountID, name: String, agent: AgentEntry, passwordHash: String, failedAttempts: Int,
    lockedUntil: UTCTime?, disabled: Bool, secondFactor: SecondFactorEntry?, accreditations: [Accreditation]
  ) {
    self.id = id
    self.name = name
    self.agent = agent
    self.passwordHash = passwordHash
    self.failedAttempts = failedAttempts
    self.lockedUntil = lockedUntil
    self.disabled = disabled
    self.secondFactor = secondFactor
    self.accreditations = accreditations
  }

  package var actor: Actor { Actor(account: id, agent: agent.id, name: name, accreditations: accreditations) }
}

/// The second factor of an account: a time-based code's secret, sealed.
package struct SecondFactorEntry: Equatable, Sendable, Codable {
  package var sealed: [UInt8]
  /// A code was right once: from then on it is asked for.
  package var isConfirmed: Bool
  /// Time steps up to this one are used up.
  package var lastStep: Int64?

  package init(sealed: [UInt8], isConfirmed: Bool, lastStep: Int64?) {
    self.sealed = sealed
    self.isConfirmed = isConfirmed
    self.lastStep = lastStep
  }
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
  /// The day key that wraps it: the local day, or a hold's.
  package var keyName: String
  package var path: String
  package var place: FootagePlace

  package init(
    id: PartID, recording: RecordingID, service: ServiceID, number: Int, localDay: LocalDate,
    termDay: LocalDate, regime: String, regimeVersion: Int, wrappedKey: [UInt8], keyName: String, path: String,
    place: FootagePlace = .disk
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
    self.keyName = keyName
    self.path = path
    self.place = place
  }
}

/// The kinds of place a closed master can lie in; what it is called there is the same in each.
package enum FootagePlace: String, Sendable, Codable {
  case disk
  case object
}

/// What the index says of a part's file.
package struct PartFacts: Equatable, Sendable {
  package var progress: PartProgress
  package var recording: RecordingID
  package var path: String
  package var place: FootagePlace
  package var state: String
  package var media_bytes: Int64
  /// A disk failed under it: it ends at its count of chunks without a close, and another part goes on.
  package var isContinued: Bool

  package init(
    progress: PartProgress, recording: RecordingID, path: String, place: FootagePlace, state: String,
    media_bytes: Int64, isContinued: Bool
  ) {
    self.progress = progress
    self.recording = recording
    self.path = path
    self.place = place
    self.state = state
    self.media_bytes = media_bytes
    self.isContinued = isContinued
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
  /// Nothing came any more over a connection that was alive, and nothing is known to be missing: a camera that sent nothing, or
  /// all that was under way lost at once.
  case silent = "silent"
  case lostInTransport = "lost-in-transport"
  case noSpace = "no-space"
  /// The camera's encoder left something out: nothing was lost on the way.
  case encoder = "encoder"
  /// The camera sent more than it may and was sent away.
  case tooFast = "too-fast"

  package var sentence: String {
    switch self {
    case .linkLost: "liaison perdue"
    case .stoppedBySender: "envoi arrêté puis repris par la caméra"
    case .serverRestart: "arrêt du serveur"
    case .notDeliverable: "reçu par le transport, non remis"
    case .silent: "plus rien reçu d'une liaison vivante, connexion terminée par le serveur"
    case .lostInTransport: "perdu par le transport"
    case .noSpace: "plus de place sur le disque"
    case .tooFast: "débit maximal dépassé, connexion terminée"
    case .encoder: "discontinuité de l'encodeur de la caméra"
    }
  }
}

package struct GapEntry: Equatable, Sendable, Codable {
  package var part: PartID
  package var chunk: Int64
  package var from: UTCTime
  package var to: UTCTime
  package var cause: GapCause
  /// Packets that never came, where they were counted: of the transport for a loss, of the transport stream for an encoder.
  package var missing: Int64

  package init(part: PartID, chunk: Int64, from: UTCTime, to: UTCTime, cause: GapCause, missing: Int64 = 0) {
    self.part = part
    self.chunk = chunk
    self.from = from
    self.to = to
    self.cause = cause
    self.missing = missing
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
  /// Where the law says so, of a camera that proved who it is.
  package var article: String?
  package var proven: Bool
  package var count: Int64

  package init(
    at: UTCTime, camera: String?, service: ServiceID?, peer: String, code: String, sentence: String,
    article: String? = nil, proven: Bool, count: Int64 = 1
  ) {
    self.at = at
    self.camera = camera
    self.service = service
    self.peer = peer
    self.code = code
    self.sentence = sentence
    self.article = article
    self.proven = proven
    self.count = count
  }
}

/// A write that the register refuses for what was asked.
package enum StoreComplaint: Equatable, Sendable {
  /// Something of this name is there already.
  case exists
  /// A value breaks a rule of the schema, or names something that is not there.
  case refused
}

/// Rows of a part's index, or of several.
package struct IndexRows: Equatable, Sendable {
  package var segments: [SegmentEntry]
  package var gaps: [GapEntry]

  package init(segments: [SegmentEntry] = [], gaps: [GapEntry] = []) {
    self.segments = segments
    self.gaps = gaps
  }

  package var isEmpty: Bool { segments.isEmpty && gaps.isEmpty }
}

/// A secret of the register, as it is sealed under the master key.
package struct SealedSecret: Equatable, Sendable {
  package enum Kind: Equatable, Sendable {
    /// A camera's, by its name.
    case passphrase
    /// An account's, by its identifier.
    case secondFactor
  }

  package var kind: Kind
  package var subject: String
  package var sealed: [UInt8]

  package init(kind: Kind, subject: String, sealed: [UInt8]) {
    self.kind = kind
    self.subject = subject
    self.sealed = sealed
  }
}
