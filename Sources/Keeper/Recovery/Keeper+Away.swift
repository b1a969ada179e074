internal import Doctrine
internal import Logging
internal import Seams

/// What goes on while the database is away: incidents, threats, live joins of people who are logged in. The journal has
/// each; the register follows when it is back.
// P5, P7.
extension Keeper {
  /// A change of the register that waits for the database.
  struct PendingWrite {
    var what: String
    var tries = 0
    var run: @Sendable () async throws -> Void
  }

  /// Changes that wait at the most. What comes then is as much in force; its row is made from the journal once those that wait
  /// are in the register.
  static let maximumPending = 10_000
  /// A change is given up after so many tries on a database that answers: what it hangs on never came.
  static let maximumTries = 300
  /// Sessions remembered at the most; more than thirty command rooms have.
  static let maximumKnownSessions = 4096

  /// Brings into the register what is journalled and in force already: now, or in order when the database is back and has
  /// what the change hangs on, such as an incident that the ingest has yet to tell.
  ///
  /// For acts of people in a crisis, which no database holds up: it neither fails nor takes more memory than its bound.
  ///
  /// - Parameter position: of the act's entry, from which its row can be made again.
  func follow(_ what: String, _ position: UInt64, _ run: @escaping @Sendable () async throws -> Void) async {
    // Once one was left to the journal, those after it are too: they are applied in its order.
    guard pendingWrites.count < Self.maximumPending, unfollowed == nil else { return leaveToJournal(position) }
    let isFirst = pendingWrites.isEmpty
    pendingWrites.append(PendingWrite(what: what, run: run))
    if isFirst, !isDatabaseAway { await drainPending() }
  }

  /// A change of the register has no room to wait: it is made from the journal later.
  func leaveToJournal(_ position: UInt64) {
    if unfollowed == nil {
      logger.error("too many changes wait for the database: the rest is made from the journal")
    }
    unfollowed = min(unfollowed?.lowerBound ?? position, position)...max(unfollowed?.upperBound ?? position, position)
  }

  /// Makes the rows of what was left to the journal, once nothing waits before them.
  func followJournal() async {
    guard let left = unfollowed, pendingWrites.isEmpty, !isDatabaseAway, ingestDone == ingestNoted else { return }
    let end = scribe.mark.size
    do {
      var done = Forwarded()
      try await follow(from: left.lowerBound, to: end, footage: [], only: Self.followed, &done)
      // What was left there meanwhile is the next turn's.
      unfollowed = unfollowed.flatMap { $0.upperBound < end ? nil : max(end, $0.lowerBound)...$0.upperBound }
      logger.notice("the register has what was left to the journal", metadata: ["entries": "\(done.entries)"])
    } catch {
      if store.isTransient(error) { setDatabaseAway(true) }
      logger.warning("what was left to the journal waits", metadata: ["error": "\(error)"])
    }
  }

  /// The acts whose rows follow.
  private static let followed: Set<String> = [
    "threat.declared", "threat.ended", "incident.close-requested", "recording.clock",
  ]

  /// Notices that the database is back, and brings along what waited.
  func keepFollowing() async {
    while !Task.isCancelled {
      await lookForDatabase()
      if !isDatabaseAway {
        await drainPending()
        await followJournal()
        await keepClocks()
        await keepRefusals()
        await keepLinkMinutes()
        do { try await completeIndexes() } catch { logger.debug("indexes wait", metadata: ["error": "\(error)"]) }
      }
      try? await Task.sleep(for: .seconds(1))
    }
  }

  func lookForDatabase() async {
    do {
      if isDatabaseAway, await store.answers() {
        if isDatabaseUnopened { try await openDatabase() }
        setDatabaseAway(false)
      }
      if !isDatabaseAway { try await bringForwardAgain() }
    } catch  where store.isTransient(error) {
      setDatabaseAway(true)
    } catch {
      // Another schema, a journal that is shorter than what the database knows: a person must look.
      logger.critical("the database cannot be used", metadata: ["error": "\(error)"])
    }
  }

  /// Tries what waits, oldest first; stops at the first that the database does not take.
  func drainPending() async {
    guard !isDraining else { return }
    isDraining = true
    defer { isDraining = false }
    var later: [PendingWrite] = []
    while var next = pendingWrites.first {
      do {
        try await next.run()
        pendingWrites.removeFirst()
      } catch  where store.isTransient(error) {
        logger.warning("the register waits for the database", metadata: ["what": "\(next.what)"])
        setDatabaseAway(true)
        break
      } catch {
        // It may hang on what the ingest has yet to tell again.
        pendingWrites.removeFirst()
        next.tries += 1
        if next.tries < Self.maximumTries {
          later.append(next)
        } else {
          logger.error(
            "a change never came into the register", metadata: ["what": "\(next.what)", "error": "\(error)"])
        }
      }
    }
    pendingWrites = later + pendingWrites
  }

  // MARK: Known sessions

  /// A session as the database last knew it.
  struct KnownSession {
    var account: AccountEntry
    var isLimited: Bool
    var until: UTCTime
    var usedAt: UTCTime
  }

  func remember(_ hash: [UInt8], _ session: KnownSession) {
    if knownSessions.count >= Self.maximumKnownSessions, knownSessions[hash] == nil {
      let now = clock()
      knownSessions = knownSessions.filter { $0.value.until > now }
      if knownSessions.count >= Self.maximumKnownSessions { knownSessions.removeAll() }
    }
    knownSessions[hash] = session
  }

  /// The rights of an account changed: it is known by the database alone from here on.
  func forget(_ account: AccountID, except session: [UInt8]? = nil) {
    knownSessions = knownSessions.filter { $0.value.account.id != account || $0.key == session }
  }
}
