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
    /// Where cameras call.
    package var addresses: [ListenAddress]
    /// Threads that own cameras.
    package var threads: Int
    package var footageRoot: String

    package init(addresses: [ListenAddress], threads: Int, footageRoot: String) {
      self.addresses = addresses
      self.threads = threads
      self.footageRoot = footageRoot
    }
  }

  private let settings: Settings
  private let keeper: KeeperClient
  private let clocks: IngestClocks
  private let logger: Logger
  private let table: AdmissionTable
  private let spool = EventSpool()
  private let shards: IngestShards
  /// What the console reads.
  package let feed = LiveFeed()

  package init(settings: Settings, keeper: KeeperClient, clocks: IngestClocks, logger: Logger) {
    self.settings = settings
    self.keeper = keeper
    self.clocks = clocks
    self.logger = logger
    table = AdmissionTable(clocks: clocks)
    shards = IngestShards(
      count: settings.threads, footageRoot: settings.footageRoot, table: table, spool: spool, feed: feed,
      clocks: clocks, logger: logger)
  }

  /// Runs until cancelled.
  package func run() async throws {
    try SRTLibrary.start()
    defer { shards.stop() }
    // What a stop left open comes first: a directive for it must find it.
    let left = try await takeUpOpenParts()
    let (looks, look) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let link = KeeperLink(
      client: keeper, table: table, spool: spool, shards: shards, logger: logger, lookAgain: { look.yield() })
    let linked = Task { await link.run() }
    defer { linked.cancel() }
    let closing = Task {
      if let left { try await takeUpRest(left) }
      for await _ in looks { try await takeUpRest(untaken()) }
    }
    defer { closing.cancel() }
    let ports: [UInt16]
    do {
      ports = try shards.start(settings.addresses)
    } catch {
      logger.critical(
        "cannot listen for cameras",
        metadata: [
          "setting": "ingest.host, ingest.port, ingest.also",
          "addresses": "\(settings.addresses.map(\.description).joined(separator: " "))", "error": "\(error)",
        ])
      throw error
    }
    logger.notice(
      "listening for cameras",
      metadata: [
        "port": "\(ports.map(String.init).joined(separator: " "))", "threads": "\(settings.threads)",
        "srt": "\(SRTLibrary.version)",
      ])
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  /// Tries of the keeper, some three seconds, between two warnings.
  private static let quietTries = 10

  /// What a stop left open and nobody could answer for yet.
  private struct LeftParts {
    var found: [FoundPart]
    var startedAt: UTCTime
    var taken: [PartID]
  }

  /// Asks the keeper about every file without a close chunk, and about what only the index believes open.
  ///
  /// - Returns: what is to be asked again, where the database is away: recordings of incidents that the keeper knows go
  ///   on without it.
  private func takeUpOpenParts() async throws -> LeftParts? {
    let startedAt = clocks.wall()
    let recent = RecentParts.find(below: settings.footageRoot, at: startedAt)
    // An incident that has a file is not opened a second time, whatever became of the news of it.
    table.markUsed(recent.incidents)
    var tries = 0
    while true {
      try Task.checkCancellation()
      do throws(Problem) {
        let call = IngestCall.found(recent.parts, startedAt: startedAt, taken: nil)
        guard case .found(let answers, let isWhole) = try await keeper.call(call) else { continue }
        let taken = answers.filter { take($0) }.map(\.grant.part)
        return isWhole ? nil : LeftParts(found: recent.parts, startedAt: startedAt, taken: taken)
      } catch {
        tries += 1
        // At a start the keeper is a moment later: that is no news.
        if tries % Self.quietTries == 0 {
          logger.warning("keeper away: open recordings wait", metadata: ["problem": "\(error.code)"])
        }
        try await Task.sleep(for: KeeperLink.retry)
      }
    }
  }

  /// What is open on the disks and not being written here: the register was made anew.
  private func untaken() -> LeftParts {
    let now = clocks.wall()
    let found = RecentParts.find(below: settings.footageRoot, at: now).parts
    return LeftParts(found: found, startedAt: now, taken: found.map(\.part).filter { shards.isWriting($0) })
  }

  /// Once the database is back: what was left open is closed, what was closed is told.
  private func takeUpRest(_ left: LeftParts) async throws {
    while true {
      try await Task.sleep(for: .seconds(SeamLimits.heartbeat_s))
      do throws(Problem) {
        let call = IngestCall.found(left.found, startedAt: left.startedAt, taken: left.taken)
        guard case .found(let answers, true) = try await keeper.call(call) else { continue }
        for answer in answers where !shards.isWriting(answer.grant.part) { _ = take(answer) }
        return
      } catch {
        logger.debug("open parts wait for the database", metadata: ["problem": "\(error.code)"])
      }
    }
  }

  /// Whether it was taken up, or told.
  private func take(_ answer: FoundPartAnswer) -> Bool {
    do {
      try takeUp(answer)
      return true
    } catch {
      logger.error("a part could not be taken up", metadata: ["part": "\(answer.grant.part)", "error": "\(error)"])
      // Its file cannot say more: the incident must not stay open for that.
      if let closing = answer.closing { spool.append(.incidentClosed(closed(answer, closing, at: clocks.wall()))) }
      return false
    }
  }

  private func takeUp(_ answer: FoundPartAnswer) throws {
    let part = answer.grant.part
    let recovered = try PartRecovery.recover(
      settings.footageRoot + "/" + answer.path, part: part.rawValue, key: answer.grant.symmetricKey,
      after: answer.indexed.flatMap(KnownPoint.init))
    if recovered.torn_bytes > 0 {
      logger.warning(
        "a torn end was set aside", metadata: ["part": "\(part)", "bytes": "\(recovered.torn_bytes)"])
    }
    let last = UTCTime(microseconds: max(recovered.lastArrival_us, recovered.header.created_us))
    let ended = answer.closing.map { closed(answer, $0, at: last) }
    if recovered.isClosed {
      shards.tellClosed(answer, recovered, incident: ended)
    } else if let resume = answer.resume {
      shards.takeUp(
        answer, recovered,
        ResumedRecording(
          incident: answer.incident, recording: answer.recording,
          service: ServiceID(UUIDText.text(recovered.header.service)), current: answer.grant, resumed: resume,
          facts: try Sealing.open(
            recovered.header.sealedFacts, under: answer.grant.symmetricKey, purpose: Sealing.factsPurpose,
            subject: recovered.header.part), lastArrival: last, lastEpoch: recovered.lastEpoch))
    } else {
      shards.close(answer, recovered, lastArrival: last, incident: ended)
    }
  }

  private func closed(_ answer: FoundPartAnswer, _ closing: PendingClose, at time: UTCTime) -> IncidentClosed {
    IncidentClosed(
      incident: answer.incident, recording: answer.recording, camera: closing.camera, at: time, cause: closing.cause,
      by: closing.by, damage: 0)
  }
}

extension KnownPoint {
  /// Nil where the index has nothing yet.
  fileprivate init?(_ point: IndexedPoint) {
    guard point.chunkCount > 0, point.head.bytes.count == 32 else { return nil }
    self.init(
      chain: ChainState(nextIndex: UInt64(point.chunkCount), head: point.head.bytes), length: point.file_bytes,
      lastArrival_us: point.lastArrival.microseconds, lastEpoch: UInt32(clamping: point.lastEpoch))
  }
}

/// Looks for files that a stop left open, or closed without anybody having been told.
enum RecentParts {
  /// An incident lasts hours; a recording that began earlier than this is not waited for.
  static let days = 3
  /// Closes are told within seconds, or when the keeper is back; older files are known.
  static let untold_s: Double = 2 * 3600

  static func find(below root: String, at now: UTCTime) -> (parts: [FoundPart], incidents: Set<IncidentID>) {
    let today = LegalCalendar(initialOffset_s: 0, transitions: []).day(of: now)
    var parts: [FoundPart] = []
    var incidents: Set<IncidentID> = []
    let prefixes = Volumes.prefixes(below: root)
    for back in -1...days {
      let date = today.adding(days: -back).description.split(separator: "-").joined(separator: "/")
      for prefix in prefixes {
        let day = prefix + date
        for name in Directories.names(in: "\(root)/\(day)") where name.hasSuffix(".plm") {
          let path = "\(day)/\(name)"
          guard let header = try? PartReader.header(of: root + "/" + path) else {
            // A stop came before its header was whole: there is nothing in it, and its name must be free.
            try? FileManager.default.moveItem(atPath: "\(root)/\(path)", toPath: "\(root)/\(path).headless")
            continue
          }
          incidents.insert(IncidentID(UUIDText.text(header.incident)))
          let isClosed = PartReader.endsWithClose(root + "/" + path)
          if !isClosed || isRecent("\(root)/\(path)", now) {
            parts.append(FoundPart(header, path: path, isClosed: isClosed))
          }
        }
      }
    }
    return (parts, incidents)
  }

  private static func isRecent(_ path: String, _ now: UTCTime) -> Bool {
    let changed = try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
    return changed.map { Double(now.microseconds) / 1e6 - $0.timeIntervalSince1970 < untold_s } ?? true
  }
}
