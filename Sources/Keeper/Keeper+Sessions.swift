internal import Vault
internal import Doctrine
internal import Foundation
internal import Identity
internal import Journal
internal import Seams

/// A holder for the limiter, which the module's face does not name.
struct AddressLimiterBox { var limiter = AddressLimiter() }

/// Log-in, sessions, second factor.
// ACC-8.
extension Keeper {
  static let secondFactorPurpose = "plastron/register/v1/second-factor"

  private var wrongCredentials: Problem {
    Problem(
      401, "wrong-credentials", "Connexion refusée (Log-in refused)",
      "Identifiant, mot de passe ou code faux, ou compte bloqué ; après \(LogInPolicy.attemptsBeforeLock) essais le compte est bloqué \(LogInPolicy.lock_s / 60) minutes. (Wrong name, password or code, or locked.)"
    )
  }

  func logIn(_ name: String, _ password: String, _ code: String?, peer: String) async throws -> ConsoleReply {
    let account = try await authenticate(name, password, code, peer: peer, act: "log-in")
    return try await openSession(account, peer: peer, by: "password")
  }

  /// The account that name, password and code belong to; every failure looks the same, save a missing code.
  func authenticate(
    _ name: String, _ password: String, _ code: String?, peer: String, act: String
  ) async throws -> AccountEntry {
    let now = clock()
    guard addresses.limiter.begins(peer, at: now) else {
      throw Problem(
        429, "too-many-tries", "Trop d'essais (Too many tries)",
        "Plus de \(AddressLimiter.triesPerMinute) essais par minute depuis cette adresse : attendez une minute. (Wait a minute.)"
      )
    }
    // A name that no account can have is looked up as none: it must not be cut at a zero byte on its way.
    let isName = AccountName.isValid(name)
    let hash = (isName ? try await store.account(named: name) : nil)?.passwordHash ?? PasswordHash.decoy
    let matches = await BlockingWork.run { PasswordHash.matches(password, hash) }
    // Read after the slow part: what other tries did meanwhile counts.
    let account = isName ? try await store.account(named: name) : nil
    guard let account, !account.disabled, account.passwordHash == hash,
      !LogInPolicy.isLocked(until: account.lockedUntil, at: now)
    else {
      try await scribe.write(
        .consultation, "\(act).refused", author: account?.name ?? "unknown", service: account?.agent.service,
        ["peer": .string(peer), "result": .string("refused")])
      throw wrongCredentials
    }
    guard matches else { throw try await failed(account, peer: peer, act: act, what: "password") }
    if account.secondFactor?.isConfirmed ?? false {
      guard let code, !code.isEmpty else {
        addresses.limiter.succeeded(peer)
        throw Problem(
          401, "code-required", "Code demandé (Code required)",
          "Ce compte a un second facteur : donnez aussi le code à six chiffres, ou un code de secours. (A second factor is required.)"
        )
      }
      guard try await accepts(code, account, at: now) else {
        throw try await failed(account, peer: peer, act: act, what: "code")
      }
    }
    if account.failedAttempts > 0 || account.lockedUntil != nil { try await store.clearFailures(account.id) }
    addresses.limiter.succeeded(peer)
    return account
  }

  private func failed(_ account: AccountEntry, peer: String, act: String, what: String) async throws -> Problem {
    let isLocked = try await store.countFailure(
      account.id, limit: LogInPolicy.attemptsBeforeLock, lockedUntil: clock().adding(seconds: LogInPolicy.lock_s))
    try await scribe.write(
      .consultation, "\(act).refused", author: account.name, service: account.agent.service,
      [
        "peer": .string(peer), "locked": .bool(isLocked), "wrong": .string(what),
        "result": .string("refused"),
      ])
    return wrongCredentials
  }

  /// A code is good once: its time step, or the recovery code itself, is used up.
  private func accepts(_ code: String, _ account: AccountEntry, at now: UTCTime) async throws -> Bool {
    guard let factor = account.secondFactor else { return false }
    let text = code.filter { !$0.isWhitespace }
    if text.utf8.count == TimeCode.digits {
      let secret = try keys.open(factor.sealed, purpose: Self.secondFactorPurpose, subject: account.id.rawValue)
      guard let step = TimeCode.matchingStep(text, secret, seconds: now.seconds) else { return false }
      return try await store.useStep(account.id, step)
    }
    guard try await store.useRecoveryCode(account.id, Tokens.hash(text.lowercased()), at: now) else { return false }
    try await scribe.write(
      .modification, "second-factor.recovery-code-used", author: account.name, service: account.agent.service, [:])
    return true
  }

  private func openSession(_ account: AccountEntry, peer: String, by way: String) async throws -> ConsoleReply {
    let now = clock()
    // A provider has its own second factor; its word for it is the configuration's, not the token's.
    let isLimited = way == "password" && settings.secondFactorRequired && !(account.secondFactor?.isConfirmed ?? false)
    try await scribe.write(
      .consultation, "log-in", author: account.name, service: account.agent.service,
      ["peer": .string(peer), "by": .string(way), "limited": .bool(isLimited)])
    let token = Tokens.make()
    try await store.insertSession(
      Tokens.hash(token), account: account.id, isLimited: isLimited, at: now,
      until: now.adding(seconds: LogInPolicy.sessionAbsolute_s))
    return .loggedIn(token: token, info(account, csrf: Tokens.csrf(of: token), isLimited: isLimited))
  }

  /// A person whom a provider vouched for. Roles never come from there.
  func logIn(_ identity: ProviderIdentity, peer: String) async throws -> ConsoleReply {
    guard let account = try await store.account(issuer: identity.issuer, subject: identity.subject), !account.disabled
    else {
      try await scribe.write(
        .consultation, "log-in.refused", author: "unknown", service: nil,
        [
          "peer": .string(peer), "issuer": .string(String(identity.issuer.prefix(500))),
          "subject": .string(String(identity.subject.prefix(255))), "result": .string("refused"),
        ])
      throw Problem(
        403, "not-linked", "Connexion refusée (Log-in refused)",
        "Cette identité n'est liée à aucun compte : demandez à l'administrateur (plastron admin link). (This identity is linked to no account.)"
      )
    }
    return try await openSession(account, peer: peer, by: identity.issuer)
  }

  func logOut(_ token: String) async throws -> ConsoleReply {
    let hash = Tokens.hash(token)
    let person = try await session(token, mayBeLimited: true)
    try await scribe.write(
      .consultation, "log-out", author: person.account.name, service: person.account.agent.service, [:])
    knownSessions[hash] = nil
    try await store.deleteSession(hash)
    for (id, viewing) in viewings where viewing.session == hash { try await leave(id, cause: "logged-out") }
    return .done
  }

  func session(_ token: String, mayBeLimited: Bool = false) async throws -> Person {
    try await session(hash: Tokens.hash(token), csrf: Tokens.csrf(of: token), mayBeLimited: mayBeLimited)
  }

  /// A session by what is stored of it; its own value for changes is known to its holder only.
  func session(hash: [UInt8], csrf: String = "", mayBeLimited: Bool = false) async throws -> Person {
    let found = try await lookUp(hash)
    let account = found.account
    guard mayBeLimited || !found.isLimited else {
      throw Problem(
        403, "second-factor-missing", "Second facteur demandé (Second factor required)",
        "Ce compte doit d'abord activer un second facteur (code à six chiffres). (Set up a second factor first.)")
    }
    return Person(
      account: account, actor: account.actor, info: info(account, csrf: csrf, isLimited: found.isLimited),
      session: hash, until: found.until)
  }

  /// A session and its account, by the database; by memory, where it is away and they were known before.
  private func lookUp(_ hash: [UInt8]) async throws -> KnownSession {
    let now = clock()
    let idleSince = now.adding(seconds: -LogInPolicy.sessionIdle_s)
    // Known to be away: nobody on the wall waits for it at every act.
    if isDatabaseAway, let known = try remembered(hash, now, idleSince) { return known }
    do {
      guard let found = try await store.useSession(hash, at: now, idleSince: idleSince),
        let account = try await store.account(found.account), !account.disabled
      else {
        knownSessions[hash] = nil
        throw Problem.unauthenticated
      }
      let known = KnownSession(account: account, isLimited: found.isLimited, until: found.until, usedAt: now)
      remember(hash, known)
      return known
    } catch  where store.isUnavailable(error) {
      setDatabaseAway(true)
      guard let known = try remembered(hash, now, idleSince) else { throw error }
      return known
    }
  }

  private func remembered(_ hash: [UInt8], _ now: UTCTime, _ idleSince: UTCTime) throws -> KnownSession? {
    guard var known = knownSessions[hash] else { return nil }
    guard known.until > now, known.usedAt > idleSince else {
      knownSessions[hash] = nil
      throw Problem.unauthenticated
    }
    known.usedAt = now
    knownSessions[hash] = known
    return known
  }

  private func info(_ account: AccountEntry, csrf: String, isLimited: Bool) -> SessionInfo {
    let wall = Set(account.accreditations.map(\.service)).filter { service in
      guard !isLimited, let object = try? object(in: service),
        case .granted = may(account.actor, .seeWall, object, at: clock())
      else { return false }
      return true
    }
    return SessionInfo(
      account: account.id, name: account.name, agentName: account.agent.name,
      accreditations: account.accreditations, csrf: csrf,
      wall: wall.sorted { $0.rawValue < $1.rawValue }, needsSecondFactor: isLimited)
  }

  // MARK: Second factor

  func beginSecondFactor(_ token: String) async throws -> ConsoleReply {
    let person = try await session(token, mayBeLimited: true)
    guard !(person.account.secondFactor?.isConfirmed ?? false) else {
      throw Problem(
        409, "exists", "Déjà actif (Already active)",
        "Un second facteur est actif ; seul l'administrateur peut le remettre à zéro. (Ask the administrator to reset it.)"
      )
    }
    let secret = TimeCode.newSecret()
    try await scribe.write(
      .modification, "second-factor.begun", author: person.account.name, service: person.account.agent.service, [:])
    guard
      try await store.setSecondFactor(
        person.account.id,
        sealed: try keys.seal(secret, purpose: Self.secondFactorPurpose, subject: person.account.id.rawValue))
    else {
      throw Problem(
        409, "exists", "Déjà actif (Already active)", "Un second facteur vient d'être activé. (One was just activated.)"
      )
    }
    return .secondFactor(
      uri: TimeCode.uri(secret, account: person.account.name), secret: TimeCode.base32(secret))
  }

  func confirmSecondFactor(_ token: String, _ code: String) async throws -> ConsoleReply {
    let person = try await session(token, mayBeLimited: true)
    let now = clock()
    guard addresses.limiter.begins(person.account.name, at: now) else {
      throw Problem(429, "too-many-tries", "Trop d'essais (Too many tries)", "Attendez une minute. (Wait a minute.)")
    }
    guard let factor = person.account.secondFactor, !factor.isConfirmed else {
      throw Problem(
        409, "not-begun", "Rien à confirmer (Nothing to confirm)",
        "Demandez d'abord un secret. (Ask for a secret first.)")
    }
    let secret = try keys.open(factor.sealed, purpose: Self.secondFactorPurpose, subject: person.account.id.rawValue)
    guard let step = TimeCode.matchingStep(code.filter { !$0.isWhitespace }, secret, seconds: now.seconds) else {
      throw Problem(
        400, "wrong-code", "Code faux (Wrong code)",
        "Le code ne correspond pas ; vérifiez l'heure du téléphone. (The code does not match; check the phone's clock.)"
      )
    }
    let codes = TimeCode.newRecoveryCodes()
    try await scribe.write(
      .modification, "second-factor.confirmed", author: person.account.name, service: person.account.agent.service, [:])
    guard
      try await store.confirmSecondFactor(
        person.account.id, sealed: factor.sealed, step: step, recovery: codes.map(Tokens.hash),
        session: person.session, at: now)
    else {
      throw Problem(
        409, "not-begun", "Rien à confirmer (Nothing to confirm)",
        "Le secret a changé entre-temps : demandez-en un autre. (The secret changed meanwhile.)")
    }
    await cutViewings(of: person.account.id, in: nil, cause: "session-ended", except: person.session)
    return .recoveryCodes(codes)
  }

  /// A person's own password: the one the administrator gave does not stay theirs alone otherwise.
  func changePassword(_ token: String, _ old: String, _ new: String) async throws -> ConsoleReply {
    let person = try await session(token, mayBeLimited: true)
    guard addresses.limiter.begins(person.account.name, at: clock()) else {
      throw Problem(429, "too-many-tries", "Trop d'essais (Too many tries)", "Attendez une minute. (Wait a minute.)")
    }
    let hash = person.account.passwordHash
    guard await BlockingWork.run({ PasswordHash.matches(old, hash) }) else {
      throw try await failed(person.account, peer: "session", act: "password-change", what: "password")
    }
    guard (PasswordHash.minimumLength...PasswordHash.maximumLength).contains(new.utf8.count), new != old else {
      throw Problem.badRequest(
        "Un mot de passe a de \(PasswordHash.minimumLength) à \(PasswordHash.maximumLength) caractères, et change. (At least \(PasswordHash.minimumLength), and another one.)"
      )
    }
    guard let made = await BlockingWork.run({ try? PasswordHash.make(new) }) else { throw Problem.fault }
    try await scribe.write(
      .modification, "password.changed", author: person.account.name, service: person.account.agent.service, [:])
    try await store.setPassword(person.account.id, hash: made, keeping: person.session)
    await cutViewings(of: person.account.id, in: nil, cause: "session-ended", except: person.session)
    return .done
  }
}
