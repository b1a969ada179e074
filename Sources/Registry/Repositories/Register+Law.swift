package import Doctrine
import Postgres

/// Regimes, closing answers, attachments, requests of persons recorded, counts by day.
extension Register {
  package func setRegime(of service: ServiceID, _ regime: Regime) async throws -> Int {
    try await pool.transaction(isLong: true) { connection in
      try connection.query(
        "UPDATE service SET regime = $2, regime_version = $3, term_months = $4, live_sound = $5, command_room_may_declare = $6, wearer_may_extract = $7 WHERE id = $1",
        [
          .text(service.rawValue), .text(regime.name), .integer(Int64(regime.version)),
          .integer(Int64(regime.term_months)), .bool(regime.liveSound), .bool(regime.commandRoomMayDeclare),
          .bool(regime.wearerMayExtract),
        ])
      // A shortening applies at once, a lengthening never backwards.
      let parts = try connection.query(
        "SELECT id, local_day, term_day FROM recording_part WHERE service_id = $1 AND state <> 'erasing'",
        [.text(service.rawValue)])
      var shortened = 0
      for part in parts {
        let old = try part.date("term_day")
        let new = Term(endDay: old).shortened(recordedOn: try part.date("local_day"), under: regime).endDay
        guard new < old else { continue }
        shortened += 1
        try connection.query("SELECT ensure_segment_partition($1::date)", [.text(new.description)])
        try connection.query(
          "UPDATE recording_part SET term_day = $2::date WHERE id = $1",
          [.text(try part.text("id")), .text(new.description)])
        try connection.query(
          "UPDATE segment SET term_day = $2::date WHERE part_id = $1 AND term_day <> 'infinity'",
          [.text(try part.text("id")), .text(new.description)])
      }
      return shortened
    }
  }

  package func facts(of recording: RecordingID) async throws -> RecordingFacts? {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT r.id, r.service_id, r.incident_id, r.state, r.camera_id, r.agent_id,
          (SELECT min(p.term_day) FROM recording_part p WHERE p.recording_id = r.id) AS term_day,
          EXISTS (SELECT 1 FROM hold h WHERE h.recording_id = r.id AND h.released_at IS NULL) AS held,
          EXISTS (SELECT 1 FROM legal_erasure e WHERE e.recording_id = r.id AND e.confirmed_at IS NOT NULL) AS ordered
        FROM recording r WHERE r.id = $1::uuid
        """, [.text(recording.rawValue)]
      ).first.map { row in
        RecordingFacts(
          id: recording, service: ServiceID(try row.text("service_id")),
          incident: IncidentID(try row.text("incident_id")), state: try row.text("state"),
          camera: row.optionalText("camera_id").map { CameraID($0) },
          agent: row.optionalText("agent_id").map { AgentID($0) },
          termDay: row.optionalText("term_day").flatMap { LocalDate($0) }, isHeld: try row.bool("held"),
          isOrdered: try row.bool("ordered"))
      }
    }
  }

  package func answer(_ recording: RecordingID, _ answers: ClosingAnswers, by author: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE recording SET place = coalesce($2, place), informed = coalesce($3, informed), not_informed_reason = coalesce($4, not_informed_reason), medical_secret = coalesce($5, medical_secret), answered_by = $6 WHERE id = $1 AND state <> 'erased'",
        [
          .text(recording.rawValue), .optional(answers.place), answers.informed.map(SQLValue.bool) ?? .null,
          .optional(answers.notInformedReason), answers.medicalSecret.map(SQLValue.bool) ?? .null, .text(author),
        ])
    }
  }

  package func justify(_ recording: RecordingID, _ sentence: String, by author: String) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE recording SET justification = $2, justified_by = $3 WHERE id = $1 AND state <> 'erased'",
        [.text(recording.rawValue), .text(sentence), .text(author)])
    }
  }

  package func confirm(_ incident: IncidentID, until: UTCTime) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE incident SET confirmed_until = at_us($2) WHERE id = $1 AND closed_at IS NULL",
        [.text(incident.rawValue), until.sql])
    }
  }

  // MARK: Attachments

  package func attach(
    _ agent: AgentID, to incident: IncidentID, by author: String, at time: UTCTime, until: UTCTime
  ) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO attachment (incident_id, agent_id, attached_at, until_at, attached_by) VALUES ($1, $2, at_us($3), at_us($4), $5) ON CONFLICT (incident_id, agent_id) DO UPDATE SET until_at = EXCLUDED.until_at, attached_by = EXCLUDED.attached_by",
        [.text(incident.rawValue), .text(agent.rawValue), time.sql, until.sql, .text(author)])
    }
  }

  package func detach(_ agent: AgentID, from incident: IncidentID) async throws {
    try await pool.run { connection in
      try connection.query(
        "DELETE FROM attachment WHERE incident_id = $1 AND agent_id = $2",
        [.text(incident.rawValue), .text(agent.rawValue)])
    }
  }

  /// Agents attached to open incidents.
  package func attachments() async throws -> [(incident: IncidentID, agent: AgentID, until: UTCTime)] {
    try await pool.run { connection in
      try connection.query(
        "SELECT t.incident_id, t.agent_id, us(t.until_at) AS until_us FROM attachment t JOIN incident i ON i.id = t.incident_id WHERE i.closed_at IS NULL"
      ).map { (IncidentID(try $0.text("incident_id")), AgentID(try $0.text("agent_id")), try $0.time("until_us")) }
    }
  }

  // MARK: Requests

  package func insert(_ request: DataRequestEntry) async throws {
    try await pool.run { connection in
      try connection.query(
        "INSERT INTO data_request (id, service_id, kind, reference, received_on, due_on, place, camera_id, from_at, to_at, entered_by) VALUES ($1, $2, $3, $4, $5::date, $6::date, $7, $8, at_us($9), at_us($10), $11)",
        [
          .text(request.id.rawValue), .text(request.service.rawValue), .text(request.kind.rawValue),
          .text(request.reference), .text(request.receivedOn.description), .text(request.dueOn.description),
          .optional(request.place), .optional(request.camera), .optional(request.from?.microseconds),
          .optional(request.to?.microseconds), .text(request.enteredBy),
        ])
    }
  }

  package func dataRequest(_ id: DataRequestID) async throws -> (
    service: ServiceID, reference: String, isDecided: Bool
  )? {
    try await pool.run { connection in
      try connection.query(
        "SELECT service_id, reference, decision FROM data_request WHERE id = $1::uuid", [.text(id.rawValue)]
      ).first.map {
        (ServiceID(try $0.text("service_id")), try $0.text("reference"), $0.optionalText("decision") != nil)
      }
    }
  }

  package func decide(
    _ id: DataRequestID, _ decision: DataRequestDecision, ground: String, reply: String, by author: String,
    at time: UTCTime
  ) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE data_request SET decision = $2, ground = $3, reply = $4, decided_at = at_us($5), decided_by = $6 WHERE id = $1 AND decision IS NULL",
        [.text(id.rawValue), .text(decision.rawValue), .text(ground), .text(reply), time.sql, .text(author)])
    }
  }

  // MARK: Completeness

  package func dayCounts(services: [ServiceID], from: LocalDate, to: LocalDate) async throws -> [DayCount] {
    try await pool.run { connection in
      try connection.query(
        "SELECT v.name, d.local_day, d.opened, d.erased FROM register_day d JOIN service v ON v.id = d.service_id WHERE d.service_id = ANY($1::uuid[]) AND d.local_day BETWEEN $2::date AND $3::date ORDER BY d.local_day DESC, v.name LIMIT 5000",
        [.textArray(services.map(\.rawValue)), .text(from.description), .text(to.description)]
      ).map { row in
        DayCount(
          service: try row.text("name"), day: try row.date("local_day"), recorded: try row.integer("opened"),
          erased: try row.integer("erased"))
      }
    }
  }

  // MARK: Report

  /// Numbers of the annual report, from the journal's index (GOV-3, R241-17).
  package func report(of service: ServiceID, from: UTCTime, to: UTCTime) async throws -> [String: Int64] {
    let window = "FROM journal WHERE service_id = $1 AND at >= at_us($2) AND at < at_us($3)"
    var questions: [(name: String, sql: String)] = [
      ("cameras_used", "count(DISTINCT entry->'facts'->>'camera') AS n \(window) AND act = 'incident.opened'"),
      ("incidents", "count(*) AS n \(window) AND act = 'incident.opened'"),
      ("agents_recording", "count(DISTINCT entry->'facts'->>'agent') AS n \(window) AND act = 'incident.opened'"),
      (
        "agents_accredited",
        "count(DISTINCT account_id) AS n FROM accreditation WHERE service_id = $1::uuid AND valid_from < at_us($3) AND least(valid_until, coalesce(ended_at, 'infinity')) >= at_us($2)"
      ), ("threats_declared", "count(*) AS n \(window) AND act = 'threat.declared'"),
      ("live_viewings", "count(*) AS n \(window) AND act = 'viewing.joined'"),
      ("erasures", "count(*) AS n \(window) AND act = 'erasure.certificate'"),
    ]
    for kind in ProcedureKind.allCases {
      // Procedures, not acts: several extractions for one procedure count once.
      questions.append(
        (
          "procedures_\(kind.rawValue)",
          "count(DISTINCT entry->'facts'->>'reference') AS n \(window) AND act IN ('extraction', 'recording.consulted') AND entry->'facts'->>'reason' = '\(kind.rawValue)'"
        ))
    }
    let asked = questions
    return try await pool.run(isLong: true) { connection in
      var out: [String: Int64] = [:]
      for question in asked {
        let row = try connection.query("SELECT \(question.sql)", [.text(service.rawValue), from.sql, to.sql]).first
        out[question.name] = try row?.integer("n") ?? 0
      }
      return out
    }
  }
}
