internal import Doctrine
internal import Footage
internal import Foundation
package import Logging
internal import SRT
internal import Seams
internal import Synchronization
internal import Vault

/// The ingest process as a whole: takes up what a stop left open, then listens.
package struct IngestService: Sendable {
  package struct Settings: Sendable {
    package var host: String
    package var port: UInt16
    package var footageRoot: String

    package init(host: String, port: UInt16, footageRoot: String) {
      self.host = host
      self.port = port
      self.footageRoot = footageRoot
    }
  }

  private let settings: Settings
  private let keeper: KeeperClient
  private let clocks: IngestClocks
  private let logger: Logger
  private let table: AdmissionTable
  private let spool = EventSpool()
  private let loop: IngestLoop
  /// What the console reads.
  package let feed = LiveFeed()

  package init(settings: Settings, keeper: KeeperClient, clocks: IngestClocks, logger: Logger) {
    self.settings = settings
    self.keeper = keeper
    self.clocks = clocks
    self.logger = logger
    table = AdmissionTable(clocks: clocks)
    loop = IngestLoop(
      footageRoot: settings.footageRoot, table: table, spool: spool, feed: feed, clocks: clocks, logger: logger)
  }

  /// Runs until cancelled.
  package func run() async throws {
    try SRTLibrary.start()
    defer { loop.stop() }
    // What a stop left open comes first: a directive for it must find it.
    try await takeUpOpenParts()
    let link = KeeperLink(client: keeper, table: table, spool: spool, loop: loop, logger: logger)
    let linked = Task { await link.run() }
    defer { linked.cancel() }
    let port = try loop.start(host: settings.host, port: settings.port)
    logger.notice("listening for cameras", metadata: ["port": "\(port)", "srt": "\(SRTLibrary.version)"])
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  /// Asks the keeper about every file without a close chunk, and about what only the index believes open.
  private func takeUpOpenParts() async throws {
    let found = OpenParts.find(below: settings.footageRoot, at: clocks.wall())
    var answers: [FoundPartAnswer]?
    while answers == nil {
      try Task.checkCancellation()
      do throws(Problem) {
        if case .found(let list) = try await keeper.call(.found(found)) { answers = list }
      } catch {
        logger.warning("keeper away: open recordings wait", metadata: ["problem": "\(error.code)"])
        try await Task.sleep(for: KeeperLink.retry)
      }
    }
    for answer in answers ?? [] {
      do {
        try takeUp(answer)
      } catch {
        logger.error("a part could not be taken up", metadata: ["part": "\(answer.grant.part)", "error": "\(error)"])
        // Its file cannot say more: the incident must not stay open for that.
        if let closing = answer.closing { spool.append(.incidentClosed(closed(answer, closing, at: clocks.wall()))) }
      }
    }
  }

  private func takeUp(_ answer: FoundPartAnswer) throws {
    let part = answer.grant.part
    let recovered = try PartRecovery.recover(
      settings.footageRoot + "/" + answer.path, part: part.rawValue, key: answer.grant.symmetricKey)
    if recovered.torn_bytes > 0 {
      logger.warning(
        "a torn end was set aside", metadata: ["part": "\(part)", "bytes": "\(recovered.torn_bytes)"])
    }
    let last = UTCTime(microseconds: max(recovered.lastArrival_us, recovered.header.created_us))
    if recovered.isClosed {
      loop.tellClosed(
        answer, recovered, incident: answer.closing.map { closed(answer, $0, at: last) })
      return
    }
    loop.takeUp(answer, recovered)
    if let resume = answer.resume {
      loop.post(
        .resume(
          ResumedRecording(
            incident: answer.incident, recording: answer.recording,
            service: ServiceID(UUIDText.text(recovered.header.service)), current: answer.grant, resumed: resume,
            lastArrival: last, lastEpoch: recovered.lastEpoch)))
    } else {
      loop.closeRecovered(
        part, lastArrival: last, lastEpoch: recovered.lastEpoch,
        incident: answer.closing.map { closed(answer, $0, at: last) })
    }
  }

  private func closed(_ answer: FoundPartAnswer, _ closing: PendingClose, at time: UTCTime) -> IncidentClosed {
    IncidentClosed(
      incident: answer.incident, recording: answer.recording, camera: closing.camera, at: time, cause: closing.cause,
      by: closing.by, damage: 0)
  }
}

/// Looks for parts that a stop left open.
enum OpenParts {
  /// An incident lasts hours; a recording that began earlier than this is not waited for.
  static let days = 3

  static func find(below root: String, at now: UTCTime) -> [FoundPart] {
    let today = LegalCalendar(initialOffset_s: 0, transitions: []).day(of: now)
    var found: [FoundPart] = []
    for back in -1...days {
      let day = today.adding(days: -back).description.split(separator: "-").joined(separator: "/")
      for name in Directories.names(in: "\(root)/\(day)") where name.hasSuffix(".plm") {
        if let part = open(root, "\(day)/\(name)") { found.append(part) }
      }
    }
    return found
  }

  private static func open(_ root: String, _ path: String) -> FoundPart? {
    guard !PartReader.endsWithClose(root + "/" + path), let header = try? PartReader.header(of: root + "/" + path)
    else { return nil }
    let day = Int(header.localDay)
    return FoundPart(
      part: PartID(UUIDText.text(header.part)), recording: RecordingID(UUIDText.text(header.recording)),
      incident: IncidentID(UUIDText.text(header.incident)), service: ServiceID(UUIDText.text(header.service)),
      localDay: LocalDate(year: day / 10_000, month: day / 100 % 100, day: day % 100),
      wrappedKey: Blob(header.wrappedKey), sealedFacts: Blob(header.sealedFacts), path: path,
      created: UTCTime(microseconds: header.created_us))
  }
}
