package import Doctrine
internal import Footage
internal import Foundation
internal import Journal
package import Logging
package import Seams
package import Vault

/// The process that decides, journals and holds the keys.
///
/// Every act goes the same way: ask the doctrine, write the journal, act. Its memory holds what an act under
/// stress needs (cameras, services, active incidents, threats, viewings); the register is behind it.
package actor Keeper {
  package struct Settings: Sendable {
    package var node: String
    package var nodeName: String
    package var footageRoot: String
    /// Whoever logs in with a password sets up a second factor before anything else (ACC-8).
    package var secondFactorRequired: Bool
    /// Whether something disciplines the server's clock (MET-3).
    package var clockIsSynchronised: @Sendable () -> Bool
    /// Between two erasures.
    package var sweepPause: Duration
    /// Where it remembers, sealed, what it must know while the database is away; nil: nowhere.
    package var memoryPath: String?
    /// Closed recordings of so many days ago go to the object store; nil: there is none.
    package var moveAfter_days: Int?
    /// Makes sure of the database and tells how far its index of the journal goes.
    package var openStore: @Sendable () async throws -> UInt64

    package init(
      node: String, nodeName: String, footageRoot: String, secondFactorRequired: Bool,
      clockIsSynchronised: @escaping @Sendable () -> Bool, sweepPause: Duration = .milliseconds(5),
      memoryPath: String? = nil, moveAfter_days: Int? = nil,
      openStore: @escaping @Sendable () async throws -> UInt64 = { 0 }
    ) {
      self.node = node
      self.nodeName = nodeName
      self.footageRoot = footageRoot
      self.secondFactorRequired = secondFactorRequired
      self.clockIsSynchronised = clockIsSynchronised
      self.sweepPause = sweepPause
      self.memoryPath = memoryPath
      self.moveAfter_days = moveAfter_days
      self.openStore = openStore
    }
  }

  /// An incident that is open, or whose close is being carried out.
  final class ActiveIncident {
    var entry: IncidentEntry
    let agent: AgentEntry?
    var live: LiveMachine
    /// A threat was declared in it, and may have been ended since: a camera that calls again declares none.
    var wasThreatened: Bool
    var streaming = false
    /// A close was decided; the ingest carries it out. Live ends now.
    private(set) var closing: (cause: ClosingCause, by: String)?
    /// Agents attached to it, and until when (LIVE-4).
    var attached: [AgentID: UTCTime] = [:]
    /// Open past the bound, it was confirmed to go on until then (REC-4).
    var confirmedUntil: UTCTime?
    /// What is known of its camera's clock, from its start or since (MET-3); nil: unknown.
    var clock: RecordingClock?
    /// Number of its recording's newest part.
    var lastPart = 1

    init(
      entry: IncidentEntry, agent: AgentEntry?, threat: ThreatEntry? = nil,
      wasThreatened: Bool = false, closing: (cause: ClosingCause, by: String)? = nil, confirmedUntil: UTCTime? = nil
    ) {
      self.entry = entry
      self.agent = agent
      live = LiveMachine(threat: threat, isClosing: closing != nil)
      self.wasThreatened = wasThreatened || threat != nil
      self.closing = closing
      self.confirmedUntil = confirmedUntil
    }

    var threat: ThreatEntry? { live.threat }

    func close(_ cause: ClosingCause, by author: String) {
      closing = (cause, author)
      _ = live.recordingClosed()
    }
  }

  struct OpenViewing {
    enum Kind: String {
      case live
      case replay
      case extraction
    }

    var kind: Kind
    var recording: RecordingID
    var account: AccountID
    var name: String
    var service: ServiceID
    var session: [UInt8]
    /// The end of the accreditation, the attachment or the session: the viewing's too.
    var until: UTCTime
    /// Set where it rests on an attachment.
    var attachedAgent: AgentID?
  }

  /// Grants ahead for a camera: an incident and the one after it, through an absence of the keeper.
  static let grantsAhead = 2
  /// Local days a grant covers: today and the two after.
  static let daysAhead = 3
  /// Refusals on the wall, of one service; and, beside them, so many of its links.
  static let maximumAlarms = 100
  static let maximumNotices = 4096
  /// An alarm leaves the wall after this time.
  static let alarm_s: Int64 = 600

  let settings: Settings
  let store: any KeeperStore
  let keys: KeyRing
  let scribe: Scribe
  let calendar: LegalCalendar
  let clock: @Sendable () -> UTCTime
  let monotonic: @Sendable () -> MonotonicTime
  let logger: Logger

  var services: [ServiceID: ServiceEntry] = [:]
  var cameras: [CameraID: CameraEntry] = [:]
  var grants: [CameraID: [IncidentGrant]] = [:]
  var grantsDay: LocalDate?
  /// Between two walls: what an eye does not miss, and longer where there is more to tell.
  private static let wallGap: Duration = .milliseconds(20)
  private static let wallGapPerIncident: Duration = .microseconds(100)
  private var wallIsDue = false
  private var lastWall = ContinuousClock.now - .seconds(60)
  /// Walls told since the start.
  private var wallNumber: UInt64 = 0
  /// The stream of notices of the console that came last.
  private(set) var newestConsole: UInt64 = 0
  private let run = UUID().uuidString
  var active: [IncidentID: ActiveIncident] = [:]
  var viewings: [ViewingID: OpenViewing] = [:]
  /// Refusals; what is wrong with links is in ``links``.
  var alarms: [CameraAlarm] = []
  var lastRefusal: [CameraID: RefusalEntry] = [:]
  var lastLinkTest: [CameraID: LinkTestResult] = [:]
  var links: [CameraID: LinkState] = [:]
  /// Minutes that are not in the register yet.
  var linkMinutes: [LinkMinuteKey: LinkHealth] = [:]
  /// Counts of links since the start.
  var linkFigures = LinkFigures()
  /// Refused calls that the ingest told of: the last batch, and how far it is journalled and in the register.
  var refusalsTaken = RefusalsTaken()
  var ingestBoot: String?
  var ingestDone: UInt64 = 0
  var ingestJournalled: Set<UInt64> = []
  /// Events up to this one were journalled and are in memory, whether or not they are in the register.
  var ingestNoted: UInt64 = 0
  var pendingWrites: [PendingWrite] = []
  /// The first and the last entry of the journal whose change of the register found no room in `pendingWrites`.
  var unfollowed: ClosedRange<UInt64>?
  /// Cameras' clocks: what was told, and what of it is not in the register yet.
  var clocks = ClockState()
  /// Recordings that the console has to check.
  var checksGiven: Set<RecordingID> = []
  var isDraining = false
  var knownSessions: [[UInt8]: KnownSession] = [:]
  /// Whether the database did not answer when it was last asked.
  var isDatabaseAway = false
  /// Started from memory: the database has not been brought to where the files are.
  var isDatabaseUnopened = false
  /// Something that was begun can be gone on with: the sweeper does not wait its time.
  var sweepsSoon = false
  /// Parts that were closed with holes in their index, to be completed from their files.
  var unwholeParts: [PartProgress] = []
  /// The rebuilding of the register that is under way, or was last.
  var rebuilding: ReindexProgress?
  /// Why the object store is not used; nil where it is, or where there is none.
  var archiveProblem: String?
  /// Objects whose key is destroyed, and those that the archive has removed since.
  var objectsToErase: [PartID: (path: String, location: String, at: MonotonicTime)] = [:]
  var erasedObjects: Set<PartID> = []
  /// Paths of the parts that the archive was given to move.
  var movingPaths: [PartID: String] = [:]
  /// Parts of the store whose file is here all the same.
  var archiveStranded: Set<PartID> = []
  /// Parts that could not be moved, or erased, lately.
  var archiveSkips: Set<PartID> = []
  var archiveSkipsSince = MonotonicTime(microseconds: 0)
  /// Why a copy or the backup of the keys cannot be made; nil where all is well.
  var keysProblem: String?
  /// What is on disk of the keeper's memory.
  var remembered: KeeperMemory?
  var takesEvents = false
  /// A page of found files is being answered.
  var takesFound = false
  var ingestStreams: [UInt64: AsyncStream<IngestDirective>.Continuation] = [:]
  var consoleStreams: [UInt64: AsyncStream<ConsoleNotice>.Continuation] = [:]
  var nextStream: UInt64 = 0
  var addresses = AddressLimiterBox()
  var sweeper = SweeperState()
  /// Cameras whose enrolment is under way (STO-5).
  var enrolling: [ServiceID: Int] = [:]
  /// Services of the parts that are being written.
  var partService: [PartID: ServiceID] = [:]
  var ingestStatus: IngestStatus?
  /// What the ingest told of its lag in the last minute.
  var lags: [(at: MonotonicTime, lag_ms: Int64)] = []
  /// Parts whose file disagrees with what was written.
  var alteredParts = 0
  /// Recordings whose file takes nothing, and since when.
  var unrecordedSince: [RecordingID: MonotonicTime] = [:]
  var termWarnings: [TermWarning] = []
  var warnedOn: LocalDate?
  let startedAt: MonotonicTime

  package init(
    settings: Settings, store: any KeeperStore, keys: KeyRing, scribe: Scribe, calendar: LegalCalendar,
    clock: @escaping @Sendable () -> UTCTime, monotonic: @escaping @Sendable () -> MonotonicTime, logger: Logger
  ) {
    self.settings = settings
    self.store = store
    self.keys = keys
    self.scribe = scribe
    self.calendar = calendar
    self.clock = clock
    self.monotonic = monotonic
    startedAt = monotonic()
    self.logger = logger
  }

  /// Loads what is remembered across a restart.
  ///
  /// - Parameter indexed: entries of the journal that the database had; it is brought forward from there first.
  package func load(indexed: UInt64? = nil) async throws {
    for service in try await store.services() { services[service.id] = service }
    take(try await store.cameras())
    if let indexed, indexed > 0 {
      try await bringForward(from: indexed)
      active.removeAll()
      take(try await store.cameras())
    }
    for incident in try await activeInStore() { active[incident.entry.id] = incident }
    try await loadSweeper()
    alteredParts = try await store.alteredParts()
    for (part, _, _) in try await store.openParts() { partService[part.id] = part.service }
    unwholeParts = try await store.unwholeParts(since: calendar.day(of: clock()).adding(days: -Self.daysAhead))
    try await endViewings()
    try await scribe.write(
      .statement, "keeper.started", author: "keeper", service: nil, ["node": .string(settings.nodeName)])
  }

  /// The incidents that the register has as active.
  func activeInStore() async throws -> [ActiveIncident] {
    var found: [IncidentID: ActiveIncident] = [:]
    for (entry, threat, wasThreatened, closing, by, confirmedUntil, clock) in try await store.activeIncidents() {
      let incident = ActiveIncident(
        entry: entry, agent: try await store.agent(entry.agent), threat: threat, wasThreatened: wasThreatened,
        closing: closing.map { ($0, by ?? "keeper") }, confirmedUntil: confirmedUntil)
      incident.clock = clock
      found[entry.id] = incident
    }
    for (part, incident, _) in try await store.openParts() {
      found[incident]?.lastPart = max(found[incident]?.lastPart ?? 1, part.number)
    }
    for (incident, agent, until) in try await store.attachments() { found[incident]?.attached[agent] = until }
    return Array(found.values)
  }

  /// Viewings that a stop left open in the register.
  func endViewings() async throws {
    let ended = try await store.closeOpenViewings(at: clock())
    if ended > 0 {
      try await scribe.write(
        .consultation, "viewings.ended", author: "keeper", service: nil,
        ["count": .integer(Int64(ended)), "cause": .string("keeper-restarted")])
    }
  }

  /// The slow clock: heartbeats, the wall's ageing, new grants at midnight, the sweeper.
  package func run() async throws {
    let scribe = self.scribe
    let store = self.store
    let indexing = Task { await scribe.bringIndexAlong(store) }
    let sweeping = Task { await self.keepSweeping() }
    let following = Task { await self.keepFollowing() }
    let rebuilding = Task { await self.keepRebuilding() }
    defer {
      indexing.cancel()
      sweeping.cancel()
      following.cancel()
      rebuilding.cancel()
    }
    var turns = 0
    while !Task.isCancelled {
      for stream in ingestStreams.values { stream.yield(.heartbeat) }
      let now = clock()
      for (id, viewing) in viewings where viewing.until <= now { try? await leave(id, cause: "accreditation-ended") }
      if turns % 5 == 0 { publishWall() } else { for stream in consoleStreams.values { stream.yield(.heartbeat) } }
      let today = calendar.day(of: clock())
      if grantsDay != today {
        grantsDay = today
        grants.removeAll()
        for camera in cameras.values { publish(camera) }
      }
      turns += 1
      await remember()
      if turns % Self.turnsPerUpkeep == 1 { await keepKeys() }
      try? await Task.sleep(for: .seconds(SeamLimits.heartbeat_s))
    }
  }

  /// Between two passes of the sweeper.
  static let sweepInterval_s: Int64 = 600

  private func keepSweeping() async {
    while !Task.isCancelled {
      sweepsSoon = false
      do { _ = try await sweep() } catch {
        logger.error("the sweeper could not run", metadata: ["error": "\(error)"])
      }
      let next = monotonic().adding(seconds: Self.sweepInterval_s)
      while !sweepsSoon, monotonic() < next, !Task.isCancelled { try? await Task.sleep(for: .seconds(1)) }
    }
  }

  // MARK: The ingest's stream

  package func ingestNotices() -> AsyncStream<IngestDirective> {
    // Unbounded on purpose: directives must not be lost, and a reader that stops reading is cut by the
    // seam's heartbeat within seconds; the table is a few kilobytes a camera.
    let (stream, continuation) = AsyncStream<IngestDirective>.makeStream()
    let number = nextStream
    nextStream += 1
    ingestStreams[number] = continuation
    continuation.onTermination = { [weak self] _ in Task { await self?.ingestLeft(number) } }
    for camera in cameras.values {
      if let admission = admission(of: camera) { continuation.yield(.admission(admission)) }
    }
    for incident in active.values {
      if let closing = incident.closing {
        continuation.yield(.closeIncident(incident.entry.id, cause: closing.cause, by: closing.by))
      } else if incident.live.authorization != nil {
        continuation.yield(.live(incident.entry.recording, open: true))
      }
    }
    publishWall()
    return stream
  }

  private func ingestLeft(_ number: UInt64) {
    ingestStreams[number] = nil
    publishWall()
  }

  func tellIngest(_ directive: IngestDirective) { for stream in ingestStreams.values { stream.yield(directive) } }

  // MARK: The console's stream

  package func consoleNotices() async -> AsyncStream<ConsoleNotice> {
    // A console that comes anew has no viewers yet: those of the one before are gone.
    for id in viewings.keys { try? await leave(id, cause: "console-restarted") }
    // A console that does not read for this many notices has lost its seam's heartbeat long before.
    let (stream, continuation) = AsyncStream<ConsoleNotice>.makeStream(
      bufferingPolicy: .bufferingNewest(Self.maximumNotices))
    let number = nextStream
    nextStream += 1
    consoleStreams[number] = continuation
    continuation.onTermination = { [weak self] _ in Task { await self?.consoleLeft(number) } }
    newestConsole = number
    wallNumber += 1
    continuation.yield(.wall(wall(), wallMark(number)))
    return stream
  }

  private func consoleLeft(_ number: UInt64) async {
    consoleStreams[number] = nil
    guard consoleStreams.isEmpty else { return }
    // Nobody watches through a console that is gone.
    for id in viewings.keys { try? await leave(id, cause: "console-stopped") }
  }

  /// Shows every console the wall as it is now: at once, or as soon as the last time is long enough ago.
  ///
  /// A wall is told whole. A fleet that comes back changes it hundreds of times a second: once in a while is enough for eyes, and
  /// the acts themselves go their own way.
  func publishWall() {
    guard !consoleStreams.isEmpty, !wallIsDue else { return }
    let gap = Self.wallGap + Self.wallGapPerIncident * active.count
    let since = ContinuousClock.now - lastWall
    guard since < gap else {
      publishWallNow()
      return
    }
    wallIsDue = true
    Task {
      try? await Task.sleep(for: gap - since)
      publishWallNow()
    }
  }

  private func publishWallNow() {
    wallIsDue = false
    lastWall = .now
    wallNumber += 1
    let state = wall()
    for (number, stream) in consoleStreams { stream.yield(.wall(state, wallMark(number))) }
  }

  /// The last wall that was told, on a stream of notices.
  func wallMark(_ stream: UInt64) -> WallMark { WallMark(stream: "\(run)/\(stream)", number: wallNumber) }

  func wall() -> WallState {
    let now = clock()
    let watchers = viewings.values.reduce(into: [RecordingID: Int]()) { $0[$1.recording, default: 0] += 1 }
    alarms.removeAll { $0.at.adding(seconds: Self.alarm_s) < now }
    let cards = active.values.filter { $0.closing == nil }.map { incident -> IncidentCard in
      let entry = incident.entry
      let service = services[entry.service]
      return IncidentCard(
        incident: entry.id, recording: entry.recording, service: entry.service,
        serviceName: service?.name ?? "?", camera: entry.camera, agent: incident.agent?.name ?? "?",
        matricule: incident.agent?.matricule ?? "?", reference: entry.reference, openedAt: entry.openedAt,
        streaming: incident.streaming, threat: incident.threat,
        watchers: watchers[entry.recording, default: 0],
        liveSound: service?.regime.liveSound ?? false,
        overdue: max(
          entry.openedAt.adding(seconds: IncidentMachine.confirmationBound_s),
          incident.confirmedUntil ?? entry.openedAt) < now,
        notRecorded: unrecordedSince[entry.recording] != nil)
    }
    return WallState(
      incidents: cards.sorted { $0.openedAt < $1.openedAt }, alarms: alarms + linkAlarms(),
      ingestConnected: !ingestStreams.isEmpty,
      warnings: termWarnings, sweeperStopped: sweeper.stopped, storage: storageSentence, databaseAway: isDatabaseAway)
  }

  // MARK: Grants

  func publish(_ camera: CameraEntry) {
    if let admission = admission(of: camera) { tellIngest(.admission(admission)) }
  }

  /// What the ingest must know of a camera; nil where a key cannot be made, which is logged.
  func admission(of camera: CameraEntry) -> CameraAdmission? {
    guard let service = services[camera.service] else { return nil }
    do {
      let passphrase = try keys.open(
        camera.passphraseSealed, purpose: Self.passphrasePurpose, subject: camera.id.rawValue)
      while grants[camera.id, default: []].count < Self.grantsAhead {
        let grant = IncidentGrant(
          incident: IncidentID(newID()), recording: RecordingID(newID()),
          parts: try partGrants(for: service.id, from: calendar.day(of: clock())))
        grants[camera.id, default: []].append(grant)
      }
      return CameraAdmission(
        camera: camera.id, service: camera.service, passphrase: String(decoding: passphrase, as: UTF8.self),
        enabled: camera.enabled, issuedTo: camera.issuedTo?.id, regime: service.regime.name,
        regimeVersion: service.regime.version, reception: reception(of: camera), grants: grants[camera.id, default: []])
    } catch {
      logger.error("no admission for a camera", metadata: ["error": "\(error)"])
      return nil
    }
  }

  func partGrants(for service: ServiceID, from day: LocalDate) throws -> [PartGrant] {
    // Two a day: one more for a recording whose disk fails under it.
    try (0..<2 * Self.daysAhead).map { offset in
      let day = day.adding(days: offset / 2)
      let part = newID()
      let (key, wrapped) = try keys.newPartKey(
        service: service.rawValue, day: day.description, part: UUIDText.binary(part) ?? [])
      return PartGrant(
        part: PartID(part), number: offset + 1, localDay: day, dayStart: calendar.start(of: day),
        dayEnd: calendar.start(of: day.adding(days: 1)), key: Blob(key.rawBytes), wrappedKey: Blob(wrapped))
    }
  }

  func newID() -> String { UUID().uuidString.lowercased() }

  // MARK: Live

  /// Tells the ingest whether a recording may be relayed now.
  func publishLive(_ incident: IncidentID) {
    guard let known = active[incident] else { return }
    tellIngest(.live(known.entry.recording, open: known.live.authorization != nil))
  }

  /// Ends a viewing; a no-op where it has ended.
  func leave(_ id: ViewingID, cause: String) async throws {
    guard let viewing = viewings.removeValue(forKey: id) else { return }
    for stream in consoleStreams.values { stream.yield(.cut(id)) }
    publishWall()
    _ = try await Scribe.beside {
      try await scribe.write(
        viewing.kind == .extraction ? .communication : .consultation,
        viewing.kind == .extraction ? "extraction.ended" : "viewing.left", author: viewing.name,
        service: viewing.service,
        [
          "viewing": .string(id.rawValue), "recording": .string(viewing.recording.rawValue),
          "cause": .string(cause),
        ])
    }
    // The journal has it; the register's row is a convenience.
    if viewing.kind == .live, !isDatabaseAway { try? await store.closeViewing(id, at: clock()) }
  }

  /// Ends all viewings of a recording: it is no longer live.
  func leaveAll(_ recording: RecordingID, cause: String) async {
    for (id, viewing) in viewings where viewing.recording == recording { try? await leave(id, cause: cause) }
  }
}
