package import Doctrine
package import Footage

/// Leave to write one part, given ahead: its names and its key.
package struct PartGrant: Equatable, Sendable, Codable {
  package var part: PartID
  package var number: Int
  package var localDay: LocalDate
  /// The local day, as times: `start <= t < end`.
  package var dayStart: UTCTime
  package var dayEnd: UTCTime
  /// Secret: lives in the ingest's memory while it writes, and nowhere else outside the keeper.
  package var key: Blob
  package var wrappedKey: Blob

  package init(
    part: PartID, number: Int, localDay: LocalDate, dayStart: UTCTime, dayEnd: UTCTime, key: Blob,
    wrappedKey: Blob
  ) {
    self.part = part
    self.number = number
    self.localDay = localDay
    self.dayStart = dayStart
    self.dayEnd = dayEnd
    self.key = key
    self.wrappedKey = wrappedKey
  }
}

/// Leave to open one incident for a camera, given ahead so that a wearer's activation waits for nobody.
package struct IncidentGrant: Equatable, Sendable, Codable {
  package var incident: IncidentID
  package var recording: RecordingID
  package var parts: [PartGrant]

  package init(incident: IncidentID, recording: RecordingID, parts: [PartGrant]) {
    self.incident = incident
    self.recording = recording
    self.parts = parts
  }
}

/// What the ingest must know of a camera to admit it without asking.
package struct CameraAdmission: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var service: ServiceID
  /// Secret.
  package var passphrase: String
  package var enabled: Bool
  package var issuedTo: AgentID?
  package var regime: String
  package var regimeVersion: Int
  package var reception: ReceptionSettings
  /// Leave for the next incidents, the first to be used first; one is used up by an opening.
  package var grants: [IncidentGrant]

  package init(
    camera: CameraID, service: ServiceID, passphrase: String, enabled: Bool, issuedTo: AgentID?,
    regime: String, regimeVersion: Int, reception: ReceptionSettings = .init(), grants: [IncidentGrant]
  ) {
    self.camera = camera
    self.service = service
    self.passphrase = passphrase
    self.enabled = enabled
    self.issuedTo = issuedTo
    self.regime = regime
    self.regimeVersion = regimeVersion
    self.reception = reception
    self.grants = grants
  }
}

/// From keeper to ingest, in order, on one stream. The first lines after connecting are the whole table.
package enum IngestDirective: Equatable, Sendable, Codable {
  case admission(CameraAdmission)
  case closeIncident(IncidentID, cause: ClosingCause, by: String)
  /// Whether the ordered bytes of a recording may go to the console now.
  case live(RecordingID, open: Bool)
  /// The register was made anew: files that a stop left open are to be asked about once more.
  case lookAgain
  case heartbeat
}

/// What a link test found (`r=linktest`): never recorded, never relayed.
package struct LinkTestResult: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var at: UTCTime
  package var duration_ms: Int64
  package var packets: Int64
  package var lost: Int
  package var roundTrip_ms: Double
  package var rate_mbps: Double

  package init(
    camera: CameraID, at: UTCTime, duration_ms: Int64, packets: Int64, lost: Int, roundTrip_ms: Double,
    rate_mbps: Double
  ) {
    self.camera = camera
    self.at = at
    self.duration_ms = duration_ms
    self.packets = packets
    self.lost = lost
    self.roundTrip_ms = roundTrip_ms
    self.rate_mbps = rate_mbps
  }
}

/// A part whose file was opened.
package struct PartOpened: Equatable, Sendable, Codable {
  package var part: PartID
  package var recording: RecordingID
  package var service: ServiceID
  package var number: Int
  package var localDay: LocalDate
  package var wrappedKey: Blob
  package var path: String

  package init(
    part: PartID, recording: RecordingID, service: ServiceID, number: Int, localDay: LocalDate,
    wrappedKey: Blob, path: String
  ) {
    self.part = part
    self.recording = recording
    self.service = service
    self.number = number
    self.localDay = localDay
    self.wrappedKey = wrappedKey
    self.path = path
  }
}

/// What a camera's call says beside its name: of the incident, not of the connection.
package struct StreamClaims: Equatable, Sendable, Codable {
  package var threat: ThreatGround?
  /// Of the intervention.
  package var reference: String?

  package init(threat: ThreatGround? = nil, reference: String? = nil) {
    self.threat = threat
    self.reference = reference
  }
}

/// From ingest to keeper, in order. Told again until acknowledged; taking one twice changes nothing.
package enum IngestEvent: Equatable, Sendable, Codable {
  case incidentOpened(IncidentEntry, threat: ThreatGround?, peer: String)
  case partOpened(PartOpened)
  case streamJoined(IncidentID, RecordingID, epoch: Int64, at: UTCTime, peer: String, said: StreamClaims)
  case streamLeft(IncidentID, RecordingID, epoch: Int64, at: UTCTime)
  case segment(SegmentEntry)
  case gap(GapEntry)
  case chainHeads([PartProgress])
  case partClosed(PartProgress)
  case incidentClosed(IncidentClosed)
  case linkTested(LinkTestResult)
  /// How the links of connected cameras did since the last time, every ten seconds.
  case linkHealth([LinkHealth])
  /// Recordings whose camera is connected now: told when the keeper comes back.
  case streaming([RecordingID])
}

/// An event with its place in the ingest's order.
package struct NumberedEvent: Equatable, Sendable, Codable {
  package var number: UInt64
  package var event: IngestEvent

  package init(number: UInt64, event: IngestEvent) {
    self.number = number
    self.event = event
  }
}

/// A file found when the ingest starts: without a close chunk, or closed so lately that it may be untold.
package struct FoundPart: Equatable, Sendable, Codable {
  package var part: PartID
  package var recording: RecordingID
  package var incident: IncidentID
  package var service: ServiceID
  package var localDay: LocalDate
  package var wrappedKey: Blob
  package var sealedFacts: Blob
  package var path: String
  package var created: UTCTime
  package var isClosed: Bool

  package init(
    part: PartID, recording: RecordingID, incident: IncidentID, service: ServiceID, localDay: LocalDate,
    wrappedKey: Blob, sealedFacts: Blob, path: String, created: UTCTime, isClosed: Bool
  ) {
    self.part = part
    self.recording = recording
    self.incident = incident
    self.service = service
    self.localDay = localDay
    self.wrappedKey = wrappedKey
    self.sealedFacts = sealedFacts
    self.path = path
    self.created = created
    self.isClosed = isClosed
  }
}

extension FoundPart {
  /// A part as its file says it.
  package init(_ header: PartHeader, path: String, isClosed: Bool) {
    let day = Int(header.localDay)
    self.init(
      part: PartID(UUIDText.text(header.part)), recording: RecordingID(UUIDText.text(header.recording)),
      incident: IncidentID(UUIDText.text(header.incident)), service: ServiceID(UUIDText.text(header.service)),
      localDay: LocalDate(year: day / 10_000, month: day / 100 % 100, day: day % 100),
      wrappedKey: Blob(header.wrappedKey), sealedFacts: Blob(header.sealedFacts), path: path,
      created: UTCTime(microseconds: header.created_us), isClosed: isClosed)
  }
}

/// What the pages of found files came to: what the register has besides is judged by it.
package struct FoundFiles: Equatable, Sendable, Codable {
  /// Parts whose file is open on a disk, or being written.
  package var open: [PartID]
  /// Incidents that go on, or whose close is told with their file.
  package var going: [IncidentID]
  /// What was opened since is not the keeper's to judge.
  package var startedAt: UTCTime

  package init(open: [PartID], going: [IncidentID], startedAt: UTCTime) {
    self.open = open
    self.going = going
    self.startedAt = startedAt
  }
}

/// How far the register knows a part's file: what follows is read again at a start.
package struct IndexedPoint: Equatable, Sendable, Codable {
  package var chunkCount: Int64
  /// Chain hash after them; empty where there are none.
  package var head: Blob
  package var file_bytes: Int64
  package var lastArrival: UTCTime
  package var lastEpoch: Int64

  package init(chunkCount: Int64, head: [UInt8], file_bytes: Int64, lastArrival: UTCTime, lastEpoch: Int64) {
    self.chunkCount = chunkCount
    self.head = Blob(head)
    self.file_bytes = file_bytes
    self.lastArrival = lastArrival
    self.lastEpoch = lastEpoch
  }
}

/// What to do with a part that the ingest found open, or that the index believes open.
package struct FoundPartAnswer: Equatable, Sendable, Codable {
  package var grant: PartGrant
  package var recording: RecordingID
  package var incident: IncidentID
  package var path: String
  /// How far the index has it; nil where that cannot be known now, and the register completes it from the file later.
  package var indexed: IndexedPoint?
  /// The incident goes on if its camera comes back in time; nil: close the file if it is not closed.
  package var resume: ResumedIncident?
  /// The incident is open in the register and over: its close is to be told with the file's.
  package var closing: PendingClose?

  package init(
    grant: PartGrant, recording: RecordingID, incident: IncidentID, path: String,
    indexed: IndexedPoint?, resume: ResumedIncident?, closing: PendingClose?
  ) {
    self.grant = grant
    self.recording = recording
    self.incident = incident
    self.path = path
    self.indexed = indexed
    self.resume = resume
    self.closing = closing
  }
}

/// An incident whose close was decided, or happened, and is not in the register yet.
package struct PendingClose: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var cause: ClosingCause
  package var by: String?

  package init(camera: CameraID, cause: ClosingCause, by: String?) {
    self.camera = camera
    self.cause = cause
    self.by = by
  }
}

package struct ResumedIncident: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var agent: AgentID
  package var activation: String?
  /// Leave for the parts after the found one.
  package var parts: [PartGrant]

  package init(camera: CameraID, agent: AgentID, activation: String?, parts: [PartGrant]) {
    self.camera = camera
    self.agent = agent
    self.activation = activation
    self.parts = parts
  }
}

/// How long chunks took to be durable, counted since the start.
package struct DurabilityCounts: Equatable, Sendable, Codable {
  /// Upper bounds; a last one is without end.
  package static let bounds_ms: [Int64] = [250, 500, 600, 700, 800, 900, 1000, 2000, 5000]

  package private(set) var counts = [Int](repeating: 0, count: bounds_ms.count + 1)
  package private(set) var sum_ms: Int64 = 0

  package init() {}

  package mutating func add(lag_ms: Int64) {
    counts[Self.bounds_ms.firstIndex { lag_ms <= $0 } ?? Self.bounds_ms.count] += 1
    sum_ms += lag_ms
  }
}

/// How the ingest does: what the wall, the administrator and the metrics show.
package struct IngestStatus: Equatable, Sendable, Codable {
  package struct Volume: Equatable, Sendable, Codable {
    /// As paths begin on it; empty for the footage folder's own disk.
    package var prefix: String
    package var free_bytes: Int64
    package var total_bytes: Int64
    package var isHealthy: Bool

    package init(prefix: String, free_bytes: Int64, total_bytes: Int64, isHealthy: Bool) {
      self.prefix = prefix
      self.free_bytes = free_bytes
      self.total_bytes = total_bytes
      self.isHealthy = isHealthy
    }
  }

  /// The longest that a packet waited to be durable since the last time this was asked (P5: within 1 s).
  package var durabilityLag_ms: Int64
  package var durability: DurabilityCounts
  /// Events that wait for the keeper.
  package var waiting: Int
  /// Events that were dropped while it was away, nearly always index rows: the files have what they say.
  package var dropped: Int
  package var volumes: [Volume]
  /// Recordings whose file does not take what is sent now.
  package var failing: [RecordingID]

  package init(
    durabilityLag_ms: Int64, durability: DurabilityCounts, waiting: Int, dropped: Int, volumes: [Volume],
    failing: [RecordingID]
  ) {
    self.durabilityLag_ms = durabilityLag_ms
    self.durability = durability
    self.waiting = waiting
    self.dropped = dropped
    self.volumes = volumes
    self.failing = failing
  }
}

package enum IngestCall: Sendable, Codable {
  /// `boot` names this run of the ingest; numbers start at 1 in it. `oldest` is the first that is not acknowledged.
  case events(boot: String, oldest: UInt64, [NumberedEvent])
  /// Refused calls, in a line of their own: nothing waits behind them. `number` is the batch's place in this run of the
  /// ingest, from 1; told again, with the same lines, until it is acknowledged.
  case refusals(boot: String, number: UInt64, [RefusalEntry])
  /// How the footage's disks do, every few seconds; answered with `acknowledged`.
  case status(IngestStatus)
  /// A page of the files found open at the start, or closed lately; those of one recording are in one page. Asked again
  /// until the answer is whole: then nothing is taken up any more but `taken`, which the ingest is writing by now.
  case found([FoundPart], taken: [PartID]?)
  /// After the last page: the answer names parts that only the index believes open.
  case foundAll(FoundFiles)
}

package enum IngestReply: Sendable, Codable {
  /// Events up to `upTo` are in the register: never tell them again. Events up to `noted` have taken effect and are
  /// journalled; those between are told again until the register has them.
  case acknowledged(upTo: UInt64, noted: UInt64)
  case refusalsTaken
  /// Not whole while the database is away: then it has only what can go on without it.
  case found([FoundPartAnswer], isWhole: Bool)
}
