package import Doctrine

/// What the keeper needs of the register. `plastron` hands it one.
package protocol KeeperStore: Sendable {
  func services() async throws -> [ServiceEntry]
  func insert(_ service: ServiceEntry, at time: UTCTime) async throws
  func authorise(_ service: ServiceID, act: String, on date: LocalDate, cameras: Int?) async throws
  func agents(of service: ServiceID) async throws -> [AgentEntry]
  func agent(_ id: AgentID) async throws -> AgentEntry?
  func insert(_ agent: AgentEntry) async throws
  func insertAccount(_ id: AccountID, name: String, agent: AgentID, passwordHash: String, at time: UTCTime) async throws
  func account(named name: String) async throws -> AccountEntry?
  func account(_ id: AccountID) async throws -> AccountEntry?
  func countFailure(_ id: AccountID, limit: Int, lockedUntil: UTCTime) async throws -> Bool
  func clearFailures(_ id: AccountID) async throws
  func setPassword(_ id: AccountID, hash: String, keeping session: [UInt8]) async throws
  func insert(_ accreditation: Accreditation, account: AccountID, givenBy: String) async throws
  func accreditation(_ id: AccreditationID) async throws -> (service: ServiceID, role: Role, account: AccountID)?
  func endAccreditation(_ id: AccreditationID, by author: String, act: String, at time: UTCTime) async throws
  func setSecondFactor(_ id: AccountID, sealed: [UInt8]?) async throws -> Bool
  func confirmSecondFactor(
    _ id: AccountID, sealed: [UInt8], step: Int64, recovery: [[UInt8]], session: [UInt8], at time: UTCTime
  ) async throws -> Bool
  func useStep(_ id: AccountID, _ step: Int64) async throws -> Bool
  func useRecoveryCode(_ id: AccountID, _ hash: [UInt8], at time: UTCTime) async throws -> Bool
  func link(_ account: AccountID, issuer: String, subject: String, at time: UTCTime) async throws
  func account(issuer: String, subject: String) async throws -> AccountEntry?
  func disableAccount(_ id: AccountID, at time: UTCTime?) async throws
  func insertSession(_ tokenHash: [UInt8], account: AccountID, isLimited: Bool, at time: UTCTime, until: UTCTime)
    async throws
  func useSession(_ tokenHash: [UInt8], at time: UTCTime, idleSince: UTCTime) async throws -> (
    account: AccountID, isLimited: Bool, until: UTCTime
  )?
  func deleteSession(_ tokenHash: [UInt8]) async throws

  /// Everything that the master key seals in the register.
  func sealedSecrets() async throws -> [SealedSecret]
  /// Puts a secret under another key in place of what it was; a no-op where it was changed meanwhile.
  func reseal(_ secret: SealedSecret, as sealed: [UInt8]) async throws

  func cameras() async throws -> [CameraEntry]
  func insert(_ camera: CameraEntry, at time: UTCTime) async throws
  func setCamera(_ id: CameraID, enabled: Bool) async throws
  func issueCamera(_ id: CameraID, issue: String, to agent: AgentID, by author: String, at time: UTCTime) async throws
  /// Whether a camera was an agent's at a time.
  func wasIssued(_ camera: CameraID, to agent: AgentID, at time: UTCTime) async throws -> Bool
  func returnCamera(_ id: CameraID, at time: UTCTime) async throws
  func setReception(of camera: CameraID, _ delivery: Delivery, maximumRate_kbps: Int) async throws
  func setRelayBudget(of service: ServiceID, _ budget_ms: Int) async throws
  func setClocks(_ clocks: [CameraID: CameraClock]) async throws
  /// Adds to what stands beside recordings: an offset that is there stays.
  func setClocks(_ clocks: [RecordingID: RecordingClock]) async throws
  func insert(_ minutes: [LinkMinute]) async throws
  func linkMinutes(
    of camera: CameraID, days: ClosedRange<LocalDate>, from: UTCTime, to: UTCTime, limit: Int
  ) async throws -> [LinkMinute]
  func dropLinkHealth(before day: LocalDate) async throws -> Int
  func insert(_ refusal: RefusalEntry) async throws
  func refusals(of services: [ServiceID], limit: Int) async throws -> [RefusalEntry]

  func open(_ incident: IncidentEntry) async throws
  func activeIncidents() async throws -> [(
    IncidentEntry, ThreatEntry?, wasThreatened: Bool, closing: ClosingCause?, by: String?, confirmedUntil: UTCTime?,
    clock: RecordingClock?
  )]
  func setReference(of recording: RecordingID, _ reference: String) async throws
  func requestClose(_ incident: IncidentID, cause: ClosingCause, by author: String) async throws
  func part(_ id: PartID) async throws -> PartEntry?
  func openParts() async throws -> [(PartEntry, incident: IncidentID, chunkCount: Int64)]
  func known(among parts: [PartID]) async throws -> Set<PartID>
  /// The numbers, in their recordings, of those of these parts that are registered and have their key.
  func numbers(of parts: [PartID]) async throws -> [PartID: Int]
  func closeOpenViewings(at time: UTCTime) async throws -> Int
  func partPaths() async throws -> [String]
  /// How many connections to the database were lost since the start.
  var connectionLosses: Int { get }
  /// Whether the database answers at all.
  func answers() async -> Bool
  func isTransient(_ error: any Error) -> Bool
  /// Whether the database itself is away.
  func isUnavailable(_ error: any Error) -> Bool
  /// Why a failure is the caller's own: a name that exists already, a value that a rule refuses; nil otherwise.
  func complaint(_ error: any Error) -> StoreComplaint?
  func close(_ closed: IncidentClosed) async throws
  func open(_ part: PartEntry) async throws
  func insert(_ rows: IndexRows) async throws
  func indexedUpTo(_ part: PartID) async throws -> (progress: PartProgress, lastArrival: UTCTime?, lastEpoch: Int64)?
  func indexedUpTo(
    _ parts: [PartID]
  ) async throws -> [PartID: (progress: PartProgress, lastArrival: UTCTime?, lastEpoch: Int64)]
  func isIndexWhole(_ part: PartID) async throws -> Bool
  /// Closed parts of a day and after of which chunks are in no row.
  func unwholeParts(since day: LocalDate) async throws -> [PartProgress]
  /// Which of these incidents the register has as closed.
  func closedIncidents(among incidents: [IncidentID]) async throws -> Set<IncidentID>
  /// Whether a part was erased, and a certificate is in the register.
  func isErased(_ part: PartID) async throws -> Bool
  /// Parts of the register, erased ones too: none in a new one.
  func hasParts() async throws -> Bool
  func replaceIndex(of progress: PartProgress, with rows: IndexRows) async throws
  func close(_ part: PartProgress) async throws
  func parts(of recording: RecordingID) async throws -> [(PartEntry, state: String, chunkCount: Int64)]
  func facts(of recording: RecordingID) async throws -> RecordingFacts?
  func chainHeads(of recording: RecordingID) async throws -> [[UInt8]]
  func insert(_ threat: ThreatEntry) async throws
  func closeThreat(_ id: ThreatID, at time: UTCTime) async throws
  func insertViewing(
    _ id: ViewingID, recording: RecordingID, account: AccountID, accreditation: AccreditationID?, kind: String,
    at time: UTCTime) async throws
  func closeViewing(_ id: ViewingID, at time: UTCTime) async throws
  func nextDecodeCheck() async throws -> RecordingID?
  func setDecodeVerdict(_ id: RecordingID, verdict: String, detail: String) async throws

  func filters(of view: RegisterView) -> [RegisterFilter.Key]
  func states(of view: RegisterView) -> [String]
  func page(_ view: RegisterView, _ filter: RegisterFilter, services: [ServiceID]) async throws -> RegisterPage?
  func dayCounts(services: [ServiceID], from: LocalDate, to: LocalDate) async throws -> [DayCount]
  func report(of service: ServiceID, from: UTCTime, to: UTCTime) async throws -> [String: Int64]
  func partFacts(of services: [ServiceID]) async throws -> [PartFacts]
  func nextFootageCheck(before time: UTCTime, onDisksOnly: Bool) async throws -> PartFacts?
  /// The oldest closed part that lies on a disk and was recorded by a day.
  func nextToMove(recordedBy day: LocalDate, except skipped: [PartID]) async throws -> PartFacts?
  func partFacts(of part: PartID) async throws -> PartFacts?
  /// False where there is no such closed part.
  func setPlace(_ part: PartID, _ place: FootagePlace, location: String?) async throws -> Bool
  /// Returns the part's recording and service; nil where it is gone.
  func setChecked(_ part: PartID, finding: String?, at time: UTCTime) async throws -> (
    recording: RecordingID, service: ServiceID
  )?
  func alteredParts() async throws -> Int
  func dueParts(on day: LocalDate, limit: Int, except waiting: [PartID]) async throws -> [(
    part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate,
    path: String?, place: FootagePlace, location: String?, chainHead: [UInt8], keyName: String?
  )]
  func planned(until day: LocalDate, services: [ServiceID], limit: Int) async throws -> [PlannedErasure]
  func beginErasure(of part: PartID) async throws -> Bool
  /// Position of the certificate that a part has already, where a stop came between it and the register.
  func certificate(of part: PartID, recording: RecordingID, service: ServiceID) async throws -> UInt64?
  func keyIsNeeded(service: ServiceID, name: String, day: LocalDate) async throws -> Bool
  func eraseFacts(of part: PartID, recording: RecordingID, certificate: UInt64, at time: UTCTime) async throws
  /// What an erasure left, where nothing of it is there any more: a no-op for a recording that is.
  func enterErased(
    _ part: PartID, recording: RecordingID, incident: IncidentID, service: ServiceID, chainHead: [UInt8],
    certificate: UInt64, at time: UTCTime) async throws
  func dropIndex(until day: LocalDate) async throws -> Int
  func sweeperClock() async throws -> (sweptAt: UTCTime, stoppedSince: UTCTime?, reason: String?)?
  func setSweeperClock(_ sweptAt: UTCTime, stoppedSince: UTCTime?, reason: String?) async throws

  func setRegime(of service: ServiceID, _ regime: Regime) async throws -> Int
  func answer(_ recording: RecordingID, _ answers: ClosingAnswers, by author: String) async throws
  func justify(_ recording: RecordingID, _ sentence: String, by author: String) async throws
  func confirm(_ incident: IncidentID, until: UTCTime) async throws
  func attach(_ agent: AgentID, to incident: IncidentID, by author: String, at time: UTCTime, until: UTCTime)
    async throws
  func detach(_ agent: AgentID, from incident: IncidentID) async throws
  func attachments() async throws -> [(incident: IncidentID, agent: AgentID, until: UTCTime)]
  func place(_ hold: HoldEntry, keys: [(part: PartID, wrapped: [UInt8], name: String)]) async throws -> Bool
  func hold(_ id: HoldID) async throws -> (HoldEntry, isReleased: Bool)?
  func release(_ hold: HoldID, by author: String, reason: String, at time: UTCTime) async throws
  func link(
    _ recording: RecordingID, service: ServiceID, kind: ProcedureKind, reference: String, by author: String,
    at time: UTCTime) async throws
  func unlink(_ recording: RecordingID, reference: String) async throws
  func termWarnings(until day: LocalDate, services: [ServiceID]?) async throws -> [TermWarning]
  func propose(_ erasure: LegalErasureEntry) async throws
  func legalErasure(of recording: RecordingID) async throws -> LegalErasureEntry?
  func confirm(_ erasure: LegalErasureID, by author: String, at time: UTCTime) async throws -> Bool
  func withdraw(_ erasure: LegalErasureID, at time: UTCTime) async throws -> Bool
  func insert(_ request: DataRequestEntry) async throws
  func dataRequest(_ id: DataRequestID) async throws -> (service: ServiceID, reference: String, isDecided: Bool)?
  func decide(
    _ id: DataRequestID, _ decision: DataRequestDecision, ground: String, reply: String, by author: String,
    at time: UTCTime) async throws

  func journalIndexSize() async throws -> UInt64
  func indexJournal(_ entries: [JournalIndexRow]) async throws
  /// Positions that the index has from a size on.
  func indexedBeyond(_ size: UInt64) async throws -> [UInt64]
  func indexDifferences(_ entries: [(position: UInt64, text: String, leaf: [UInt8])]) async throws -> [UInt64]
}

/// One row of the journal's index.
package typealias JournalIndexRow = (
  position: UInt64, time_us: Int64, kind: String, act: String, author: String, service: String?, text: String,
  leaf: [UInt8]
)
