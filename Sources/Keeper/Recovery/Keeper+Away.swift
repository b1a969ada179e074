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

  /// Changes that wait at the most; more acts are refused.
  static let maximumPending = 10_000
  /// A change is given up after so many tries on a database that answers: what it hangs on never came.
  static let maximumTries = 300
  /// Sessions remembered at the most; more than thirty command rooms have.
  static let maximumKnownSessions = 4096

  /// Brings into the register what is journalled already: now, or in order when the database is back and has what the
  /// change hangs on, such as an incident that the ingest has yet to tell.
  ///
  /// - Throws: unavailable, where too many wait.
  func follow(_ what: String, _ run: @escaping @Sendable () async throws -> Void) async throws {
    if pendingWrites.isEmpty, !isDatabaseAway {
      do {
        try await run()
        return
      } catch  where store.isTransient(error) {
        logger.warning("the register waits for the database", metadata: ["what": "\(what)"])
        setDatabaseAway(true)
      } catch {
        logger.info("a change waits for what it hangs on", metadata: ["what": "\(what)"])
      }
    }
    guard pendingWrites.count < Self.maximumPending else { throw Problem.unavailable("La base de données") }
    pendingWrites.append(PendingWrite(what: what, run: run))
  }

  /// Notices that the database is back, and brings along what waited.
  func keepFollowing() async {
    while !Task.isCancelled {
      await lookForDatabase()
      if !isDatabaseAway {
        await drainPending()
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
