package import Doctrine
internal import Journal
import Postgres

/// What auditors ask, what the sweeper erases, and the journal's index.
extension Register {
  package func rows(_ filter: RegisterFilter, services: [ServiceID]) async throws -> [RegisterRow] {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT r.id, r.state, s.name AS service, a.name AS agent, a.matricule, r.camera_id, r.incident_id,
          i.reference, us(r.started_at) AS from_us, us(r.ended_at) AS to_us,
          CASE WHEN r.state = 'open' THEN (SELECT coalesce(sum(g.media_bytes), 0) FROM segment g
            JOIN recording_part p ON p.id = g.part_id AND p.term_day = g.term_day WHERE p.recording_id = r.id)
            ELSE r.size_bytes END AS size_bytes,
          (SELECT count(*) FROM gap g JOIN recording_part p ON p.id = g.part_id WHERE p.recording_id = r.id) AS gaps,
          (SELECT max(p.term_day) FROM recording_part p WHERE p.recording_id = r.id) AS term_day,
          r.decode_verdict, r.decode_detail, r.damage_count, us(r.erased_at) AS erased_us,
          (SELECT encode(p.chain_head, 'hex') FROM recording_part p WHERE p.recording_id = r.id
            ORDER BY p.number DESC LIMIT 1) AS chain_head
        FROM recording r JOIN service s ON s.id = r.service_id JOIN incident i ON i.id = r.incident_id
        LEFT JOIN agent a ON a.id = r.agent_id
        WHERE r.service_id = ANY($1::uuid[])
          AND ($2::text IS NULL OR s.name = $2 OR s.id::text = $2)
          AND ($3::text IS NULL OR a.matricule = $3 OR a.name = $3)
          AND ($4::text IS NULL OR r.camera_id = $4)
          AND ($5::text IS NULL OR r.incident_id::text = $5)
          AND ($6::text IS NULL OR r.state = $6)
          AND ($7::bigint IS NULL OR coalesce(r.ended_at, 'infinity') >= at_us($7))
          AND ($8::bigint IS NULL OR r.started_at < at_us($8))
          AND ($9::text IS NULL OR r.id::text > $9)
        ORDER BY r.id LIMIT $10
        """,
        [
          .textArray(services.map(\.rawValue)), .optional(filter.service), .optional(filter.agent),
          .optional(filter.camera), .optional(filter.incident), .optional(filter.state),
          .optional(filter.from?.microseconds), .optional(filter.to?.microseconds), .optional(filter.after),
          .integer(Int64(filter.limit)),
        ]
      ).map { row in
        RegisterRow(
          recording: RecordingID(try row.text("id")), state: try row.text("state"),
          service: try row.text("service"), agent: row.optionalText("agent"),
          matricule: row.optionalText("matricule"), camera: row.optionalText("camera_id"),
          incident: IncidentID(try row.text("incident_id")), reference: row.optionalText("reference"),
          from: row.optionalTime("from_us"), to: row.optionalTime("to_us"),
          size_bytes: row.optionalInteger("size_bytes"), gaps: try row.integer("gaps"),
          termDay: row.optionalText("term_day").flatMap { LocalDate($0) },
          decodeVerdict: row.optionalText("decode_verdict"), decodeDetail: row.optionalText("decode_detail"),
          damage: row.optionalInteger("damage_count"), chainHead: row.optionalText("chain_head"),
          erasedAt: row.optionalTime("erased_us"))
      }
    }
  }

  /// What the index says of every part that is not erased.
  package func partFacts(of services: [ServiceID]) async throws -> [(
    PartProgress, recording: RecordingID, path: String, state: String, media_bytes: Int64
  )] {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT p.id, p.recording_id, p.path, p.state, p.chunk_count, p.chain_head, p.file_bytes,  coalesce(sum(s.media_bytes), 0) AS media_bytes
        FROM recording_part p LEFT JOIN segment s ON s.part_id = p.id AND s.term_day = p.term_day
        WHERE p.state <> 'erased' AND p.path IS NOT NULL AND p.service_id = ANY($1::uuid[])
        GROUP BY p.id ORDER BY p.local_day, p.id
        """, [.textArray(services.map(\.rawValue))]
      ).map { row in
        let head = row.optionalText("chain_head") == nil ? [] : try row.bytes("chain_head")
        return (
          PartProgress(
            part: PartID(try row.text("id")), chunkCount: try row.integer("chunk_count"), chainHead: head,
            file_bytes: try row.integer("file_bytes")), recording: RecordingID(try row.text("recording_id")),
          path: try row.text("path"), state: try row.text("state"), media_bytes: try row.integer("media_bytes")
        )
      }
    }
  }

  /// Paths of every part that is not erased.
  package func partPaths() async throws -> [String] {
    try await pool.run { connection in
      try connection.query("SELECT path FROM recording_part WHERE path IS NOT NULL").map { try $0.text("path") }
    }
  }

  /// Whether a failure may pass, or be mended by an administrator; only values that break a rule of the schema
  /// (SQLSTATE classes 22 and 23) never will.
  package func isTransient(_ error: any Error) -> Bool {
    guard let failure = error as? DatabaseError else { return false }
    switch failure.code {
    case .uniqueViolation, .foreignKeyViolation, .checkViolation, .unexpectedShape: return false
    case .other(let state): return !state.hasPrefix("22") && !state.hasPrefix("23")
    default: return true
    }
  }

  package func complaint(_ error: any Error) -> StoreComplaint? {
    switch (error as? DatabaseError)?.code {
    case .uniqueViolation: .exists
    case .foreignKeyViolation, .checkViolation: .refused
    case .other(let state) where state.hasPrefix("22"): .refused
    default: nil
    }
  }

  /// Parts whose term day has come, oldest first; those already begun come first.
  package func dueParts(on day: LocalDate, limit: Int) async throws -> [(
    part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate, path: String?,
    chainHead: [UInt8]
  )] {
    try await pool.run { connection in
      try connection.query(
        "SELECT id, recording_id, service_id, local_day, term_day, path, chain_head FROM recording_part p WHERE term_day <= $1::date AND (state IN ('closed', 'erasing') OR state = 'open' AND EXISTS (SELECT 1 FROM recording r WHERE r.id = p.recording_id AND r.state = 'closed')) ORDER BY (state = 'erasing') DESC, term_day, id LIMIT $2",
        [.text(day.description), .integer(Int64(limit))]
      ).map { row in
        (
          PartID(try row.text("id")), RecordingID(try row.text("recording_id")),
          ServiceID(try row.text("service_id")), try row.date("local_day"), try row.date("term_day"),
          row.optionalText("path"), row.optionalText("chain_head") == nil ? [] : try row.bytes("chain_head")
        )
      }
    }
  }

  package func beginErasure(of part: PartID) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE recording_part SET state = 'erasing', wrapped_key = NULL WHERE id = $1", [.text(part.rawValue)])
    }
  }

  /// Whether parts of a service and day are left whose key is still needed.
  package func dayKeyIsNeeded(service: ServiceID, day: LocalDate) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "SELECT 1 AS one FROM recording_part WHERE service_id = $1 AND local_day = $2::date AND state IN ('open', 'closed') LIMIT 1",
        [.text(service.rawValue), .text(day.description)]
      ).isEmpty
    }
  }

  /// Removes the facts of an erased part, and of its recording once it was the last.
  ///
  /// What stays: id, service, chain hash and, of the recording, the position of its certificate (RET-4).
  package func eraseFacts(of part: PartID, recording: RecordingID, certificate: String, at time: UTCTime) async throws {
    try await pool.transaction { connection in
      try connection.query("DELETE FROM segment WHERE part_id = $1", [.text(part.rawValue)])
      try connection.query("DELETE FROM gap WHERE part_id = $1", [.text(part.rawValue)])
      try connection.query(
        "UPDATE recording_part SET state = 'erased', wrapped_key = NULL, path = NULL, file_bytes = 0, chunk_count = 0 WHERE id = $1",
        [.text(part.rawValue)])
      let left = try connection.query(
        "SELECT 1 AS one FROM recording_part WHERE recording_id = $1 AND state <> 'erased' LIMIT 1",
        [.text(recording.rawValue)])
      guard left.isEmpty else { return }
      try connection.query("DELETE FROM viewing WHERE recording_id = $1", [.text(recording.rawValue)])
      try connection.query(
        "DELETE FROM threat_declaration WHERE incident_id = (SELECT incident_id FROM recording WHERE id = $1)",
        [.text(recording.rawValue)])
      try connection.query(
        "UPDATE incident SET camera_id = NULL, agent_id = NULL, reference = NULL, activation = NULL, opened_by = NULL, opened_at = NULL, closed_at = NULL, closing_cause = NULL, closed_by = NULL WHERE id = (SELECT incident_id FROM recording WHERE id = $1)",
        [.text(recording.rawValue)])
      try connection.query(
        "UPDATE recording SET state = 'erased', camera_id = NULL, agent_id = NULL, started_at = NULL, ended_at = NULL, size_bytes = NULL, damage_count = NULL, decode_verdict = NULL, decode_detail = NULL, erased_at = at_us($2), certificate = $3 WHERE id = $1",
        [.text(recording.rawValue), time.sql, .text(certificate)])
    }
  }

  package func dropIndex(of termDay: LocalDate) async throws {
    try await pool.run { connection in
      let left = try connection.query(
        "SELECT 1 AS one FROM recording_part WHERE term_day = $1::date AND state <> 'erased' LIMIT 1",
        [.text(termDay.description)])
      guard left.isEmpty else { return }
      try connection.query("SELECT drop_segment_partition($1::date)", [.text(termDay.description)])
    }
  }

  /// Entries the index has.
  package func journalIndexSize() async throws -> UInt64 {
    try await pool.run { connection in
      UInt64(
        try connection.query("SELECT coalesce(max(position) + 1, 0) AS size FROM journal").first?.integer("size") ?? 0)
    }
  }

  package func indexJournal(
    _ entries: [(
      position: UInt64, time_us: Int64, kind: String, act: String, author: String, service: String?, text: String,
      leaf: [UInt8]
    )]
  ) async throws {
    try await pool.transaction { connection in
      for entry in entries {
        try connection.query(
          "INSERT INTO journal (position, at, kind, act, author, service_id, entry, leaf) VALUES ($1, at_us($2), $3, $4, $5, $6, $7::jsonb, $8) ON CONFLICT DO NOTHING",
          [
            .integer(Int64(entry.position)), .integer(entry.time_us), .text(entry.kind), .text(entry.act),
            .text(entry.author), .optional(entry.service), .text(entry.text), .bytes(entry.leaf),
          ])
      }
    }
  }
}
