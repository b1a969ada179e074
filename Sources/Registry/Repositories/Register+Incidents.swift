package import Doctrine
import Postgres

/// Incidents, recordings, parts, their index, threats and viewings. Every write may be repeated.
extension Register {
  package func open(_ incident: IncidentEntry) async throws {
    let node = self.node
    try await pool.transaction { connection in
      try connection.query(
        "INSERT INTO incident (id, service_id, camera_id, agent_id, reference, activation, opened_by, opened_at) VALUES ($1, $2, $3, $4, $5, $6, 'wearer', at_us($7)) ON CONFLICT (id) DO NOTHING",
        [
          .text(incident.id.rawValue), .text(incident.service.rawValue), .text(incident.camera.rawValue),
          .text(incident.agent.rawValue), .optional(incident.reference), .optional(incident.activation),
          incident.openedAt.sql,
        ])
      try connection.query(
        "INSERT INTO recording (id, incident_id, service_id, node_id, camera_id, agent_id, started_at, size_bytes, state, damage_count) VALUES ($1, $2, $3, $4, $5, $6, at_us($7), 0, 'open', 0) ON CONFLICT (id) DO NOTHING",
        [
          .text(incident.recording.rawValue), .text(incident.id.rawValue), .text(incident.service.rawValue),
          .text(node), .text(incident.camera.rawValue), .text(incident.agent.rawValue), incident.openedAt.sql,
        ])
    }
  }

  /// Incidents that are open, with their open threat declarations, and a close that was decided.
  ///
  /// The journal comes first: what it says was ended or asked to close is so, even where the row was not written.
  package func activeIncidents() async throws -> [(
    IncidentEntry, ThreatEntry?, wasThreatened: Bool, closing: ClosingCause?, by: String?, confirmedUntil: UTCTime?,
    clock: RecordingClock?
  )] {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT i.id, r.id AS recording_id, i.service_id, i.camera_id, i.agent_id, i.reference, i.activation,
          us(i.opened_at) AS opened_us, us(i.confirmed_until) AS confirmed_us,
          coalesce(i.closing_cause, q.entry->'facts'->>'cause') AS closing_cause,
          coalesce(i.closed_by, q.author) AS closed_by, t.id AS threat_id, t.origin, t.author, t.ground, t.reason,
          us(t.opened_at) AS threat_us, r.clock_offset_ms, r.clock_off, r.clock_source,
          EXISTS (SELECT 1 FROM threat_declaration w WHERE w.incident_id = i.id) AS was_threatened
        FROM incident i JOIN recording r ON r.incident_id = i.id
        LEFT JOIN threat_declaration t ON t.incident_id = i.id AND t.closed_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.act = 'threat.ended' AND j.entry->'facts'->>'threat' = t.id::text)
        LEFT JOIN journal q ON q.act = 'incident.close-requested' AND q.entry->'facts'->>'incident' = i.id::text
        WHERE i.closed_at IS NULL AND i.opened_at IS NOT NULL
        """
      ).map { row in
        let id = IncidentID(try row.text("id"))
        let incident = IncidentEntry(
          id: id, recording: RecordingID(try row.text("recording_id")),
          service: ServiceID(try row.text("service_id")), camera: CameraID(try row.text("camera_id")),
          agent: AgentID(try row.text("agent_id")), reference: row.optionalText("reference"),
          activation: row.optionalText("activation"), openedAt: try row.time("opened_us"))
        var threat: ThreatEntry?
        if let threatID = row.optionalText("threat_id"),
          let origin = ThreatEntry.Origin(rawValue: try row.text("origin")),
          let ground = ThreatGround(rawValue: try row.text("ground"))
        {
          threat = ThreatEntry(
            id: ThreatID(threatID), incident: id, origin: origin, author: try row.text("author"),
            ground: ground, reason: row.optionalText("reason"), openedAt: try row.time("threat_us"))
        }
        return (
          incident, threat, wasThreatened: try row.bool("was_threatened"),
          closing: row.optionalText("closing_cause").flatMap(ClosingCause.init),
          by: row.optionalText("closed_by"), confirmedUntil: row.optionalTime("confirmed_us"),
          clock: try Self.clock(row)
        )
      }
    }
  }

  /// The intervention of an incident that began without one; a no-op where it has one, or is erased.
  package func setReference(of recording: RecordingID, _ reference: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE incident SET reference = $2 WHERE reference IS NULL AND opened_at IS NOT NULL AND id = (SELECT incident_id FROM recording WHERE id = $1)",
        [.text(recording.rawValue), .text(reference)])
    }
  }

  /// Remembers a close that was decided and that the ingest has yet to carry out.
  package func requestClose(_ incident: IncidentID, cause: ClosingCause, by author: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE incident SET closing_cause = $2, closed_by = $3 WHERE id = $1 AND closed_at IS NULL",
        [.text(incident.rawValue), .text(cause.rawValue), .text(author)])
    }
  }

  /// Parts that the index believes open, with their incidents.
  package func openParts() async throws -> [(PartEntry, incident: IncidentID, chunkCount: Int64)] {
    try await pool.run { connection in
      try connection.query(
        "SELECT p.*, r.incident_id FROM recording_part p JOIN recording r ON r.id = p.recording_id WHERE p.state = 'open' ORDER BY p.recording_id, p.number"
      ).map { row in
        (
          try Self.part(row), incident: IncidentID(try row.text("incident_id")),
          chunkCount: try row.integer("chunk_count")
        )
      }
    }
  }

  package func closedIncidents(among incidents: [IncidentID]) async throws -> Set<IncidentID> {
    try await pool.run { connection in
      Set(
        try connection.query(
          "SELECT id FROM incident WHERE id = ANY($1::uuid[]) AND (closed_at IS NOT NULL OR opened_at IS NULL)",
          [.textArray(incidents.map(\.rawValue))]
        ).map { IncidentID(try $0.text("id")) })
    }
  }

  package func isErased(_ part: PartID) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query("SELECT 1 AS one FROM erased_part WHERE id = $1::uuid", [.text(part.rawValue)]).isEmpty
    }
  }

  package func hasParts() async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM recording_part) OR EXISTS (SELECT 1 FROM erased_part)"
      ).isEmpty
    }
  }

  /// A part whose key is there still.
  package func part(_ id: PartID) async throws -> PartEntry? {
    try await pool.run { connection in
      try connection.query(
        "SELECT * FROM recording_part WHERE id = $1 AND wrapped_key IS NOT NULL", [.text(id.rawValue)]
      ).first.map(Self.part)
    }
  }

  /// Which of these parts the index has.
  package func known(among parts: [PartID]) async throws -> Set<PartID> {
    try await pool.run { connection in
      Set(
        try connection.query(
          "SELECT id FROM recording_part WHERE id = ANY($1::uuid[])", [.textArray(parts.map(\.rawValue))]
        ).map { PartID(try $0.text("id")) })
    }
  }

  package func numbers(of parts: [PartID]) async throws -> [PartID: Int] {
    try await pool.run { connection in
      Dictionary(
        uniqueKeysWithValues: try connection.query(
          "SELECT id, number FROM recording_part WHERE id = ANY($1::uuid[]) AND wrapped_key IS NOT NULL",
          [.textArray(parts.map(\.rawValue))]
        ).map { (PartID(try $0.text("id")), Int(try $0.integer("number"))) })
    }
  }

  /// Ends viewings that a stop of the keeper left open; returns how many.
  package func closeOpenViewings(at time: UTCTime) async throws -> Int {
    try await pool.run { connection in
      try connection.query(
        "UPDATE viewing SET left_at = greatest(joined_at, at_us($1)) WHERE left_at IS NULL RETURNING id", [time.sql]
      ).count
    }
  }

  package func close(_ closed: IncidentClosed) async throws {
    try await pool.transaction { connection in
      try connection.query(
        "UPDATE incident SET closed_at = greatest(opened_at, at_us($2)), closing_cause = $3, closed_by = $4 WHERE id = $1 AND closed_at IS NULL",
        [.text(closed.incident.rawValue), closed.at.sql, .text(closed.cause.rawValue), .optional(closed.by)])
      try connection.query(
        "UPDATE threat_declaration SET closed_at = greatest(opened_at, at_us($2)) WHERE incident_id = $1 AND closed_at IS NULL",
        [.text(closed.incident.rawValue), closed.at.sql])
      try connection.query(
        """
        UPDATE recording SET state = 'closed', ended_at = greatest(started_at, at_us($2)), damage_count = $3,
          size_bytes = (SELECT coalesce(sum(p.media_bytes), 0) FROM recording_part p WHERE p.recording_id = recording.id)
        WHERE id = $1 AND state = 'open'
        """, [.text(closed.recording.rawValue), closed.at.sql, .integer(closed.damage)])
    }
  }

  package func open(_ part: PartEntry) async throws {
    try await pool.transaction { connection in
      try connection.query("SELECT ensure_segment_partition($1::date)", [.text(part.termDay.description)])
      let added = try connection.query(
        // A number that another part took, while nobody could ask for it, is followed by the next.
        """
        INSERT INTO recording_part (id, recording_id, service_id, number, local_day, term_day, regime, regime_version,
          wrapped_key, key_name, path, state)
        SELECT $1, $2, $3, CASE WHEN EXISTS (
            SELECT 1 FROM recording_part o WHERE o.recording_id = $2 AND o.number = $4 AND o.id <> $1)
          THEN (SELECT max(o.number) + 1 FROM recording_part o WHERE o.recording_id = $2) ELSE $4 END,
          $5::date, $6::date, $7, $8, $9, $10, $11, 'open'
        ON CONFLICT (id) DO NOTHING RETURNING id
        """,
        [
          .text(part.id.rawValue), .text(part.recording.rawValue), .text(part.service.rawValue),
          .integer(Int64(part.number)), .text(part.localDay.description), .text(part.termDay.description),
          .text(part.regime), .integer(Int64(part.regimeVersion)), .bytes(part.wrappedKey), .text(part.keyName),
          .text(part.path),
        ])
      guard !added.isEmpty else { return }
      try connection.query(
        "INSERT INTO register_day (service_id, local_day, opened) VALUES ($1, $2::date, 1) ON CONFLICT (service_id, local_day) DO UPDATE SET opened = register_day.opened + 1",
        [.text(part.service.rawValue), .text(part.localDay.description)])
    }
  }

  package func close(_ part: PartProgress) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE recording_part SET state = 'closed', chunk_count = $2, chain_head = $3, file_bytes = $4 WHERE id = $1 AND state = 'open'",
        [.text(part.part.rawValue), .integer(part.chunkCount), .bytes(part.chainHead), .integer(part.file_bytes)])
    }
  }

  /// The parts of a recording in order, with how far each is indexed.
  package func parts(of recording: RecordingID) async throws -> [(PartEntry, state: String, chunkCount: Int64)] {
    try await pool.run { connection in
      try connection.query(
        "SELECT * FROM recording_part WHERE recording_id = $1 ORDER BY number", [.text(recording.rawValue)]
      ).compactMap { row in
        guard row.optionalText("wrapped_key") != nil else { return nil }
        return (
          try Self.part(row), state: try row.text("state"), chunkCount: try row.integer("chunk_count")
        )
      }
    }
  }

  /// The chain hashes that a recording's parts end with, in order.
  package func chainHeads(of recording: RecordingID) async throws -> [[UInt8]] {
    try await pool.run { connection in
      try connection.query(
        "SELECT chain_head FROM recording_part WHERE recording_id = $1 AND chain_head IS NOT NULL ORDER BY number",
        [.text(recording.rawValue)]
      ).map { try $0.bytes("chain_head") }
    }
  }

  package func insert(_ threat: ThreatEntry) async throws {
    try await pool.transaction { connection in
      // There is one at a time: an older one that is open still was ended, and its row could not be written. Done again, it
      // ends none that came after it.
      try connection.query(
        "UPDATE threat_declaration SET closed_at = greatest(opened_at, at_us($3)) WHERE incident_id = $1 AND id <> $2 AND closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM threat_declaration k WHERE k.id = $2)",
        [.text(threat.incident.rawValue), .text(threat.id.rawValue), threat.openedAt.sql])
      try connection.query(
        "INSERT INTO threat_declaration (id, incident_id, origin, author, ground, reason, opened_at) VALUES ($1, $2, $3, $4, $5, $6, at_us($7)) ON CONFLICT DO NOTHING",
        [
          .text(threat.id.rawValue), .text(threat.incident.rawValue), .text(threat.origin.rawValue),
          .text(threat.author), .text(threat.ground.rawValue), .optional(threat.reason), threat.openedAt.sql,
        ])
    }
  }

  package func closeThreat(_ id: ThreatID, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE threat_declaration SET closed_at = greatest(opened_at, at_us($2)) WHERE id = $1 AND closed_at IS NULL",
        [.text(id.rawValue), time.sql])
    }
  }

  package func insertViewing(
    _ id: ViewingID, recording: RecordingID, account: AccountID, accreditation: AccreditationID?, kind: String,
    at time: UTCTime
  ) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO viewing (id, recording_id, account_id, accreditation_id, kind, joined_at) VALUES ($1, $2, $3, $4, $5, at_us($6))",
        [
          .text(id.rawValue), .text(recording.rawValue), .text(account.rawValue),
          .optional(accreditation?.rawValue),
          .text(kind), time.sql,
        ])
    }
  }

  package func closeViewing(_ id: ViewingID, at time: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE viewing SET left_at = greatest(joined_at, at_us($2)) WHERE id = $1 AND left_at IS NULL",
        [.text(id.rawValue), time.sql])
    }
  }

  /// A closed recording whose key frames were not checked yet.
  package func nextDecodeCheck() async throws -> RecordingID? {
    try await pool.run { connection in
      try connection.query(
        "SELECT id FROM recording WHERE state = 'closed' AND decode_verdict IS NULL ORDER BY ended_at LIMIT 1"
      ).first.map { RecordingID(try $0.text("id")) }
    }
  }

  package func setDecodeVerdict(_ id: RecordingID, verdict: String, detail: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE recording SET decode_verdict = $2, decode_detail = $3 WHERE id = $1 AND state = 'closed'",
        [.text(id.rawValue), .text(verdict), .text(String(detail.prefix(500)))])
    }
  }

  static func part(_ row: Row) throws -> PartEntry {
    PartEntry(
      id: PartID(try row.text("id")), recording: RecordingID(try row.text("recording_id")),
      service: ServiceID(try row.text("service_id")), number: Int(try row.integer("number")),
      localDay: try row.date("local_day"), termDay: try row.date("term_day"), regime: try row.text("regime"),
      regimeVersion: Int(try row.integer("regime_version")), wrappedKey: try row.bytes("wrapped_key"),
      keyName: try row.text("key_name"), path: try row.text("path"), place: try row.place())
  }
}
