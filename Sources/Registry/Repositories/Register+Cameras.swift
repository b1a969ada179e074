package import Doctrine
import Postgres

/// Cameras, their issue and return, and refusals.
extension Register {
  package func cameras() async throws -> [CameraEntry] {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT c.*, us(c.clock_told_at) AS clock_told_us, a.id AS agent_id, a.service_id AS agent_service, a.matricule, a.name AS agent_name, a.rank
        FROM camera c LEFT JOIN camera_issue i ON i.camera_id = c.id AND i.returned_at IS NULL
        LEFT JOIN agent a ON a.id = i.agent_id ORDER BY c.id
        """
      ).map { row in
        CameraEntry(
          id: CameraID(try row.text("id")), service: ServiceID(try row.text("service_id")),
          model: try row.text("model"), passphraseSealed: try row.bytes("passphrase_sealed"),
          tokenHash: try row.bytes("token_hash"), enabled: try row.bool("enabled"),
          issuedTo: row.optionalText("agent_id") == nil ? nil : try Self.agent(row),
          delivery: try Self.delivery(row), maximumRate_kbps: Int(try row.integer("maximum_rate_kbps")),
          clock: try row.optionalTime("clock_told_us").map {
            CameraClock(offset_ms: try row.integer("clock_offset_ms"), toldAt: $0)
          })
      }
    }
  }

  package func insert(_ camera: CameraEntry, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO camera (id, service_id, model, passphrase_sealed, token_hash, enabled, enrolled_at) VALUES ($1, $2, $3, $4, $5, $6, at_us($7))",
        [
          .text(camera.id.rawValue), .text(camera.service.rawValue), .text(camera.model),
          .bytes(camera.passphraseSealed), .bytes(camera.tokenHash), .bool(camera.enabled), time.sql,
        ])
    }
  }

  package func setCamera(_ id: CameraID, enabled: Bool) async throws {
    try await pool.run { connection in
      try connection.query("UPDATE camera SET enabled = $2 WHERE id = $1", [.text(id.rawValue), .bool(enabled)])
    }
  }

  /// - Throws: `uniqueViolation("camera_issue_open")` where it is issued already.
  package func issueCamera(_ id: CameraID, issue: String, to agent: AgentID, by author: String, at time: UTCTime)
    async throws
  {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO camera_issue (id, camera_id, agent_id, issued_at, issued_by) VALUES ($1, $2, $3, at_us($4), $5)",
        [.text(issue), .text(id.rawValue), .text(agent.rawValue), time.sql, .text(author)])
    }
  }

  package func wasIssued(_ camera: CameraID, to agent: AgentID, at time: UTCTime) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "SELECT 1 FROM camera_issue WHERE camera_id = $1 AND agent_id = $2 AND issued_at <= at_us($3) AND coalesce(returned_at, 'infinity') > at_us($3)",
        [.text(camera.rawValue), .text(agent.rawValue), time.sql]
      ).isEmpty
    }
  }

  package func returnCamera(_ id: CameraID, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        // Done again from the journal it takes back nothing that came after it.
        "UPDATE camera_issue SET returned_at = at_us($2) WHERE camera_id = $1 AND returned_at IS NULL AND issued_at <= at_us($2)",
        [.text(id.rawValue), time.sql])
    }
  }

  package func insert(_ refusal: RefusalEntry) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO refusal (at, camera_id, service_id, peer, code, sentence, proven, count) VALUES (at_us($1), $2, $3, $4, $5, $6, $7, $8)",
        [
          refusal.at.sql, .optional(refusal.camera), .optional(refusal.service?.rawValue), .text(refusal.peer),
          .text(refusal.code), .text(refusal.sentence), .bool(refusal.proven), .integer(refusal.count),
        ])
    }
  }

  /// The newest refusals of these services, and those of callers that no service knows.
  package func refusals(of services: [ServiceID], limit: Int) async throws -> [RefusalEntry] {
    try await pool.run { connection in
      try connection.query(
        "SELECT us(at) AS at_us, camera_id, service_id, peer, code, sentence, proven, count FROM refusal WHERE service_id IS NULL OR service_id = ANY($1::uuid[]) ORDER BY at DESC, id DESC LIMIT $2",
        [.textArray(services.map(\.rawValue)), .integer(Int64(limit))]
      ).map { row in
        RefusalEntry(
          at: try row.time("at_us"), camera: row.optionalText("camera_id"),
          service: row.optionalText("service_id").map { ServiceID($0) }, peer: try row.text("peer"),
          code: try row.text("code"), sentence: try row.text("sentence"), proven: try row.bool("proven"),
          count: try row.integer("count"))
      }
    }
  }
}
