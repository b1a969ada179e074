package import Doctrine
internal import Glibc
internal import Journal
internal import Logging
package import Retention
internal import Seams
internal import Vault

/// The end of recordings. The order is the sweeper's; the steps are here.
extension Keeper: ErasureSteps {
  /// What the last pass of the sweeper saw.
  struct SweeperState {
    var lastRun: UTCTime?
    /// The first look of this process, or a person's: every later one is judged against it, so that small steps do not add up.
    var anchor: SweepGate.Memory?
    var overdue = 0
    var stopped: String?
    var isRunning = false
    /// Journal bodies are there that should have been purged (LOG-5).
    var isPurgeOverdue = false
    /// A person's word for the clock stands in for its discipline until then.
    var confirmedUntil: MonotonicTime?
    /// Whether the memory of the time before this start was read.
    var isLoaded = false
  }

  /// How long after a start a clock that is not synchronised yet is waited for.
  static let synchronisation_s: Int64 = 600
  /// An object that could not be removed for so long counts as overdue.
  static let archivePatience_s: Int64 = 3600
  /// How long a person's word for the clock stands.
  static let confirmation_s: Int64 = 7 * 86_400

  /// Erases what is due today in legal time, where the clock can be trusted; and what the law orders, always.
  func sweep(orderedOnly: Bool = false) async throws -> SweepReport {
    // What a pass has erased is erased, whatever becomes of the call that asked for the pass.
    try await Scribe.beside { try await pass(orderedOnly: orderedOnly) }
  }

  private func pass(orderedOnly: Bool) async throws -> SweepReport {
    // Until database and files agree a hold may be missing.
    guard !sweeper.isRunning, !isDatabaseUnopened, !scribe.hasLost, rebuilding.map({ $0.outcome != nil }) ?? true else {
      throw Problem.unavailable("L'effaceur")
    }
    sweeper.isRunning = true
    defer { sweeper.isRunning = false }
    let now = clock()
    let passes = Sweeper(steps: self, pause: settings.sweepPause, logger: logger)
    // What the law orders, and what was begun, does not hang on the date: no clock stops it.
    var report = try await passes.sweep(on: LocalDate(year: 1970, month: 1, day: 2))
    if !orderedOnly {
      guard try await clockHolds(now) else { return SweepReport(erased: report.erased, overdue: sweeper.overdue) }
      let day = calendar.day(of: now)
      let ordered = report.erased
      report = try await passes.sweep(on: day)
      report.erased += ordered
      let late = monotonic()
      sweeper.overdue =
        report.overdue + objectsToErase.values.count { late.since($0.at) > Self.archivePatience_s * 1_000_000 }
      // Somebody, or something, stopped it meanwhile: that stays.
      guard sweeper.stopped == nil else { return report }
      try await destroyLeftKeys(on: day)
      try await dropOldLinkHealth(on: day)
      sweeper.lastRun = now
      try await store.setSweeperClock(now, stoppedSince: nil, reason: nil)
      try await warn(now)
    }
    return report
  }

  /// What the last pass before this start left.
  func loadSweeper() async throws {
    guard !sweeper.isLoaded else { return }
    if let known = try await store.sweeperClock() {
      sweeper.lastRun = known.sweptAt
      sweeper.stopped = known.stoppedSince == nil ? nil : known.reason
    }
    sweeper.isLoaded = true
  }

  // MET-3: a clock that jumped, or that nothing disciplines, stops the sweeper until a person has looked.
  private func clockHolds(_ now: UTCTime) async throws -> Bool {
    try await loadSweeper()
    let memory = sweeper.anchor ?? sweeper.lastRun.map { SweepGate.Memory(wall: $0, monotonic: nil) }
    let isConfirmed = sweeper.confirmedUntil.map { monotonic() < $0 } ?? false
    let isSynchronised = isConfirmed || settings.clockIsSynchronised()
    // After a start the system is given its time to synchronise before anybody is asked.
    if !isSynchronised, monotonic().since(startedAt) < Self.synchronisation_s * 1_000_000 { return false }
    switch SweepGate.judge(memory, wall: now, monotonic: monotonic(), isSynchronised: isSynchronised) {
    case .go where sweeper.stopped == nil:
      if sweeper.anchor == nil { sweeper.anchor = SweepGate.Memory(wall: now, monotonic: monotonic()) }
      return true
    case .go: return false
    case .stop(let reason):
      if sweeper.stopped == nil {
        try await scribe.write(
          .statement, "sweeper.stopped", author: "sweeper", service: nil, ["reason": .string(reason)])
        try await store.setSweeperClock(sweeper.lastRun ?? now, stoppedSince: now, reason: reason)
      }
      sweeper.stopped = reason
      logger.critical("the sweeper stopped and asks: plastron admin confirm-clock", metadata: ["reason": "\(reason)"])
      return false
    }
  }

  /// The register came back older than the journal: holds may be missing in it, so nothing is erased before a person
  /// has looked.
  ///
  /// - Parameter left: acts that the journal cannot bring back, with how many of each.
  func stopSweeper(behind entries: UInt64, left: [String: Int]) async throws {
    let acts = left.sorted { $0.key < $1.key }.map { "\($0.key) × \($0.value)" }.joined(separator: ", ")
    let reason = String(
      "la base avait \(entries) entrées de retard sur le journal ; ramenées, sauf : \(acts). Refaites-les, puis confirmez (restored database: do these again)"
        .prefix(500))
    try await stopSweeper(because: reason)
  }

  /// Durably: until a person has looked, whatever is restarted.
  ///
  /// When the last pass was is kept: it is what a wrong clock is told by. A register that is half rebuilt stays one.
  func stopSweeper(because reason: String) async throws {
    guard sweeper.stopped != Self.rebuildingReason else { return }
    try await scribe.write(
      .statement, "sweeper.stopped", author: "sweeper", service: nil, ["reason": .string(reason)])
    let last = sweeper.lastRun ?? clock()
    sweeper.isLoaded = true
    sweeper.stopped = reason
    sweeper.lastRun = last
    try await store.setSweeperClock(last, stoppedSince: clock(), reason: reason)
  }

  /// A person has looked at the clock: what it says now is true.
  func confirmClock(by author: String, _ who: [String: CanonicalJSON]) async throws {
    guard sweeper.stopped != Self.rebuildingReason else {
      throw Problem(
        409, "rebuild-unfinished", "Reconstruction inachevée (Rebuild unfinished)",
        "Le registre n'est reconstruit qu'en partie : plastron footage reindex, puis confirmez. (Run it again first.)")
    }
    try await scribe.write(.statement, "sweeper.clock-confirmed", author: author, service: nil, who)
    sweeper.isLoaded = true
    sweeper.stopped = nil
    sweeper.anchor = SweepGate.Memory(wall: clock(), monotonic: monotonic())
    sweeper.confirmedUntil = monotonic().adding(seconds: Self.confirmation_s)
    sweeper.lastRun = clock()
    try await store.setSweeperClock(clock(), stoppedSince: nil, reason: nil)
  }

  /// Says once a day which recordings of open procedures come to their term (RET-8).
  private func warn(_ now: UTCTime) async throws {
    let today = calendar.day(of: now)
    guard warnedOn != today else { return }
    let warnings = try await store.termWarnings(until: today.adding(days: Self.warning_days), services: nil)
    for warning in warnings {
      try await scribe.write(
        .statement, "term.warning", author: "sweeper", service: warning.service,
        [
          "recording": .string(warning.recording.rawValue), "reference": .string(warning.reference),
          "term_day": .string(warning.termDay.description),
        ])
    }
    sweeper.isPurgeOverdue = scribe.isPurgeOverdue()
    if sweeper.isPurgeOverdue {
      logger.warning("journal bodies are older than three years: plastron journal purge (plastron-purge.timer)")
    }
    warnedOn = today
    termWarnings = warnings
    publishWall()
  }

  package func due(on day: LocalDate, limit: Int) async throws -> [DuePart] {
    var parts: [DuePart] = []
    // What waits for the archive does not keep the others waiting.
    for row in try await store.dueParts(on: day, limit: limit, except: Array(objectsToErase.keys)) {
      let order = try await store.legalErasure(of: row.recording).flatMap { $0.confirmedBy == nil ? nil : $0 }
      // RET-5, RET-6: the doctrine is asked before anything is lost, for each.
      var object = try object(in: row.service)
      // Begun before a stop, it is only finished: its key is gone.
      let isDue = Term(endDay: row.termDay).isDue(on: calendar.day(of: clock())) || row.keyName == nil
      object.phase = order != nil ? .ordered : isDue ? .due : .closed
      // Stopped during a pass: only what is ordered, or begun, goes on.
      if sweeper.stopped != nil, order == nil, row.keyName != nil { continue }
      if case .refused(let refusal) = may(Actor(.sweeper), .eraseAtTerm, object, at: clock()) {
        logger.error("not erased", metadata: ["part": "\(row.part)", "code": "\(refusal.code)"])
        continue
      }
      parts.append(
        DuePart(
          part: row.part, recording: row.recording, service: row.service, localDay: row.localDay,
          termDay: row.termDay, path: row.path, place: row.place, location: row.location, chainHead: row.chainHead,
          keyName: row.keyName,
          order: order))
    }
    return parts
  }

  package func journalBegun(_ part: DuePart) async throws {
    await leaveAll(part.recording, cause: "erasure-begun")
    // Begun before a stop: the entry is there, as the key's name went after it.
    guard part.keyName != nil else { return }
    try await scribe.write(.erasure, "erasure.begun", author: "sweeper", service: part.service, Self.facts(of: part))
  }

  package func destroyKey(_ part: DuePart) async throws {
    guard try await store.beginErasure(of: part.part) else {
      throw Problem(409, "held", "Conservé (Held)", "Une conservation a été placée entre-temps. (A hold was placed.)")
    }
    // Begun before a stop: its key's name is gone from the register, and may be either.
    try await destroy(Self.heldKeyName(part.part), of: part.service)
    // A day's key goes when its term has come: until then it may wrap parts that nobody has told of yet.
    if Term(endDay: part.termDay).isDue(on: calendar.day(of: clock())) {
      try await destroyUnneededKey(service: part.service, day: part.localDay)
    }
  }

  private func destroyUnneededKey(service: ServiceID, day: LocalDate) async throws {
    if try await !store.keyIsNeeded(service: service, name: day.description, day: day) {
      try await destroy(day.description, of: service)
    }
  }

  /// Destroys a key; that it happens is in the journal first.
  private func destroy(_ name: String, of service: ServiceID) async throws {
    guard keys.isThere(service: service.rawValue, day: name) else { return }
    // One that a copy which is away has still was journalled when it was destroyed here.
    if !keys.isRemoved(service: service.rawValue, day: name) {
      try await scribe.write(.erasure, "key.destroyed", author: "sweeper", service: service, ["key": .string(name)])
    }
    try keys.destroyDayKey(service: service.rawValue, day: name)
  }

  /// Day keys past their term that no part of the register needs, such as those whose parts the law had erased before.
  private func destroyLeftKeys(on today: LocalDate) async throws {
    for key in keys.dayKeys() {
      // A held part's, which came back with an older copy of the keys.
      if let part = Self.heldPart(key.day), try await store.isErased(part) {
        try await destroy(key.day, of: ServiceID(key.service))
      }
      guard let day = LocalDate(key.day), let service = services[ServiceID(key.service)],
        Term(recordedOn: day, under: service.regime).isDue(on: today)
      else { continue }
      try await destroyUnneededKey(service: service.id, day: day)
    }
  }

  package func deleteFile(_ part: DuePart) async throws -> Bool {
    guard let path = part.path else { return true }
    do { try removeFiles(of: part.part, path: path) } catch {
      // What lies in a store may have no folder here any more.
      guard part.place == .object, error.number == ENOENT else { throw error }
    }
    // One that lies here may have been stored, and its move not told.
    guard part.place == .object || settings.moveAfter_days != nil, erasedObjects.remove(part.part) == nil else {
      return true
    }
    // The key is gone already; the archive, which alone can reach the store, is asked for the rest.
    objectsToErase[part.part] = (path, part.location ?? "", monotonic())
    return false
  }

  /// A part's file, and whatever was set aside beside it.
  ///
  /// - Throws: where the disk it lies on is away, and would bring the file back.
  func removeFiles(of part: PartID, path: String) throws(VaultError) {
    let folder = Directories.parent(of: settings.footageRoot + "/" + path)
    let names: [String]
    do throws(VaultError) { names = try Directories.list(folder) } catch {
      // A disk that has recordings of other days is there: this day's are gone from it.
      guard error.number == ENOENT, FootageTree.hasDays(below: settings.footageRoot, beside: path) else { throw error }
      return
    }
    for name in names where name.hasPrefix(part.rawValue) { try Directories.remove(folder + "/" + name) }
  }

  package func journalCertificate(_ part: DuePart) async throws -> UInt64 {
    // A stop may have come after it: there is one certificate.
    try await scribe.bringIndexUp(store)
    if let known = try await store.certificate(of: part.part, recording: part.recording, service: part.service) {
      return known
    }
    var facts = Self.facts(of: part)
    if let order = part.order {
      facts["ground"] = .string(order.ground.rawValue)
      facts["article"] = .string(order.ground.article)
      facts["reference"] = .string(order.reference)
      facts["first"] = .string(order.proposedBy)
      facts["second"] = .string(order.confirmedBy ?? "")
    } else {
      facts["ground"] = .string("term")
      facts["article"] = .string(services[part.service]?.regime.articles.term ?? "CSI R241-4")
    }
    return try await scribe.write(
      .erasure, "erasure.certificate", author: "sweeper", service: part.service, facts)
  }

  package func eraseFacts(_ part: DuePart, certificate: UInt64) async throws {
    try await store.eraseFacts(of: part.part, recording: part.recording, certificate: certificate, at: clock())
  }

  package func dropIndex(until day: LocalDate) async throws {
    let dropped = try await store.dropIndex(until: day)
    if dropped > 0 { logger.info("index of term days dropped", metadata: ["days": "\(dropped)"]) }
  }

  /// What RET-4 lets stay: ids, service, chain hash.
  private static func facts(of part: DuePart) -> [String: CanonicalJSON] {
    [
      "recording": .string(part.recording.rawValue), "part": .string(part.part.rawValue),
      "chain_head": .string(part.chainHead.hexadecimal),
      "term_day": .string(part.termDay.description),
    ]
  }
}
