internal import Crypto
internal import Doctrine
package import Postgres

/// Fills a register with recordings that never were, for benchmarks: many days, cameras, agents, segments, entries.
///
/// Runs under the owner's role, in a database of its own, and nowhere else.
package struct RegisterGenerator: Sendable {
  /// Days that the recordings are spread over, and so term days.
  package static let days = 180
  package static let services = 4
  /// Cameras of a service, and agents.
  package static let cameras = 100
  static let segments = 10

  private let pool: Pool

  package init(pool: Pool) { self.pool = pool }

  /// Adds recordings number `from` to `to`, exclusive; the first call also makes services, people and cameras.
  package func add(from: Int, to: Int) async throws {
    let numbers: [SQLValue] = [.integer(Int64(from)), .integer(Int64(to - 1))]
    if from == 0 { for statement in Self.foundation { try await run(statement, []) } }
    for statement in Self.recordings { try await run(statement, numbers) }
    for table in [
      "incident", "recording", "recording_part", "segment", "journal", "register_day", "hold", "data_request",
    ] {
      try await run("ANALYZE \(table)", [])
    }
  }

  private func run(_ sql: String, _ parameters: [SQLValue]) async throws {
    try await pool.run { _ = try $0.query(sql, parameters) }
  }

  /// The identifier of number n of a kind, as the generator makes it.
  package static func identifier(_ kind: String, _ number: Int) -> String {
    let digits = Insecure.MD5.hash(data: Array("\(kind)\(number)".utf8)).map { byte in
      let text = String(byte, radix: 16)
      return text.utf8.count == 1 ? "0" + text : text
    }
    return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
  }

  private static func id(_ kind: String, _ number: String) -> String { "md5('\(kind)' || (\(number)))::uuid" }

  private static let foundation: [String] = [
    "INSERT INTO node (id, name, started_at) VALUES (\(id("node", "'1'")), 'bench', now())",
    """
    INSERT INTO service (id, name, regime, regime_version, authorising_act, authorising_date, created_at, term_months, live_sound, command_room_may_declare)
    SELECT \(id("service", "n")), 'service ' || n, 'bwc-six-months', 1, 'banc', '2026-01-01', now(), 6, false, true FROM generate_series(0, \(services - 1)) n
    """,
    """
    INSERT INTO agent (id, service_id, matricule, name, rank)
    SELECT \(id("agent", "s || '-' || n")), \(id("service", "s")), 'M-' || n, 'agent ' || n, 'gardien'
    FROM generate_series(0, \(services - 1)) s, generate_series(0, \(cameras - 1)) n
    """,
    """
    INSERT INTO camera (id, service_id, model, passphrase_sealed, token_hash, enabled, enrolled_at)
    SELECT 'CAM-' || s || '-' || n, \(id("service", "s")), 'banc', decode(repeat('00', 40), 'hex'), sha256(('t' || s || '-' || n)::bytea), true, now()
    FROM generate_series(0, \(services - 1)) s, generate_series(0, \(cameras - 1)) n
    """,
    "SELECT ensure_segment_partition((date '2026-01-01' + n + interval '6 months')::date) FROM generate_series(0, \(days - 1)) n",
  ]

  /// What number n is: its service, camera, agent, day and time.
  private static let numbered = """
    (SELECT n, (n / \(days) % \(services)) AS s, (n / \(days * services) % \(cameras)) AS c,
      date '2026-01-01' + (n % \(days))::int AS day,
      timestamptz '2026-01-01T05:00:00Z' + (n % \(days)) * interval '1 day' + (n / \(days) % 50000) * interval '1 second' AS at
      FROM generate_series($1::bigint, $2::bigint) n) g
    """

  private static let recordings: [String] = [
    """
    INSERT INTO incident (id, service_id, camera_id, agent_id, reference, opened_by, opened_at, closed_at, closing_cause)
    SELECT \(id("incident", "n")), \(id("service", "s")), 'CAM-' || s || '-' || c, \(id("agent", "s || '-' || c")), 'INT-' || n, 'wearer', at,
      at + interval '90 seconds', 'ended-by-wearer' FROM \(numbered)
    """,
    """
    INSERT INTO recording (id, incident_id, service_id, node_id, camera_id, agent_id, started_at, ended_at, size_bytes, state, damage_count, decode_verdict)
    SELECT \(id("recording", "n")), \(id("incident", "n")), \(id("service", "s")), \(id("node", "'1'")), 'CAM-' || s || '-' || c,
      \(id("agent", "s || '-' || c")), at, at + interval '90 seconds', 22000000, 'closed', 0, 'decodes' FROM \(numbered)
    """,
    """
    INSERT INTO recording_part (id, recording_id, service_id, number, local_day, term_day, regime, regime_version, wrapped_key, key_name, path, state, chunk_count, chain_head, file_bytes)
    SELECT \(id("part", "n")), \(id("recording", "n")), \(id("service", "s")), 1, day, (day + interval '6 months')::date, 'bwc-six-months', 1,
      decode(repeat('00', 60), 'hex'), day::text, 'p/' || n, 'closed', 180, sha256(n::text::bytea), 22010000 FROM \(numbered)
    """,
    """
    INSERT INTO segment (part_id, term_day, first_chunk, last_chunk, epoch, first_arrival, last_arrival, media_bytes, file_offset, file_bytes, chain_head, chunk_table)
    SELECT \(id("part", "n")), (day + interval '6 months')::date, k * 18, k * 18 + 17, 1, at + k * interval '9 seconds',
      at + (k + 1) * interval '9 seconds', 2200000, 200 + k * 2201000, 2201000, sha256(n::text::bytea), decode(repeat('00', 180), 'hex')
    FROM \(numbered), generate_series(0, \(segments - 1)) k
    """,
    """
    INSERT INTO register_day (service_id, local_day, opened) SELECT \(id("service", "s")), day, count(*) FROM \(numbered) GROUP BY s, day
    ON CONFLICT (service_id, local_day) DO UPDATE SET opened = register_day.opened + EXCLUDED.opened
    """,
    """
    INSERT INTO hold (id, recording_id, service_id, kind, reference, authority, requested_on, review_on, placed_at, placed_by)
    SELECT \(id("hold", "n")), \(id("recording", "n")), \(id("service", "s")), 'judicial', 'PV-' || (n / 7), 'parquet', day, day + 90, at,
      'account-' || (n % 40) FROM \(numbered) WHERE n % 50 = 0 AND n % \(days) <> 0
    """,
    """
    INSERT INTO data_request (id, service_id, kind, reference, received_on, due_on, camera_id, entered_by)
    SELECT \(id("request", "n")), \(id("service", "s")), 'access', 'DPO-' || (n / 7), day, day + 30, 'CAM-' || s || '-' || c, 'account-1'
    FROM \(numbered) WHERE n % 50 = 1
    """,
    """
    INSERT INTO journal (position, at, kind, act, author, service_id, entry, leaf)
    SELECT n * 3 + k, at + k * interval '1 second', 'consultation', a.act, 'account-' || (n % 40), \(id("service", "s"))::text,
      jsonb_build_object('act', a.act, 'facts', jsonb_build_object('recording', \(id("recording", "n")), 'camera', 'CAM-' || s || '-' || c,
        'incident', \(id("incident", "n")), 'reference', 'PV-' || (n / 7), 'matricule', 'M-' || c, 'reason', 'judicial',
        'result', CASE WHEN k = 2 AND n % 11 = 0 THEN 'refused' ELSE 'granted' END)), sha256(n::text::bytea)
    FROM \(numbered), LATERAL (VALUES (0, 'incident.opened'), (1, CASE WHEN n % 4 = 0 THEN 'extraction' WHEN n % 4 = 1 THEN 'erasure.certificate'
      WHEN n % 4 = 2 THEN 'regime.changed' ELSE 'incident.closed' END),
      (2, CASE WHEN n % 11 = 0 THEN 'watch-live.refused' ELSE 'viewing.joined' END)) AS a(k, act)
    """,
  ]
}
