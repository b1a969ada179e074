package import Doctrine
import Postgres

/// Services, agents, accounts, sessions, accreditations.
extension Register {
  package func services() async throws -> [ServiceEntry] {
    try await pool.run { connection in
      try connection.query("SELECT * FROM service ORDER BY name").map { row in
        ServiceEntry(
          id: ServiceID(try row.text("id")), name: try row.text("name"), regime: try row.regime(),
          authorisingAct: try row.text("authorising_act"), authorisingDate: try row.date("authorising_date"),
          authorisedCameras: row.optionalInteger("authorised_cameras").map(Int.init),
          relayBudget_ms: Int(try row.integer("relay_budget_ms")))
      }
    }
  }

  package func insert(_ service: ServiceEntry, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO service (id, name, regime, regime_version, authorising_act, authorising_date, authorised_cameras, created_at, term_months, live_sound, command_room_may_declare, wearer_may_extract) VALUES ($1, $2, $3, $4, $5, $6::date, $7, at_us($8), $9, $10, $11, $12)",
        [
          .text(service.id.rawValue), .text(service.name), .text(service.regime.name),
          .integer(Int64(service.regime.version)), .text(service.authorisingAct),
          .text(service.authorisingDate.description), .optional(service.authorisedCameras.map(Int64.init)),
          time.sql, .integer(Int64(service.regime.term_months)), .bool(service.regime.liveSound),
          .bool(service.regime.commandRoomMayDeclare), .bool(service.regime.wearerMayExtract),
        ])
    }
  }

  /// A new act authorises a service's treatment.
  package func authorise(_ service: ServiceID, act: String, on date: LocalDate, cameras: Int?) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE service SET authorising_act = $2, authorising_date = $3::date, authorised_cameras = $4 WHERE id = $1",
        [.text(service.rawValue), .text(act), .text(date.description), .optional(cameras.map(Int64.init))])
    }
  }

  package func agents(of service: ServiceID) async throws -> [AgentEntry] {
    try await pool.run { connection in
      try connection.query(
        "SELECT id AS agent_id, service_id AS agent_service, matricule, name AS agent_name, rank FROM agent WHERE service_id = $1 ORDER BY name, matricule",
        [.text(service.rawValue)]
      ).map(Self.agent)
    }
  }

  package func agent(_ id: AgentID) async throws -> AgentEntry? {
    try await pool.run { connection in
      try connection.query(
        "SELECT id AS agent_id, service_id AS agent_service, matricule, name AS agent_name, rank FROM agent WHERE id = $1",
        [.text(id.rawValue)]
      ).first.map(Self.agent)
    }
  }

  package func insert(_ agent: AgentEntry) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO agent (id, service_id, matricule, name, rank) VALUES ($1, $2, $3, $4, $5)",
        [
          .text(agent.id.rawValue), .text(agent.service.rawValue), .text(agent.matricule), .text(agent.name),
          .text(agent.rank),
        ])
    }
  }

  package func insertAccount(
    _ id: AccountID, name: String, agent: AgentID, passwordHash: String, at time: UTCTime
  ) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO account (id, name, agent_id, password_hash, created_at) VALUES ($1, $2, $3, $4, at_us($5))",
        [.text(id.rawValue), .text(name), .text(agent.rawValue), .text(passwordHash), time.sql])
    }
  }

  package func account(named name: String) async throws -> AccountEntry? {
    try await account(where: "c.name = $1", name)
  }

  package func account(_ id: AccountID) async throws -> AccountEntry? {
    try await account(where: "c.id = $1::uuid", id.rawValue)
  }

  private func account(where condition: String, _ value: String) async throws -> AccountEntry? {
    try await pool.run { connection in
      guard
        let row = try connection.query(
          "SELECT c.*, us(c.locked_until) AS locked_us, us(c.totp_confirmed_at) AS totp_us, a.id AS agent_id, a.service_id AS agent_service, a.matricule, a.name AS agent_name, a.rank FROM account c JOIN agent a ON a.id = c.agent_id WHERE \(condition)",
          [.text(value)]
        ).first
      else { return nil }
      let id = try row.text("id")
      let accreditations = try connection.query(
        "SELECT id, role, service_id, act, us(valid_from) AS from_us, us(least(valid_until, coalesce(ended_at, 'infinity'))) AS until_us FROM accreditation WHERE account_id = $1 ORDER BY valid_from",
        [.text(id)]
      ).map { row in
        guard let role = Role(rawValue: try row.text("role")) else {
          throw DatabaseError(.unexpectedShape, "unknown role")
        }
        return Accreditation(
          id: AccreditationID(try row.text("id")), role: role, service: ServiceID(try row.text("service_id")),
          act: try row.text("act"), from: try row.time("from_us"), until: try row.time("until_us"))
      }
      return AccountEntry(
        id: AccountID(id), name: try row.text("name"), agent: try Self.agent(row),
        passwordHash: try row.text("password_hash"), failedAttempts: Int(try row.integer("failed_attempts")),
        lockedUntil: row.optionalTime("locked_us"), disabled: row.optionalText("disabled_at") != nil,
        secondFactor: row.optionalText("totp_sealed") == nil
          ? nil
          : SecondFactorEntry(
            sealed: try row.bytes("totp_sealed"), isConfirmed: row.optionalTime("totp_us") != nil,
            lastStep: row.optionalInteger("totp_last_step")),
        accreditations: accreditations)
    }
  }

  /// Counts a failed log-in; the count that reaches the limit locks the account. True where it is locked by it.
  ///
  /// One statement: however many tries are under way at once, each is counted.
  package func countFailure(_ id: AccountID, limit: Int, lockedUntil: UTCTime) async throws -> Bool {
    try await pool.run { connection in
      try connection.query(
        "UPDATE account SET failed_attempts = CASE WHEN failed_attempts + 1 >= $2 THEN 0 ELSE failed_attempts + 1 END, locked_until = CASE WHEN failed_attempts + 1 >= $2 THEN at_us($3) ELSE locked_until END WHERE id = $1 RETURNING failed_attempts = 0 AS locked",
        [.text(id.rawValue), .integer(Int64(limit)), lockedUntil.sql]
      ).first?.bool("locked") ?? false
    }
  }

  package func clearFailures(_ id: AccountID) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE account SET failed_attempts = 0, locked_until = NULL WHERE id = $1", [.text(id.rawValue)])
    }
  }

  package func setPassword(_ id: AccountID, hash: String, keeping session: [UInt8]) async throws {
    try await pool.transaction { connection in
      try connection.query("UPDATE account SET password_hash = $2 WHERE id = $1", [.text(id.rawValue), .text(hash)])
      try connection.query(
        "DELETE FROM session WHERE account_id = $1 AND token_hash <> $2", [.text(id.rawValue), .bytes(session)])
    }
  }

  package func insert(_ accreditation: Accreditation, account: AccountID, givenBy: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO accreditation (id, account_id, service_id, role, act, given_by, valid_from, valid_until) VALUES ($1, $2, $3, $4, $5, $6, at_us($7), at_us($8))",
        [
          .text(accreditation.id.rawValue), .text(account.rawValue), .text(accreditation.service.rawValue),
          .text(accreditation.role.rawValue), .text(accreditation.act), .text(givenBy),
          accreditation.from.sql, accreditation.until.sql,
        ])
    }
  }

  package func accreditation(_ id: AccreditationID) async throws -> (
    service: ServiceID, role: Role, account: AccountID
  )? {
    try await pool.run { connection in
      try connection.query(
        "SELECT service_id, role, account_id FROM accreditation WHERE id = $1::uuid", [.text(id.rawValue)]
      ).first.map { row in
        guard let role = Role(rawValue: try row.text("role")) else {
          throw DatabaseError(.unexpectedShape, "unknown role")
        }
        return (ServiceID(try row.text("service_id")), role, AccountID(try row.text("account_id")))
      }
    }
  }

  /// Ends an accreditation before its time; one that has ended stays as it is.
  package func endAccreditation(_ id: AccreditationID, by author: String, act: String, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE accreditation SET ended_at = greatest(valid_from, at_us($2)), ended_by = $3, end_act = $4 WHERE id = $1 AND ended_at IS NULL AND valid_until > at_us($2)",
        [.text(id.rawValue), time.sql, .text(author), .text(act)])
    }
  }

  // MARK: Second factor

  /// Sets a secret that is to be confirmed, or none; false where one was confirmed meanwhile.
  package func setSecondFactor(_ id: AccountID, sealed: [UInt8]?) async throws -> Bool {
    try await pool.transaction { connection in
      let set = try connection.query(
        "UPDATE account SET totp_sealed = $2, totp_confirmed_at = NULL, totp_last_step = NULL WHERE id = $1 AND ($2::bytea IS NULL OR totp_confirmed_at IS NULL) RETURNING id",
        [.text(id.rawValue), sealed.map(SQLValue.bytes) ?? .null])
      guard !set.isEmpty else { return false }
      try connection.query("DELETE FROM recovery_code WHERE account_id = $1", [.text(id.rawValue)])
      // Whoever was in under the old factor is not any more.
      if sealed == nil { try connection.query("DELETE FROM session WHERE account_id = $1", [.text(id.rawValue)]) }
      return true
    }
  }

  /// - Parameter session: the one that confirmed, which alone stays; any other knew only the password.
  package func confirmSecondFactor(
    _ id: AccountID, sealed: [UInt8], step: Int64, recovery: [[UInt8]], session: [UInt8], at time: UTCTime
  ) async throws -> Bool {
    try await pool.transaction { connection in
      let confirmed = try connection.query(
        "UPDATE account SET totp_confirmed_at = at_us($2), totp_last_step = $3 WHERE id = $1 AND totp_sealed = $4 AND totp_confirmed_at IS NULL RETURNING id",
        [.text(id.rawValue), time.sql, .integer(step), .bytes(sealed)])
      guard !confirmed.isEmpty else { return false }
      try connection.query("UPDATE session SET limited = false WHERE token_hash = $1", [.bytes(session)])
      try connection.query(
        "DELETE FROM session WHERE account_id = $1 AND token_hash <> $2", [.text(id.rawValue), .bytes(session)])
      for hash in recovery {
        try connection.query(
          "INSERT INTO recovery_code (account_id, code_hash) VALUES ($1, $2)", [.text(id.rawValue), .bytes(hash)])
      }
      return true
    }
  }

  /// Uses a time step up; false where it, or a later one, was used before.
  package func useStep(_ id: AccountID, _ step: Int64) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "UPDATE account SET totp_last_step = $2 WHERE id = $1 AND coalesce(totp_last_step, -1) < $2 RETURNING id",
        [.text(id.rawValue), .integer(step)]
      ).isEmpty
    }
  }

  /// Uses a recovery code up; false where it is none, or was used.
  package func useRecoveryCode(_ id: AccountID, _ hash: [UInt8], at time: UTCTime) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "UPDATE recovery_code SET used_at = at_us($3) WHERE account_id = $1 AND code_hash = $2 AND used_at IS NULL RETURNING account_id",
        [.text(id.rawValue), .bytes(hash), time.sql]
      ).isEmpty
    }
  }

  // MARK: Providers

  package func link(_ account: AccountID, issuer: String, subject: String, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO account_identity (issuer, subject, account_id, linked_at) VALUES ($1, $2, $3, at_us($4))",
        [.text(issuer), .text(subject), .text(account.rawValue), time.sql])
    }
  }

  package func account(issuer: String, subject: String) async throws -> AccountEntry? {
    let id = try await pool.run { connection in
      try connection.query(
        "SELECT account_id FROM account_identity WHERE issuer = $1 AND subject = $2", [.text(issuer), .text(subject)]
      ).first.map { AccountID(try $0.text("account_id")) }
    }
    guard let id else { return nil }
    return try await account(id)
  }

  package func disableAccount(_ id: AccountID, at time: UTCTime?) async throws {
    try await pool.transaction { connection in
      try connection.query(
        "UPDATE account SET disabled_at = at_us($2) WHERE id = $1", [.text(id.rawValue), .optional(time?.microseconds)])
      if time != nil {
        try connection.query("DELETE FROM session WHERE account_id = $1", [.text(id.rawValue)])
      }
    }
  }

  package func insertSession(
    _ tokenHash: [UInt8], account: AccountID, isLimited: Bool, at time: UTCTime, until: UTCTime
  ) async throws {
    try await pool.run { connection in
      try connection.query("DELETE FROM session WHERE expires_at < at_us($1)", [time.sql])
      try connection.query(
        "INSERT INTO session (token_hash, account_id, created_at, used_at, expires_at, limited) VALUES ($1, $2, at_us($3), at_us($3), at_us($4), $5)",
        [.bytes(tokenHash), .text(account.rawValue), time.sql, until.sql, .bool(isLimited)])
    }
  }

  /// The account of a session in force, marking it used; nil where it has ended by either limit.
  package func useSession(
    _ tokenHash: [UInt8], at time: UTCTime, idleSince: UTCTime
  ) async throws -> (account: AccountID, isLimited: Bool, until: UTCTime)? {
    try await pool.run { connection in
      try connection.query(
        "UPDATE session SET used_at = at_us($2) WHERE token_hash = $1 AND expires_at > at_us($2) AND used_at > at_us($3) RETURNING account_id, limited, us(expires_at) AS expires_us",
        [.bytes(tokenHash), time.sql, idleSince.sql]
      ).first.map {
        (
          AccountID(try $0.text("account_id")), try $0.bool("limited"),
          UTCTime(microseconds: try $0.integer("expires_us"))
        )
      }
    }
  }

  package func deleteSession(_ tokenHash: [UInt8]) async throws {
    try await pool.run { connection in
      try connection.query("DELETE FROM session WHERE token_hash = $1", [.bytes(tokenHash)])
    }
  }

  static func agent(_ row: Row) throws -> AgentEntry {
    AgentEntry(
      id: AgentID(try row.text("agent_id")), service: ServiceID(try row.text("agent_service")),
      matricule: try row.text("matricule"), name: try row.text("agent_name"), rank: try row.text("rank"))
  }
}
