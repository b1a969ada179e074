package import Doctrine
internal import Journal
import Postgres

/// What the check and the console ask, and the journal's index.
extension Register {
  /// What the index says of every part that is not erased.
  package func nextFootageCheck(before time: UTCTime, onDisksOnly: Bool) async throws -> PartFacts? {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT p.id, p.recording_id, p.path, p.place, p.state, p.chunk_count, p.chain_head, p.file_bytes,
          (SELECT coalesce(sum(s.media_bytes), 0) FROM segment s WHERE s.part_id = p.id AND s.term_day IN (p.term_day, 'infinity')) AS media_bytes,
          \(Self.continued)
        FROM recording_part p WHERE p.state = 'closed' AND p.path IS NOT NULL AND (p.checked_at IS NULL OR p.checked_at < at_us($1))
          AND (NOT $2 OR p.place = 'disk')
        ORDER BY p.checked_at NULLS FIRST, p.id LIMIT 1
        """, [time.sql, .bool(onDisksOnly)]
      ).first.map(Self.partFacts)
    }
  }

  package func nextToMove(recordedBy day: LocalDate, except skipped: [PartID]) async throws -> PartFacts? {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT p.id, p.recording_id, p.path, p.place, p.state, p.chunk_count, p.chain_head, p.file_bytes, p.media_bytes,
          \(Self.continued)
        FROM recording_part p WHERE p.state = 'closed' AND p.place = 'disk' AND p.path IS NOT NULL AND p.finding IS NULL
          AND p.local_day <= $1::date AND p.id <> ALL($2::uuid[])
          AND EXISTS (SELECT 1 FROM recording r WHERE r.id = p.recording_id AND r.state = 'closed')
        ORDER BY p.local_day, p.id LIMIT 1
        """, [.text(day.description), .textArray(skipped.map(\.rawValue))]
      ).first.map(Self.partFacts)
    }
  }

  package func partFacts(of part: PartID) async throws -> PartFacts? {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT p.id, p.recording_id, p.path, p.place, p.state, p.chunk_count, p.chain_head, p.file_bytes, p.media_bytes,
          \(Self.continued)
        FROM recording_part p WHERE p.id = $1 AND p.state = 'closed' AND p.path IS NOT NULL
        """, [.text(part.rawValue)]
      ).first.map(Self.partFacts)
    }
  }

  package func setPlace(_ part: PartID, _ place: FootagePlace, location: String?) async throws -> Bool {
    try await pool.run { connection in
      try !connection.query(
        "UPDATE recording_part SET place = $2, location = $3 WHERE id = $1 AND state = 'closed' RETURNING id",
        [.text(part.rawValue), .text(place.rawValue), .optional(location)]
      ).isEmpty
    }
  }

  package func setChecked(_ part: PartID, finding: String?, at time: UTCTime) async throws -> (
    recording: RecordingID, service: ServiceID
  )? {
    try await pool.run { connection in
      try connection.query(
        "UPDATE recording_part SET checked_at = at_us($2), finding = left($3, 500) WHERE id = $1 RETURNING recording_id, service_id",
        [.text(part.rawValue), time.sql, .optional(finding)]
      ).first.map { (RecordingID(try $0.text("recording_id")), ServiceID(try $0.text("service_id"))) }
    }
  }

  package func alteredParts() async throws -> Int {
    try await pool.run { connection in
      Int(
        try connection.query("SELECT count(*) AS n FROM recording_part WHERE finding IS NOT NULL").first?.integer("n")
          ?? 0)
    }
  }

  /// A disk failed under it: the recording went on in another part of the same day, and it has no close chunk.
  ///
  /// Or every disk failed, and nothing went on.
  private static let continued =
    """
    (EXISTS (SELECT 1 FROM recording_part n
       WHERE n.recording_id = p.recording_id AND n.number = p.number + 1 AND n.local_day = p.local_day)
     OR EXISTS (SELECT 1 FROM recording r JOIN incident i ON i.id = r.incident_id
       WHERE r.id = p.recording_id AND i.closing_cause = 'storage-failed')) AS continued
    """

  private static func partFacts(_ row: Row) throws -> PartFacts {
    let head = row.optionalText("chain_head") == nil ? [] : try row.bytes("chain_head")
    return PartFacts(
      progress: PartProgress(
        part: PartID(try row.text("id")), chunkCount: try row.integer("chunk_count"), chainHead: head,
        file_bytes: try row.integer("file_bytes")), recording: RecordingID(try row.text("recording_id")),
      path: try row.text("path"), place: try row.place(), state: try row.text("state"),
      media_bytes: try row.integer("media_bytes"), isContinued: try row.bool("continued"))
  }

  package func partFacts(of services: [ServiceID]) async throws -> [PartFacts] {
    try await pool.run(isLong: true) { connection in
      try connection.query(
        """
        SELECT p.id, p.recording_id, p.path, p.place, p.state, p.chunk_count, p.chain_head, p.file_bytes,  coalesce(sum(s.media_bytes), 0) AS media_bytes,
          \(Self.continued)
        FROM recording_part p LEFT JOIN segment s ON s.part_id = p.id AND s.term_day IN (p.term_day, 'infinity')
        WHERE p.state <> 'erased' AND p.path IS NOT NULL AND p.service_id = ANY($1::uuid[])
        GROUP BY p.id ORDER BY p.local_day, p.id
        """, [.textArray(services.map(\.rawValue))]
      ).map(Self.partFacts)
    }
  }

  /// Paths of every part that is not erased.
  package func partPaths() async throws -> [String] {
    try await pool.run(isLong: true) { connection in
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

  /// Whether the database itself is away.
  package func isUnavailable(_ error: any Error) -> Bool {
    guard let failure = error as? DatabaseError else { return false }
    switch failure.code {
    case .connectionLost: return true
    case .other(let state): return state.hasPrefix("57") || state.hasPrefix("53") || state.hasPrefix("08")
    default: return false
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

  /// The first entry that the index has not.
  package func journalIndexSize() async throws -> UInt64 {
    try await pool.run { connection in
      let row = try connection.query("SELECT coalesce(max(position) + 1, 0) AS size, count(*) AS count FROM journal")
        .first
      let size = UInt64(try row?.integer("size") ?? 0)
      guard try row?.integer("count") ?? 0 != Int64(size) else { return size }
      // With a hole it is filled from there: what is behind it is left as it is.
      return try connection.query(
        """
        SELECT position + 1 AS size FROM journal j
        WHERE NOT EXISTS (SELECT 1 FROM journal n WHERE n.position = j.position + 1)
          AND EXISTS (SELECT 1 FROM journal f WHERE f.position = 0)
        ORDER BY position LIMIT 1
        """
      ).first.map { UInt64(try $0.integer("size")) } ?? 0
    }
  }

  package func indexJournal(
    _ entries: [(
      position: UInt64, time_us: Int64, kind: String, act: String, author: String, service: String?, text: String,
      leaf: [UInt8]
    )]
  ) async throws {
    try await pool.transaction(isLong: true) { connection in
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

  /// Which of these entries the index has otherwise, or not at all; what was purged there is as it should be.
  package func indexDifferences(_ entries: [(position: UInt64, text: String, leaf: [UInt8])]) async throws -> [UInt64] {
    try await pool.run(isLong: true) { connection in
      try connection.query(
        """
        SELECT f.position FROM unnest($1::text[], $2::text[], $3::text[]) AS f(position, entry, leaf)
        LEFT JOIN journal j ON j.position = f.position::bigint
        WHERE j.position IS NULL OR encode(j.leaf, 'hex') <> f.leaf
          OR j.act <> f.entry::jsonb->>'act' OR j.kind <> f.entry::jsonb->>'kind'
          OR j.service_id IS DISTINCT FROM f.entry::jsonb->>'service' OR us(j.at) <> (f.entry::jsonb->>'time_us')::bigint
          OR j.entry IS NULL AND at_us((f.entry::jsonb->>'time_us')::bigint) > now() - interval '3 years'
          OR j.entry IS NOT NULL AND (j.entry <> f.entry::jsonb OR j.author IS DISTINCT FROM f.entry::jsonb->>'author')
        ORDER BY f.position::bigint
        """,
        [
          .textArray(entries.map { String($0.position) }), .textArray(entries.map(\.text)),
          .textArray(entries.map(\.leaf.hexadecimal)),
        ]
      ).map { UInt64(try $0.integer("position")) }
    }
  }

  /// Positions that the index has from a size on, where the files have none; a hundred at the most.
  package func indexedBeyond(_ size: UInt64) async throws -> [UInt64] {
    try await pool.run { connection in
      try connection.query(
        "SELECT position FROM journal WHERE position >= $1 ORDER BY position LIMIT 100", [.integer(Int64(size))]
      ).map { UInt64(try $0.integer("position")) }
    }
  }

  /// Purges bodies of the index, as the role that may do nothing else (LOG-5).
  ///
  /// - Throws: where anything younger than three years is asked for: the function itself refuses.
  package func purgeJournal(before: UTCTime) async throws -> Int64 {
    try await pool.run(isLong: true) { connection in
      try connection.query("SELECT purge_journal(at_us($1)) AS count", [before.sql]).first?.integer("count") ?? 0
    }
  }

  /// Deletes refused calls, as the same role and with the same bound.
  package func purgeRefusals(before: UTCTime) async throws -> Int64 {
    try await pool.run(isLong: true) { connection in
      try connection.query("SELECT purge_refusals(at_us($1)) AS count", [before.sql]).first?.integer("count") ?? 0
    }
  }
}
