package import Doctrine
package import Postgres

/// The register in PostgreSQL: every statement of the server is in this module and nowhere else.
///
/// A write is idempotent where its caller may repeat it after a lost answer.
package struct Register: Sendable {
  let pool: Pool
  let node: String

  package init(pool: Pool, node: String) {
    self.pool = pool
    self.node = node
  }

  /// - Throws: ``Migrator/Failure`` where the schema is not this build's.
  package func checkVersion() async throws {
    let found: Int = try await pool.run { connection in
      let row = try connection.query("SELECT coalesce(max(number), 0) AS number FROM schema_migration").first
      return Int(try row?.integer("number") ?? 0)
    }
    guard found == Migrator.version else {
      throw Migrator.Failure(
        description:
          "the database is at version \(found), this build needs \(Migrator.version): run `plastron migrate` of this version"
      )
    }
  }

  package var connectionLosses: Int { pool.losses }

  package func answers() async -> Bool { await pool.answers() }

  package func enterNode(name: String, at time: UTCTime) async throws {
    let node = self.node
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO node (id, name, started_at) VALUES ($1, $2, at_us($3)) ON CONFLICT (id) DO UPDATE SET started_at = EXCLUDED.started_at",
        [.text(node), .text(name), .integer(time.microseconds)])
    }
  }
}

extension UTCTime {
  var sql: SQLValue { .integer(microseconds) }
}

extension Row {
  func time(_ column: String) throws -> UTCTime { UTCTime(microseconds: try integer(column)) }
  func optionalTime(_ column: String) -> UTCTime? {
    optionalInteger(column).map { UTCTime(microseconds: $0) }
  }

  func date(_ column: String) throws -> LocalDate {
    guard let date = LocalDate(try text(column)) else {
      throw DatabaseError(.unexpectedShape, "column \(column) is not a date")
    }
    return date
  }

  func place() throws -> FootagePlace {
    guard let place = FootagePlace(rawValue: try text("place")) else {
      throw DatabaseError(.unexpectedShape, "column place is not a place")
    }
    return place
  }

  /// A service's own version of its profile.
  func regime() throws -> Regime {
    guard var regime = Regime.named(try text("regime")) else {
      throw DatabaseError(.unexpectedShape, "column regime is not a regime of this build")
    }
    regime.version = Int(try integer("regime_version"))
    regime.term_months = Int(try integer("term_months"))
    regime.liveSound = try bool("live_sound")
    regime.commandRoomMayDeclare = try bool("command_room_may_declare")
    regime.wearerMayExtract = try bool("wearer_may_extract")
    return regime
  }
}
