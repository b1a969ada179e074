package import Doctrine
import Postgres

/// The index of a part's file: rows of some ten seconds, and gaps.
extension Register {
  /// Index rows, in few round trips. Told again, they change nothing.
  package func insert(_ rows: IndexRows) async throws {
    let statements = Self.statements(rows)
    try await pool.run { connection in
      for start in stride(from: 0, to: statements.count, by: Connection.maximumPipelined) {
        try connection.pipeline(Array(statements[start..<min(start + Connection.maximumPipelined, statements.count)]))
      }
    }
  }

  private static func statements(_ rows: IndexRows) -> [Statement] {
    rows.segments.flatMap(statements) + rows.gaps.map(statement)
  }

  private static func statements(_ segment: SegmentEntry) -> [Statement] {
    [
      Statement(
        """
        INSERT INTO segment (part_id, term_day, first_chunk, last_chunk, epoch, first_arrival, last_arrival,
          media_bytes, file_offset, file_bytes, chain_head, chunk_table)
        SELECT p.id, CASE WHEN EXISTS (SELECT 1 FROM hold h WHERE h.recording_id = p.recording_id AND h.released_at IS NULL)
          THEN 'infinity' ELSE p.term_day END, $2, $3, $4, at_us($5), at_us($6), $7, $8, $9, $10, $11
        FROM recording_part p WHERE p.id = $1 ON CONFLICT DO NOTHING
        """,
        [
          .text(segment.part.rawValue), .integer(segment.firstChunk), .integer(segment.lastChunk),
          .integer(segment.epoch), segment.firstArrival.sql, segment.lastArrival.sql,
          .integer(segment.media_bytes), .integer(segment.fileOffset), .integer(segment.file_bytes),
          .bytes(segment.chainHead), .bytes(segment.chunkTable),
        ]),
      Statement(
        "UPDATE recording_part SET chunk_count = $2, chain_head = $3, file_bytes = $4, media_bytes = media_bytes + $5 WHERE id = $1 AND chunk_count < $2",
        [
          .text(segment.part.rawValue), .integer(segment.lastChunk + 1), .bytes(segment.chainHead),
          .integer(segment.fileOffset + segment.file_bytes), .integer(segment.media_bytes),
        ]),
    ]
  }

  private static func statement(_ gap: GapEntry) -> Statement {
    Statement(
      "INSERT INTO gap (part_id, chunk, from_at, to_at, cause, missing_packets) SELECT p.id, $2, at_us($3), at_us($4), $5, $6 FROM recording_part p WHERE p.id = $1 ON CONFLICT DO NOTHING",
      [
        .text(gap.part.rawValue), .integer(gap.chunk), gap.from.sql, gap.to.sql, .text(gap.cause.rawValue),
        .integer(max(0, gap.missing)),
      ])
  }

  /// How far a part is indexed, and when and in which epoch that ends; nil for a part that is not registered.
  package func indexedUpTo(
    _ part: PartID
  ) async throws -> (progress: PartProgress, lastArrival: UTCTime?, lastEpoch: Int64)? {
    try await indexedUpTo([part])[part]
  }

  /// The same for many; without those that are not registered.
  package func indexedUpTo(
    _ parts: [PartID]
  ) async throws -> [PartID: (progress: PartProgress, lastArrival: UTCTime?, lastEpoch: Int64)] {
    try await pool.run { connection in
      Dictionary(
        uniqueKeysWithValues: try connection.query(
          """
          SELECT p.id, p.chunk_count, p.chain_head, p.file_bytes, us(max(s.last_arrival)) AS last_us, coalesce(max(s.epoch), 0) AS epoch
          FROM recording_part p LEFT JOIN segment s ON s.part_id = p.id AND s.term_day IN (p.term_day, 'infinity')
          WHERE p.id = ANY($1::uuid[]) GROUP BY p.id
          """, [.textArray(parts.map(\.rawValue))]
        ).map { row in
          let part = PartID(try row.text("id"))
          return (
            part,
            (
              progress: PartProgress(
                part: part, chunkCount: try row.integer("chunk_count"),
                chainHead: row.optionalText("chain_head") == nil ? [] : try row.bytes("chain_head"),
                file_bytes: try row.integer("file_bytes")), lastArrival: row.optionalTime("last_us"),
              lastEpoch: try row.integer("epoch")
            )
          )
        })
    }
  }

  /// Whether every chunk that a part is said to have is in one of its rows.
  package func isIndexWhole(_ part: PartID) async throws -> Bool {
    try await pool.run { connection in
      try connection.query(
        """
        SELECT p.chunk_count = coalesce((
          SELECT sum(s.last_chunk - s.first_chunk + 1) FROM segment s
          WHERE s.part_id = p.id AND s.term_day IN (p.term_day, 'infinity')), 0) AS whole
        FROM recording_part p WHERE p.id = $1
        """, [.text(part.rawValue)]
      ).first?.bool("whole") ?? true
    }
  }

  package func unwholeParts(since day: LocalDate) async throws -> [PartProgress] {
    try await pool.run(isLong: true) { connection in
      try connection.query(
        """
        SELECT p.id, p.chunk_count, p.chain_head, p.file_bytes FROM recording_part p
        WHERE p.state = 'closed' AND p.local_day >= $1::date AND p.chain_head IS NOT NULL AND p.chunk_count <> coalesce((
          SELECT sum(s.last_chunk - s.first_chunk + 1) FROM segment s
          WHERE s.part_id = p.id AND s.term_day IN (p.term_day, 'infinity')), 0)
        """, [.text(day.description)]
      ).map { row in
        PartProgress(
          part: PartID(try row.text("id")), chunkCount: try row.integer("chunk_count"),
          chainHead: try row.bytes("chain_head"), file_bytes: try row.integer("file_bytes"))
      }
    }
  }

  /// Puts a part's index in place of what was there: all of it, as its file says.
  package func replaceIndex(of progress: PartProgress, with rows: IndexRows) async throws {
    let statements = Self.statements(rows)
    try await pool.transaction(isLong: true) { connection in
      try connection.query(
        "SELECT 1 AS one FROM recording_part WHERE id = $1 FOR UPDATE", [.text(progress.part.rawValue)])
      try connection.query(
        "DELETE FROM segment s USING recording_part p WHERE p.id = $1 AND s.part_id = p.id AND s.term_day IN (p.term_day, 'infinity')",
        [.text(progress.part.rawValue)])
      try connection.query("DELETE FROM gap WHERE part_id = $1", [.text(progress.part.rawValue)])
      try connection.query(
        "UPDATE recording_part SET chunk_count = 0, media_bytes = 0 WHERE id = $1", [.text(progress.part.rawValue)])
      for statement in statements { try connection.query(statement.sql, statement.parameters) }
      try connection.query(
        "UPDATE recording_part SET chunk_count = $2, chain_head = $3, file_bytes = $4 WHERE id = $1",
        [
          .text(progress.part.rawValue), .integer(progress.chunkCount), .bytes(progress.chainHead),
          .integer(progress.file_bytes),
        ])
      // The recording's size was summed at its close.
      try connection.query(
        """
        UPDATE recording r SET size_bytes = (
          SELECT coalesce(sum(p.media_bytes), 0) FROM recording_part p WHERE p.recording_id = r.id)
        WHERE r.state = 'closed' AND r.id = (SELECT recording_id FROM recording_part WHERE id = $1)
        """, [.text(progress.part.rawValue)])
    }
  }
}
