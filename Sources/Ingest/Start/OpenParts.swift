internal import Doctrine
internal import Footage
internal import Foundation
internal import Logging
internal import Seams
internal import Synchronization
internal import Vault

/// Takes up what a stop left open: asks the keeper about it, reads the files' ends, and hands them to the threads.
///
/// Invariants: (1) a camera whose incident goes on is expected before anybody listens, and its call waits until its part is
/// taken up; (2) nothing here blocks a thread that others need; (3) a page that cannot be answered is asked for again in
/// halves, so that one part never keeps the others.
struct OpenParts: Sendable {
  /// What was found, and what became of asking.
  struct Asked: Sendable {
    var found: [FoundPart]
    var startedAt: UTCTime
    var answers: [FoundPartAnswer] = []
    /// What the keeper could not answer wholly, its database being away.
    var unanswered: [FoundPart] = []
    /// Parts that are being written by now.
    var taken: Set<PartID> = []
    /// Incidents that go on, or are closed with their file.
    var going: Set<IncidentID> = []
    var isWhole = false
  }

  /// Tries of the keeper, some three seconds, between two warnings.
  private static let quietTries = 10
  /// Files that are read at the same time.
  private static let readers = 4

  let footageRoot: String
  /// With time for long answers.
  let keeper: KeeperClient
  let shards: IngestShards
  let spool: EventSpool
  let clocks: IngestClocks
  let logger: Logger

  // MARK: Looking

  /// - Parameter isStart: nobody records yet.
  func look(isStart: Bool) async -> RecentParts {
    let (root, now) = (footageRoot, clocks.wall())
    let recent = await BlockingWork.run { RecentParts.find(below: root, at: now, isStart: isStart) }
    for path in recent.setAside {
      logger.warning("a file that a stop left without its header was set aside", metadata: ["path": "\(path)"])
    }
    for file in recent.unreadable {
      logger.error(
        "a file of footage cannot be read: it is left as it is",
        metadata: ["path": "\(file.path)", "error": "\(file.error)"]
      )
    }
    return recent
  }

  // MARK: Asking

  /// Asks about everything found, until the keeper is there.
  func ask(_ found: [FoundPart], startedAt: UTCTime) async throws -> Asked {
    var asked = Asked(found: found, startedAt: startedAt)
    for page in FoundPart.pages(of: found) {
      let (answers, unanswered) = try await ask(page, taken: nil)
      asked.answers += answers
      asked.unanswered += unanswered
    }
    asked.going = going(asked.answers)
    if asked.unanswered.isEmpty { try await askForRest(&asked) }
    return asked
  }

  /// One page; what of it was not answered wholly comes back.
  private func ask(
    _ page: [FoundPart], taken: Set<PartID>?
  ) async throws -> (answers: [FoundPartAnswer], unanswered: [FoundPart]) {
    let written = taken.map { taken in page.map(\.part).filter { taken.contains($0) } }
    do {
      guard case .found(let answers, let isWhole) = try await call(.found(page, taken: written)) else {
        return ([], page)
      }
      return (answers, isWhole ? [] : page)
    } catch let problem as Problem {
      // Too large, or one of them cannot be answered for: smaller pages find which.
      let halves = FoundPart.pages(of: page, limit: max(1, page.count / 2))
      guard halves.count > 1 else {
        logger.error(
          "a recording that was left open cannot be asked about",
          metadata: ["recording": "\(page.first?.recording.rawValue ?? "")", "problem": "\(problem)"])
        return ([], [])
      }
      var answers: [FoundPartAnswer] = []
      var unanswered: [FoundPart] = []
      for half in halves {
        let answer = try await ask(half, taken: taken)
        answers += answer.answers
        unanswered += answer.unanswered
      }
      return (answers, unanswered)
    }
  }

  /// After all pages: what only the index believes open.
  private func askForRest(_ asked: inout Asked) async throws {
    let open = Set(asked.found.filter { !$0.isClosed }.map(\.part)).union(asked.taken)
    do {
      let files = FoundFiles(open: Array(open), going: Array(asked.going), startedAt: asked.startedAt)
      guard case .found(let answers, let isWhole) = try await call(.foundAll(files)) else { return }
      asked.answers += answers
      asked.isWhole = isWhole
    } catch let problem as Problem {
      logger.error("what only the index believes open is not known", metadata: ["problem": "\(problem)"])
      asked.isWhole = true
    }
  }

  /// - Throws: a problem other than the keeper's absence.
  private func call(_ call: IngestCall) async throws -> IngestReply {
    var tries = 0
    while true {
      try Task.checkCancellation()
      do throws(Problem) {
        return try await keeper.call(call, timeout_s: SeamLimits.foundAnswer_s)
      } catch {
        guard error.status == 503 else { throw error }
        tries += 1
        // At a start the keeper is a moment later: that is no news.
        if tries % Self.quietTries == 0 {
          logger.warning("keeper away: open recordings wait", metadata: ["problem": "\(error.code)"])
        }
        try await Task.sleep(for: KeeperLink.retry)
      }
    }
  }

  private func going(_ answers: [FoundPartAnswer]) -> Set<IncidentID> {
    Set(answers.filter { $0.resume != nil || $0.closing != nil }.map(\.incident))
  }

  // MARK: Taking up

  /// Takes up what was answered, and later, where the database was away, the rest: closed then, or told.
  func takeUp(_ asked: Asked) async throws {
    var asked = asked
    asked.taken.formUnion(await takeUp(asked.answers, of: asked.found))
    while !asked.isWhole {
      try await Task.sleep(for: .seconds(SeamLimits.heartbeat_s))
      asked.answers = []
      let unanswered = asked.unanswered
      asked.unanswered = []
      for page in FoundPart.pages(of: unanswered) {
        let answer = try await ask(page, taken: asked.taken)
        // What could be answered from memory only is not taken up any more.
        let again = Set(answer.unanswered.map(\.part))
        asked.answers += answer.answers.filter { !again.contains($0.grant.part) }
        asked.unanswered += answer.unanswered
      }
      asked.going.formUnion(going(asked.answers))
      asked.going.formUnion(asked.found.filter { asked.taken.contains($0.part) }.map(\.incident))
      if asked.unanswered.isEmpty { try await askForRest(&asked) }
      _ = await takeUp(asked.answers.filter { !shards.isWriting($0.grant.part) }, of: asked.found)
    }
  }

  /// What is open on the disks and not being written here: the register was made anew.
  func takeUpUntaken() async throws {
    let found = await look(isStart: false).parts
    let taken = Set(found.map(\.part).filter { shards.isWriting($0) })
    try await takeUp(Asked(found: found, startedAt: clocks.wall(), unanswered: found, taken: taken))
  }

  /// Reads several files at a time; those first whose camera may be calling. Returns what was taken up, or told.
  private func takeUp(_ answers: [FoundPartAnswer], of found: [FoundPart]) async -> Set<PartID> {
    let recordings = Dictionary(grouping: found, by: \.recording)
    var due = answers.sorted { $0.resume != nil && $1.resume == nil }[...]
    return await withTaskGroup(of: PartID?.self) { group in
      func startNext() {
        guard !Task.isCancelled, let answer = due.popFirst() else { return }
        group.addTask {
          await take(answer, others: recordings[answer.recording] ?? []) ? answer.grant.part : nil
        }
      }
      for _ in 0..<Self.readers { startNext() }
      var taken: Set<PartID> = []
      for await part in group {
        if let part { taken.insert(part) }
        startNext()
      }
      return taken
    }
  }

  /// - Parameter others: all that was found of the recording.
  private func take(_ answer: FoundPartAnswer, others: [FoundPart]) async -> Bool {
    do {
      try await takeUp(answer, others)
      return true
    } catch {
      logger.error("a part could not be taken up", metadata: ["part": "\(answer.grant.part)", "error": "\(error)"])
      // Its file cannot say more: the incident must not stay open for that, nor its camera wait.
      let closing =
        answer.closing ?? answer.resume.map { PendingClose(camera: $0.camera, cause: .serverRestart, by: nil) }
      if let closing { spool.append(.incidentClosed(closed(answer, closing, at: clocks.wall()))) }
      shards.settled(answer)
      return false
    }
  }

  private func takeUp(_ answer: FoundPartAnswer, _ others: [FoundPart]) async throws {
    let part = answer.grant.part
    let (root, key) = (footageRoot, answer.grant.symmetricKey)
    var recovered = try await BlockingWork.attempt {
      var recovered = try PartRecovery.recover(
        root + "/" + answer.path, part: part.rawValue, key: key, after: answer.indexed.flatMap(KnownPoint.init),
        isIndexKnown: answer.indexed != nil)
      if recovered.lastEpoch == 0 {
        // A part that nothing came into yet goes on with the epochs of those before it.
        for other in others where other.part != part {
          recovered.lastEpoch = max(recovered.lastEpoch, try PartReader.lastEpoch(of: root + "/" + other.path))
        }
      }
      return recovered
    }
    if recovered.torn_bytes > 0 {
      logger.warning(
        "a torn end was set aside", metadata: ["part": "\(part)", "bytes": "\(recovered.torn_bytes)"])
    }
    // Where another part went on after it, what is missing was told there; save what a stop kept from being told in the ten
    // seconds after the day's end.
    let created = others.first { $0.part == part }?.created
    if let created, others.contains(where: { $0.created > created }) { recovered.holes = [] }
    let last = UTCTime(microseconds: max(recovered.lastArrival_us, recovered.header.created_us))
    let ended = answer.closing.map { closed(answer, $0, at: last) }
    if recovered.isClosed {
      shards.tellClosed(answer, recovered, incident: ended)
      shards.settled(answer)
    } else if let resume = answer.resume {
      shards.takeUp(
        answer, recovered,
        ResumedRecording(
          incident: answer.incident, recording: answer.recording,
          service: ServiceID(UUIDText.text(recovered.header.service)), current: answer.grant, resumed: resume,
          facts: try Sealing.open(
            recovered.header.sealedFacts, under: key, purpose: Sealing.factsPurpose, subject: recovered.header.part),
          lastArrival: last, lastEpoch: recovered.lastEpoch))
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
