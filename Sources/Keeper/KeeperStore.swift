package import Doctrine

/// What the keeper needs of the register. `plastron` hands it one.
package protocol KeeperStore: Sendable {
  func services() async throws -> [ServiceEntry]
  func insert(_ service: ServiceEntry, at time: UTCTime) async throws
  func agents(of service: ServiceID) async throws -> [AgentEntry]
  func agent(_ id: AgentID) async throws -> AgentEntry?
  func insert(_ agent: AgentEntry) async throws
  func insertAccount(_ id: AccountID, name: String, agent: AgentID, passwordHash: String, at time: UTCTime) async throws
  func account(named name: String) async throws -> AccountEntry?
  func account(_ id: AccountID) async throws -> AccountEntry?
  func setLogInState(_ id: AccountID, failedAttempts: Int, lockedUntil: UTCTime?) async throws
  func insert(_ accreditation: Accreditation, account: AccountID, givenBy: String) async throws
  func insertSession(_ tokenHash: [UInt8], account: AccountID, at time: UTCTime, until: UTCTime) async throws
  func useSession(_ tokenHash: [UInt8], at time: UTCTime, idleSince: UTCTime) async throws -> AccountID?
  func deleteSession(_ tokenHash: [UInt8]) async throws

  func cameras() async throws -> [CameraEntry]
  func insert(_ camera: CameraEntry, at time: UTCTime) async throws
  func setCamera(_ id: CameraID, enabled: Bool) async throws
  func issueCamera(_ id: CameraID, issue: String, to agent: AgentID, by author: String, at time: UTCTime) async throws
  func returnCamera(_ id: CameraID, at time: UTCTime) async throws
  func insert(_ refusal: RefusalEntry) async throws
  func refusals(of services: [ServiceID], limit: Int) async throws -> [RefusalEntry]

  func open(_ incident: IncidentEntry) async throws
  func activeIncidents() async throws -> [(IncidentEntry, ThreatEntry?, closing: ClosingCause?, by: String?)]
  func requestClose(_ incident: IncidentID, cause: ClosingCause, by author: String) async throws
  func openParts() async throws -> [(PartEntry, incident: IncidentID, chunkCount: Int64)]
  func known(among parts: [PartID]) async throws -> Set<PartID>
  func closeOpenViewings(at time: UTCTime) async throws -> Int
  func partPaths() async throws -> [String]
  func isTransient(_ error: any Error) -> Bool
  /// Why a failure is the caller's own: a name that exists already, a value that a rule refuses; nil otherwise.
  func complaint(_ error: any Error) -> StoreComplaint?
  func close(_ closed: IncidentClosed) async throws
  func open(_ part: PartEntry) async throws
  func insert(_ segment: SegmentEntry) async throws
  func insert(_ gap: GapEntry) async throws
  func close(_ part: PartProgress) async throws
  func parts(of recording: RecordingID) async throws -> [(PartEntry, state: String, chunkCount: Int64)]
  func recording(_ id: RecordingID) async throws -> (service: ServiceID, state: String, camera: CameraID?)?
  func insert(_ threat: ThreatEntry) async throws
  func closeThreat(of incident: IncidentID, at time: UTCTime) async throws
  func insertViewing(
    _ id: ViewingID, recording: RecordingID, account: AccountID, accreditation: AccreditationID, kind: String,
    at time: UTCTime) async throws
  func closeViewing(_ id: ViewingID, at time: UTCTime) async throws
  func nextDecodeCheck() async throws -> RecordingID?
  func setDecodeVerdict(_ id: RecordingID, verdict: String, detail: String) async throws

  func rows(_ filter: RegisterFilter, services: [ServiceID]) async throws -> [RegisterRow]
  func partFacts(of services: [ServiceID]) async throws -> [(
    PartProgress, recording: RecordingID, path: String, state: String, media_bytes: Int64
  )]
  func dueParts(on day: LocalDate, limit: Int) async throws -> [(
    part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate,
    path: String?, chainHead: [UInt8]
  )]
  func beginErasure(of part: PartID) async throws
  func dayKeyIsNeeded(service: ServiceID, day: LocalDate) async throws -> Bool
  func eraseFacts(of part: PartID, recording: RecordingID, certificate: String, at time: UTCTime) async throws
  func dropIndex(of termDay: LocalDate) async throws
  func journalIndexSize() async throws -> UInt64
  func indexJournal(_ entries: [JournalIndexRow]) async throws
}

/// One row of the journal's index.
package typealias JournalIndexRow = (
  position: UInt64, time_us: Int64, kind: String, act: String, author: String, service: String?, text: String,
  leaf: [UInt8]
)
