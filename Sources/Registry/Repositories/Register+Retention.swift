package import Doctrine
import Postgres

/// What the sweeper erases, what is held, and what is left of it.
extension Register {
  /// Parts whose term day has come and that nothing holds, oldest first; those already begun come first.
  package func dueParts(on day: LocalDate, limit: Int, except waiting: [PartID]) async throws -> [(
    part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate, path: String?,
    place: FootagePlace, location: String?, chainHead: [UInt8], keyName: String?
  )] {
    try await pool.run(isLong: true) { connection in
      try connection.query(
        """
        SELECT id, recording_id, service_id, local_day, term_day, path, place, location, chain_head, key_name FROM recording_part p
        WHERE p.id <> ALL($3::uuid[]) AND p.id IN (
            SELECT d.id FROM recording_part d WHERE d.term_day <= $1::date
            UNION ALL SELECT e.id FROM recording_part e WHERE e.state = 'erasing'
            UNION ALL SELECT o.id FROM legal_erasure l JOIN recording_part o ON o.recording_id = l.recording_id
              WHERE l.confirmed_at IS NOT NULL)
          AND (state = 'erasing' OR NOT EXISTS (
            SELECT 1 FROM hold h WHERE h.recording_id = p.recording_id AND h.released_at IS NULL))
          AND (state IN ('closed', 'erasing') OR state = 'open' AND EXISTS (
            SELECT 1 FROM recording r WHERE r.id = p.recording_id AND r.state = 'closed'))
        ORDER BY (state = 'erasing') DESC, term_day, id LIMIT $2
        """, [.text(day.description), .integer(Int64(limit)), .textArray(waiting.map(\.rawValue))]
      ).map { row in
        (
          PartID(try row.text("id")), RecordingID(try row.text("recording_id")),
          ServiceID(try row.text("service_id")), try row.date("local_day"), try row.date("term_day"),
          row.optionalText("path"), try row.place(), row.optionalText("location"),
          row.optionalText("chain_head") == nil ? [] : try row.bytes("chain_head"),
          row.optionalText("key_name")
        )
      }
    }
  }

  /// What would be erased by the end of a day, oldest first.
  package func planned(until day: LocalDate, services: [ServiceID], limit: Int) async throws -> [PlannedErasure] {
    try await pool.run(isLong: true) { connection in
      try connection.query(
        """
        SELECT id, recording_id, service_id, local_day, term_day FROM recording_part p
        WHERE term_day <= $1::date AND service_id = ANY($2::uuid[]) AND NOT EXISTS (
          SELECT 1 FROM hold h WHERE h.recording_id = p.recording_id AND h.released_at IS NULL)
        ORDER BY term_day, id LIMIT $3
        """, [.text(day.description), .textArray(services.map(\.rawValue)), .integer(Int64(limit))]
      ).map { row in
        PlannedErasure(
          part: PartID(try row.text("id")), recording: RecordingID(try row.text("recording_id")),
          service: ServiceID(try row.text("service_id")), localDay: try row.date("local_day"),
          termDay: try row.date("term_day"))
      }
    }
  }

  /// Takes a part's key out of the register; false where a hold was placed meanwhile, and then nothing changes.
  package func beginErasure(of part: PartID) async throws -> Bool {
    try await pool.transaction { connection in
      // Locked by a statement of its own: the next one then sees what a hold has committed meanwhile.
      try connection.query("SELECT 1 AS one FROM recording_part WHERE id = $1 FOR UPDATE", [.text(part.rawValue)])
      return try !connection.query(
        """
        UPDATE recording_part p SET state = 'erasing', wrapped_key = NULL, key_name = NULL
        WHERE p.id = $1 AND (p.state = 'erasing' OR NOT EXISTS (
          SELECT 1 FROM hold h WHERE h.recording_id = p.recording_id AND h.released_at IS NULL)) RETURNING p.id
        """, [.text(part.rawValue)]
      ).isEmpty
    }
  }

  /// Whether parts are left that a key of a service still wraps.
  package func keyIsNeeded(service: ServiceID, name: String, day: LocalDate) async throws -> Bool {
    try await pool.run { connection in
      // A held part's own day is asked as well: the index finds it, and a day's key is one of the two.
      try !connection.query(
        "SELECT 1 AS one FROM recording_part WHERE service_id = $1 AND local_day = $2::date AND key_name = $3 LIMIT 1",
        [.text(service.rawValue), .text(day.description), .text(name)]
      ).isEmpty
    }
  }

  /// Removes the facts of an erased part, and of its recording once it was the last.
  ///
  /// What stays: id, service, chain hash and certificate (RET-4). The part's index goes with the partition of its
  /// term day; where it goes before its day, or was held past it, row by row.
  package func eraseFacts(of part: PartID, recording: RecordingID, certificate: UInt64, at time: UTCTime) async throws {
    try await pool.transaction { connection in
      try connection.query("DELETE FROM gap WHERE part_id = $1", [.text(part.rawValue)])
      guard
        let gone = try connection.query(
          "SELECT recording_id, service_id, local_day, term_day, chain_head FROM recording_part WHERE id = $1",
          [.text(part.rawValue)]
        ).first
      else { return }
      // Before its day it goes row by row; on its day with the whole partition.
      let isEarly =
        try connection.query(
          "SELECT 1 AS one WHERE $1::date > (at_us($2) AT TIME ZONE 'Europe/Paris')::date",
          [.text(try gone.text("term_day")), time.sql]
        )
        .isEmpty == false
      try connection.query(
        "DELETE FROM segment WHERE part_id = $1 AND term_day IN ('infinity', $2::date)",
        [.text(part.rawValue), isEarly ? .text(try gone.text("term_day")) : .text("infinity")])
      try connection.query(
        "INSERT INTO erased_part (id, recording_id, service_id, chain_head, certificate) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        [
          .text(part.rawValue), .text(recording.rawValue), .text(try gone.text("service_id")),
          gone.optionalText("chain_head") == nil ? .null : .bytes(try gone.bytes("chain_head")),
          .integer(Int64(certificate)),
        ])
      // The minutes of the part's day; those of its whole recording go with the last part.
      try connection.query(
        "DELETE FROM link_health WHERE recording_id = $1 AND day = $2::date",
        [.text(recording.rawValue), .text(try gone.text("local_day"))])
      try connection.query(
        "UPDATE register_day SET erased = erased + 1 WHERE service_id = $1 AND local_day = $2::date",
        [.text(try gone.text("service_id")), .text(try gone.text("local_day"))])
      try connection.query("DELETE FROM recording_part WHERE id = $1", [.text(part.rawValue)])
      let left = try connection.query(
        "SELECT 1 AS one FROM recording_part WHERE recording_id = $1 LIMIT 1", [.text(recording.rawValue)])
      guard left.isEmpty else { return }
      try Self.eraseRecording(recording, certificate: certificate, at: time, connection)
    }
  }

  package func enterErased(
    _ part: PartID, recording: RecordingID, incident: IncidentID, service: ServiceID, chainHead: [UInt8],
    certificate: UInt64, at time: UTCTime
  ) async throws {
    let node = self.node
    try await pool.transaction { connection in
      try connection.query(
        "INSERT INTO incident (id, service_id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        [.text(incident.rawValue), .text(service.rawValue)])
      try connection.query(
        "INSERT INTO recording (id, incident_id, service_id, node_id, state, erased_at, certificate) VALUES ($1, $2, $3, $4, 'erased', at_us($5), $6) ON CONFLICT (id) DO NOTHING",
        [
          .text(recording.rawValue), .text(incident.rawValue), .text(service.rawValue), .text(node), time.sql,
          .text("journal:\(certificate)"),
        ])
      try connection.query(
        "INSERT INTO erased_part (id, recording_id, service_id, chain_head, certificate) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        [
          .text(part.rawValue), .text(recording.rawValue), .text(service.rawValue),
          chainHead.count == 32 ? .bytes(chainHead) : .null, .integer(Int64(certificate)),
        ])
      // What was linked to it before goes with the last of its parts.
      let left = try connection.query(
        "SELECT 1 AS one FROM recording_part WHERE recording_id = $1 LIMIT 1", [.text(recording.rawValue)])
      if left.isEmpty { try Self.eraseRecording(recording, certificate: certificate, at: time, connection) }
    }
  }

  private static func eraseRecording(
    _ recording: RecordingID, certificate: UInt64, at time: UTCTime, _ connection: borrowing Connection
  ) throws {
    for table in ["viewing", "hold", "procedure_link", "legal_erasure"] {
      try connection.query("DELETE FROM \(table) WHERE recording_id = $1", [.text(recording.rawValue)])
    }
    for table in ["threat_declaration", "attachment"] {
      try connection.query(
        "DELETE FROM \(table) WHERE incident_id = (SELECT incident_id FROM recording WHERE id = $1)",
        [.text(recording.rawValue)])
    }
    try connection.query(
      "UPDATE incident SET camera_id = NULL, agent_id = NULL, reference = NULL, activation = NULL, opened_by = NULL, opened_at = NULL, closed_at = NULL, closing_cause = NULL, closed_by = NULL, confirmed_until = NULL WHERE id = (SELECT incident_id FROM recording WHERE id = $1)",
      [.text(recording.rawValue)])
    try connection.query(
      "UPDATE recording SET state = 'erased', camera_id = NULL, agent_id = NULL, started_at = NULL, ended_at = NULL, size_bytes = NULL, damage_count = NULL, decode_verdict = NULL, decode_detail = NULL, place = NULL, informed = NULL, not_informed_reason = NULL, medical_secret = NULL, answered_by = NULL, justification = NULL, justified_by = NULL, clock_offset_ms = NULL, clock_off = false, clock_source = NULL, erased_at = at_us($2), certificate = $3 WHERE id = $1",
      [.text(recording.rawValue), time.sql, .text("journal:\(certificate)")])
    // After the state: minutes that are being written hold the row's lock, and later ones see that it is erased.
    try connection.query("DELETE FROM link_health WHERE recording_id = $1", [.text(recording.rawValue)])
  }

  /// Drops the index of term days that are over; returns how many.
  package func dropIndex(until day: LocalDate) async throws -> Int {
    let days = try await pool.run(isLong: true) { connection in
      try connection.query("SELECT d FROM segment_days($1::date) AS d", [.text(day.description)]).map {
        try $0.text("d")
      }
    }
    var dropped = 0
    for day in days {
      let left = try await pool.run { connection in
        try connection.query(
          "SELECT 1 AS one FROM recording_part p WHERE p.term_day = $1::date AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.recording_id = p.recording_id AND h.released_at IS NULL) LIMIT 1",
          [.text(day)])
      }
      guard left.isEmpty else { continue }
      try await pool.run { try $0.query("SELECT drop_segment_partition($1::date)", [.text(day)]) }
      dropped += 1
    }
    return dropped
  }

  // MARK: Holds

  /// Places a hold and moves what a hold moves: the parts' keys, and their index out of the term day's partition.
  /// False where an erasure has begun, or is ordered: then nothing changes.
  package func place(
    _ hold: HoldEntry, keys: [(part: PartID, wrapped: [UInt8], name: String)]
  ) async throws -> Bool {
    try await pool.transaction { connection in
      // Locked: the sweeper's own statement waits for this one, and sees the hold.
      let parts = try connection.query(
        "SELECT state FROM recording_part WHERE recording_id = $1 ORDER BY id FOR UPDATE",
        [.text(hold.recording.rawValue)])
      let ordered = try connection.query(
        "SELECT 1 AS one FROM legal_erasure WHERE recording_id = $1 AND confirmed_at IS NOT NULL",
        [.text(hold.recording.rawValue)])
      guard !parts.isEmpty, ordered.isEmpty, try parts.allSatisfy({ try $0.text("state") == "closed" }) else {
        return false
      }
      try connection.query(
        "INSERT INTO hold (id, recording_id, service_id, kind, reference, authority, requested_on, review_on, placed_at, placed_by) VALUES ($1, $2, $3, $4, $5, $6, $7::date, $8::date, at_us($9), $10)",
        [
          .text(hold.id.rawValue), .text(hold.recording.rawValue), .text(hold.service.rawValue),
          .text(hold.kind.rawValue), .text(hold.reference), .text(hold.authority), .text(hold.requestedOn.description),
          .text(hold.reviewOn.description), hold.placedAt.sql, .text(hold.placedBy),
        ])
      for key in keys {
        try connection.query(
          "UPDATE recording_part SET wrapped_key = $2, key_name = $3 WHERE id = $1 AND state = 'closed'",
          [.text(key.part.rawValue), .bytes(key.wrapped), .text(key.name)])
        try connection.query(
          "UPDATE segment SET term_day = 'infinity' WHERE part_id = $1 AND term_day <> 'infinity'",
          [.text(key.part.rawValue)])
      }
      return true
    }
  }

  package func hold(_ id: HoldID) async throws -> (HoldEntry, isReleased: Bool)? {
    try await pool.run { connection in
      try connection.query(
        "SELECT *, us(placed_at) AS placed_us FROM hold WHERE id = $1::uuid", [.text(id.rawValue)]
      ).first.map { row in
        guard let kind = ProcedureKind(rawValue: try row.text("kind")) else {
          throw DatabaseError(.unexpectedShape, "unknown kind of procedure")
        }
        return (
          HoldEntry(
            id: id, recording: RecordingID(try row.text("recording_id")),
            service: ServiceID(try row.text("service_id")), kind: kind, reference: try row.text("reference"),
            authority: try row.text("authority"), requestedOn: try row.date("requested_on"),
            reviewOn: try row.date("review_on"), placedAt: try row.time("placed_us"),
            placedBy: try row.text("placed_by")), row.optionalText("released_at") != nil
        )
      }
    }
  }

  package func release(_ hold: HoldID, by author: String, reason: String, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE hold SET released_at = greatest(placed_at, at_us($2)), released_by = $3, release_reason = $4 WHERE id = $1 AND released_at IS NULL",
        [.text(hold.rawValue), time.sql, .text(author), .text(reason)])
    }
  }

  package func link(
    _ recording: RecordingID, service: ServiceID, kind: ProcedureKind, reference: String, by author: String,
    at time: UTCTime
  ) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO procedure_link (recording_id, service_id, kind, reference, linked_at, linked_by) VALUES ($1, $2, $3, $4, at_us($5), $6) ON CONFLICT DO NOTHING",
        [
          .text(recording.rawValue), .text(service.rawValue), .text(kind.rawValue), .text(reference), time.sql,
          .text(author),
        ])
    }
  }

  package func unlink(_ recording: RecordingID, reference: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "DELETE FROM procedure_link WHERE recording_id = $1 AND reference = $2",
        [.text(recording.rawValue), .text(reference)])
    }
  }

  /// Recordings of open procedures whose term comes by a day and that nothing holds (RET-8).
  package func termWarnings(until day: LocalDate, services: [ServiceID]?) async throws -> [TermWarning] {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT l.recording_id, l.service_id, l.reference, min(p.term_day) AS term_day
        FROM procedure_link l JOIN recording_part p ON p.recording_id = l.recording_id
        WHERE p.term_day <= $1::date AND ($2::uuid[] IS NULL OR l.service_id = ANY($2::uuid[])) AND NOT EXISTS (
          SELECT 1 FROM hold h WHERE h.recording_id = l.recording_id AND h.released_at IS NULL)
        GROUP BY 1, 2, 3 ORDER BY 4, 1 LIMIT 1000
        """, [.text(day.description), services.map { .textArray($0.map(\.rawValue)) } ?? .null]
      ).map { row in
        TermWarning(
          recording: RecordingID(try row.text("recording_id")), service: ServiceID(try row.text("service_id")),
          reference: try row.text("reference"), termDay: try row.date("term_day"))
      }
    }
  }

  // MARK: Erasures that the law orders

  package func propose(_ erasure: LegalErasureEntry) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO legal_erasure (id, recording_id, service_id, ground, reference, proposed_by, proposer, proposed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, at_us($8))",
        [
          .text(erasure.id.rawValue), .text(erasure.recording.rawValue), .text(erasure.service.rawValue),
          .text(erasure.ground.rawValue), .text(erasure.reference), .text(erasure.proposedBy),
          .text(erasure.proposer.rawValue), erasure.proposedAt.sql,
        ])
    }
  }

  /// The order that stands for a recording: proposed, or confirmed and being carried out.
  package func legalErasure(of recording: RecordingID) async throws -> LegalErasureEntry? {
    try await pool.run { connection in
      try connection.query(
        "SELECT *, us(proposed_at) AS proposed_us FROM legal_erasure WHERE recording_id = $1::uuid AND withdrawn_at IS NULL",
        [.text(recording.rawValue)]
      ).first.map { row in
        guard let ground = ErasureGround(rawValue: try row.text("ground")) else {
          throw DatabaseError(.unexpectedShape, "unknown ground of erasure")
        }
        return LegalErasureEntry(
          id: LegalErasureID(try row.text("id")), recording: recording, service: ServiceID(try row.text("service_id")),
          ground: ground, reference: try row.text("reference"), proposedBy: try row.text("proposed_by"),
          proposer: AgentID(try row.text("proposer")), proposedAt: try row.time("proposed_us"),
          confirmedBy: row.optionalText("confirmed_by"))
      }
    }
  }

  /// False where it was withdrawn meanwhile.
  package func confirm(_ erasure: LegalErasureID, by author: String, at time: UTCTime) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "UPDATE legal_erasure SET confirmed_by = $2, confirmed_at = greatest(proposed_at, at_us($3)) WHERE id = $1 AND withdrawn_at IS NULL RETURNING id",
        [.text(erasure.rawValue), .text(author), time.sql]
      ).isEmpty
    }
  }

  /// False where it was confirmed meanwhile.
  package func withdraw(_ erasure: LegalErasureID, at time: UTCTime) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "UPDATE legal_erasure SET withdrawn_at = greatest(proposed_at, at_us($2)) WHERE id = $1 AND confirmed_at IS NULL RETURNING id",
        [.text(erasure.rawValue), time.sql]
      ).isEmpty
    }
  }

  package func certificate(of part: PartID, recording: RecordingID, service: ServiceID) async throws -> UInt64? {
    try await pool.run { connection in
      try connection.query(
        "SELECT position FROM journal WHERE service_id = $1 AND entry->'facts'->>'recording' = $2 AND act = 'erasure.certificate' AND entry->'facts'->>'part' = $3 ORDER BY position LIMIT 1",
        [.text(service.rawValue), .text(recording.rawValue), .text(part.rawValue)]
      ).first.map { UInt64(try $0.integer("position")) }
    }
  }

  // MARK: The sweeper's clock

  package func sweeperClock() async throws -> (sweptAt: UTCTime, stoppedSince: UTCTime?, reason: String?)? {
    try await pool.run { connection in
      try connection.query(
        "SELECT us(swept_at) AS swept_us, us(stopped_since) AS stopped_us, reason FROM sweeper_clock"
      ).first.map { (try $0.time("swept_us"), $0.optionalTime("stopped_us"), $0.optionalText("reason")) }
    }
  }

  package func setSweeperClock(_ sweptAt: UTCTime, stoppedSince: UTCTime?, reason: String?) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO sweeper_clock (swept_at, stopped_since, reason) VALUES (at_us($1), at_us($2), $3) ON CONFLICT (only_row) DO UPDATE SET swept_at = EXCLUDED.swept_at, stopped_since = EXCLUDED.stopped_since, reason = EXCLUDED.reason",
        [sweptAt.sql, .optional(stoppedSince?.microseconds), .optional(reason)])
    }
  }
}
