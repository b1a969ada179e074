package import Doctrine
import Postgres

/// How cameras are received, what they tell of their clocks, and how their links did.
extension Register {
  // MARK: Reception and clocks

  package func setReception(of camera: CameraID, _ delivery: Delivery, maximumRate_kbps: Int) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE camera SET delivery = $2, window_ms = $3, maximum_rate_kbps = $4 WHERE id = $1",
        [
          .text(camera.rawValue), .text(delivery.name), .optional(delivery.window_ms.map(Int64.init)),
          .integer(Int64(maximumRate_kbps)),
        ])
    }
  }

  package func setRelayBudget(of service: ServiceID, _ budget_ms: Int) async throws {
    try await pool.run { connection in
      try connection.query(
        "UPDATE service SET relay_budget_ms = $2 WHERE id = $1",
        [.text(service.rawValue), .integer(Int64(budget_ms))])
    }
  }

  package func setClocks(_ clocks: [CameraID: CameraClock]) async throws {
    // In one order, as others may write the same rows.
    let clocks = clocks.sorted { $0.key.rawValue < $1.key.rawValue }
    try await pool.run { connection in
      try connection.query(
        """
        UPDATE camera c SET clock_offset_ms = f.offset_ms::bigint, clock_told_at = at_us(f.told_us::bigint)
        FROM unnest($1::text[], $2::text[], $3::text[]) AS f(id, offset_ms, told_us) WHERE c.id = f.id
        """,
        [
          .textArray(clocks.map(\.key.rawValue)), .textArray(clocks.map { String($0.value.offset_ms) }),
          .textArray(clocks.map { String($0.value.toldAt.microseconds) }),
        ])
    }
  }

  /// The offset and its source stay the first that were known, but for what a stream said before its camera's own telling
  /// came; the mark stays once it is set.
  package func setClocks(_ clocks: [RecordingID: RecordingClock]) async throws {
    let isFirst = "r.clock_source IS NULL OR f.source = 'device' AND r.clock_source <> 'device'"
    let clocks = clocks.sorted { $0.key.rawValue < $1.key.rawValue }
    try await pool.run { connection in
      try connection.query(
        """
        UPDATE recording r SET clock_off = r.clock_off OR f.is_off::boolean,
          clock_offset_ms = CASE WHEN \(isFirst) THEN f.offset_ms::bigint ELSE r.clock_offset_ms END,
          clock_source = CASE WHEN \(isFirst) THEN f.source ELSE r.clock_source END
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS f(id, offset_ms, source, is_off)
        WHERE r.id = f.id AND r.state <> 'erased'
        """,
        [
          .textArray(clocks.map(\.key.rawValue)), .textArray(clocks.map { String($0.value.offset_ms) }),
          .textArray(clocks.map(\.value.source.rawValue)), .textArray(clocks.map { String($0.value.isOff) }),
        ])
    }
  }

  static func clock(_ row: Row) throws -> RecordingClock? {
    guard let offset_ms = row.optionalInteger("clock_offset_ms"),
      let source = row.optionalText("clock_source").flatMap(ClockSource.init)
    else { return nil }
    return RecordingClock(offset_ms: offset_ms, source: source, isOff: try row.bool("clock_off"))
  }

  static func delivery(_ row: Row) throws -> Delivery {
    switch (try row.text("delivery"), row.optionalInteger("window_ms")) {
    case ("complete", nil): return .complete
    case ("timely", let window_ms?): return .timely(window_ms: Int(window_ms))
    default: throw DatabaseError(.unexpectedShape, "unknown delivery")
    }
  }

  // MARK: Minutes

  /// Adds what was measured to the rows of its minutes. Told again, it changes nothing; what is erased stays so.
  package func insert(_ minutes: [LinkMinute]) async throws {
    let statements =
      Set(minutes.map(\.day)).map { day in
        Statement("SELECT ensure_link_health_partition($1::date)", [.text(day.description)])
      } + minutes.map(Self.statement)
    try await pool.run { connection in
      for start in stride(from: 0, to: statements.count, by: Connection.maximumPipelined) {
        try connection.pipeline(Array(statements[start..<min(start + Connection.maximumPipelined, statements.count)]))
      }
    }
  }

  private static let counts = [
    "measured_ms", "connections", "packets", "bytes", "lost", "retransmitted", "duplicates", "missing",
    "clock_restarts", "discontinuities", "foreign_messages",
  ]
  private static let states = ["until_at", "sender_latency_ms", "delivery", "window_ms"]
  /// States that may be unknown: then what was known stays.
  private static let knownStates = ["round_trip_us", "drift_ppb", "clock_offset_ms"]

  // The recording's row is locked against an erasure that comes between.
  private static let insertion = """
    INSERT INTO link_health (day, camera_id, recording_id, minute_at, \(counts.joined(separator: ", ")),
      \((states + knownStates).joined(separator: ", ")), lag_ms)
    SELECT $1::date, $2, r.id, at_us($4), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
      at_us($16), $17, $18, $19, $20, $21, $22, $23
    FROM recording r WHERE r.id = $3::uuid AND r.state <> 'erased' FOR SHARE
    ON CONFLICT (day, camera_id, minute_at, recording_id) DO UPDATE SET
      \(counts.map { "\($0) = link_health.\($0) + EXCLUDED.\($0)" }.joined(separator: ", ")),
      \(states.map { "\($0) = EXCLUDED.\($0)" }.joined(separator: ", ")),
      \(knownStates.map { "\($0) = coalesce(EXCLUDED.\($0), link_health.\($0))" }.joined(separator: ", ")),
      lag_ms = greatest(link_health.lag_ms, EXCLUDED.lag_ms)
    WHERE link_health.until_at < EXCLUDED.until_at
    """

  private static func statement(_ minute: LinkMinute) -> Statement {
    let health = minute.health
    return Statement(
      insertion,
      [
        .text(minute.day.description), .text(health.camera.rawValue), .text(health.recording.rawValue),
        minute.start.sql, .integer(health.measured_ms), .integer(Int64(health.connections)),
        .integer(health.packets), .integer(health.bytes), .integer(health.lost), .integer(health.retransmitted),
        .integer(health.duplicates), .integer(health.missing), .integer(health.clockRestarts),
        .integer(health.discontinuities), .integer(health.foreign), health.to.sql,
        .integer(Int64(health.senderLatency_ms)), .text(health.delivery.name),
        .optional(health.delivery.window_ms.map(Int64.init)),
        .optional(health.roundTrip_ms.map { Int64(($0 * 1000).rounded()) }),
        .optional(health.drift_ppm.map { Int64(($0 * 1000).rounded()) }), .optional(health.clockOffset_ms),
        .optional(health.lag_ms),
      ])
  }

  /// The minutes of a camera that begin in `from..<to`, in order, at most `limit`.
  package func linkMinutes(
    of camera: CameraID, days: ClosedRange<LocalDate>, from: UTCTime, to: UTCTime, limit: Int
  ) async throws -> [LinkMinute] {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT *, us(minute_at) AS minute_us, us(until_at) AS until_us FROM link_health
        WHERE camera_id = $1 AND day BETWEEN $2::date AND $3::date AND minute_at >= at_us($4) AND minute_at < at_us($5)
        ORDER BY minute_at, recording_id LIMIT $6
        """,
        [
          .text(camera.rawValue), .text(days.lowerBound.description), .text(days.upperBound.description), from.sql,
          to.sql, .integer(Int64(limit)),
        ]
      ).map { row in
        let start = try row.time("minute_us")
        var health = LinkHealth(
          camera: camera, recording: RecordingID(try row.text("recording_id")), from: start,
          to: try row.time("until_us"), delivery: try Self.delivery(row))
        health.measured_ms = try row.integer("measured_ms")
        health.connections = Int(try row.integer("connections"))
        health.packets = try row.integer("packets")
        health.bytes = try row.integer("bytes")
        health.lost = try row.integer("lost")
        health.retransmitted = try row.integer("retransmitted")
        health.duplicates = try row.integer("duplicates")
        health.missing = try row.integer("missing")
        health.roundTrip_ms = row.optionalInteger("round_trip_us").map { Double($0) / 1000 }
        health.senderLatency_ms = Int(try row.integer("sender_latency_ms"))
        health.lag_ms = row.optionalInteger("lag_ms")
        health.drift_ppm = row.optionalInteger("drift_ppb").map { Double($0) / 1000 }
        health.clockRestarts = try row.integer("clock_restarts")
        health.discontinuities = try row.integer("discontinuities")
        health.foreign = try row.integer("foreign_messages")
        health.clockOffset_ms = row.optionalInteger("clock_offset_ms")
        return LinkMinute(day: try row.date("day"), start: start, health: health)
      }
    }
  }

  /// Drops the minutes of the local days before one; returns how many days that were.
  package func dropLinkHealth(before day: LocalDate) async throws -> Int {
    try await pool.run(isLong: true) { connection in
      Int(
        try connection.query("SELECT drop_link_health($1::date) AS dropped", [.text(day.description)]).first?
          .integer("dropped") ?? 0)
    }
  }
}
