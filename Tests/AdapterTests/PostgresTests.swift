import Doctrine
import Foundation
import TestSupport
import Testing

@testable import Postgres
@testable import Registry

@Suite(.serialized)
struct PostgresTests {
  @Test func typesErrorsBySQLSTATE() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    try await database.owner.run { connection in
      try connection.query("CREATE TABLE t (a integer PRIMARY KEY CHECK (a > 0))")
      try connection.query("INSERT INTO t VALUES ($1)", [.integer(1)])
      let cases: [(sql: String, code: DatabaseError.Code)] = [
        ("INSERT INTO t VALUES (1)", .uniqueViolation(constraint: "t_pkey")),
        ("INSERT INTO t VALUES (0)", .checkViolation(constraint: "t_a_check")),
        ("SELECT * FROM nowhere", .undefinedTable), ("SELEKT", .other(sqlState: "42601")),
      ]
      for (sql, code) in cases {
        var found: DatabaseError.Code?
        do throws(DatabaseError) { try connection.query(sql) } catch { found = error.code }
        #expect(found == code, "\(sql)")
      }
    }
  }

  @Test func valuesTravelUnharmed() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    let nasty = "'; DROP TABLE x; -- \"é\\\u{1F600}"
    let row = try await database.owner.run { connection in
      try connection.query(
        "SELECT $1::text AS a, $2::bytea AS b, $3::bigint AS c, $4::bool AS d, $5::text AS e, ($6::text[])[2] AS f",
        [.text(nasty), .bytes([0, 1, 255]), .integer(.min), .bool(true), .null, .textArray(["x", nasty])]
      ).first
    }
    let found = try #require(row)
    #expect(try found.text("a") == nasty)
    #expect(try found.bytes("b") == [0, 1, 255])
    #expect(try found.integer("c") == .min)
    #expect(try found.bool("d"))
    #expect(found.optionalText("e") == nil)
    #expect(try found.text("f") == nasty)
  }

  @Test func anErrorRollsTheTransactionBack() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    struct Stop: Error {}
    try await database.owner.run { try $0.script("CREATE TABLE t (a integer)") }
    await #expect(throws: Stop.self) {
      try await database.owner.transaction { connection in
        try connection.query("INSERT INTO t VALUES (1)")
        throw Stop()
      }
    }
    let count = try await database.owner.run { try $0.query("SELECT count(*) AS n FROM t").first?.integer("n") }
    #expect(count == 0)
  }

  @Test func aPipelineIsAllOrNothingAndLeavesTheConnectionUsable() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    try await database.owner.run { connection in
      try connection.query("CREATE TABLE t (a integer PRIMARY KEY, b text)")
      func insert(_ numbers: Range<Int>) -> [Statement] {
        numbers.map {
          Statement("INSERT INTO t VALUES ($1, $2)", [.integer(Int64($0)), .text(String(repeating: "x", count: 4000))])
        }
      }
      try connection.pipeline(insert(0..<100))
      var found: DatabaseError.Code?
      do throws(DatabaseError) { try connection.pipeline(insert(100..<150) + insert(7..<8) + insert(150..<160)) } catch
      {
        found = error.code
      }
      #expect(found == .uniqueViolation(constraint: "t_pkey"))
      #expect(try connection.query("SELECT count(*) AS n FROM t").first?.integer("n") == 100)
      // The same with a limit on how long an answer may take, which a hanging statement passes.
      connection.wait(atMost_ms: 500)
      try connection.pipeline(insert(100..<101))
      found = nil
      do throws(DatabaseError) { try connection.pipeline([Statement("SELECT pg_sleep(3)")]) } catch {
        found = error.code
      }
      #expect(found == .connectionLost)
    }
  }

  @Test func aLostConnectionIsMadeAnew() async throws {
    let database = try await TestDatabase.make()
    let pool = Pool(conninfo: "\(TestDatabase.server) dbname=\(database.name)", connections: 1)
    defer {
      pool.close()
      database.owner.close()
    }
    let pid = try await pool.run { try $0.query("SELECT pg_backend_pid() AS pid").first?.integer("pid") }
    try await database.owner.run { _ = try $0.query("SELECT pg_terminate_backend($1)", [.integer(try #require(pid))]) }
    await #expect(throws: DatabaseError.self) { try await pool.run { _ = try $0.query("SELECT 1") } }
    let again = try await pool.run { try $0.query("SELECT 7 AS n").first?.integer("n") }
    #expect(again == 7)
  }
}

@Suite(.serialized)
struct MigrationTests {
  @Test func areAppliedOnceAndTheVersionIsTheBuilds() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    let migrator = try Migrator(pool: database.owner, folder: TestDatabase.migrations)
    #expect(try await migrator.run() == Array(1...Migrator.version))
    #expect(try await migrator.run() == [])
    #expect(try Migrator.load(TestDatabase.migrations).count == Migrator.version)
    try await Register(pool: database.owner, node: "n").checkVersion()
  }

  @Test func refuseANewerDatabaseAndAChangedText() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    try await database.migrate()
    let migrator = try Migrator(pool: database.owner, folder: TestDatabase.migrations)
    try await database.owner.run { try $0.query("UPDATE schema_migration SET checksum = repeat('0', 64)") }
    await #expect(throws: Migrator.Failure.self) { try await migrator.run() }
    let newer = try await TestDatabase.make()
    defer { newer.owner.close() }
    try await newer.migrate()
    try await newer.owner.run {
      try $0.query("INSERT INTO schema_migration VALUES (99, 'future', repeat('0', 64), now())")
    }
    let other = try Migrator(pool: newer.owner, folder: TestDatabase.migrations)
    await #expect(throws: Migrator.Failure.self) { try await other.run() }
    await #expect(throws: Migrator.Failure.self) { try await Register(pool: newer.owner, node: "n").checkVersion() }
  }

  // MET-3: what was known before the seventh migration had one source.
  @Test func clocksOfBeforeWereToldByTheDevice() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    let folder = URL(fileURLWithPath: NSTemporaryDirectory() + "plastron-migrations-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.copyItem(at: URL(fileURLWithPath: TestDatabase.migrations), to: folder)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name > "0007" {
      try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
    #expect(try await Migrator(pool: database.owner, folder: folder.path, checksums: nil).run() == Array(1...6))
    try await database.owner.run { connection in
      // Rows without what they hang on.
      try connection.script(
        """
        SET session_replication_role = replica;
        INSERT INTO recording (id, incident_id, service_id, node_id, camera_id, agent_id, started_at, state, clock_offset_ms, clock_off)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'C', gen_random_uuid(), now(), 'open',
          offset_ms, coalesce(offset_ms > 2000, false) FROM unnest(ARRAY[NULL, 0, 9000]::bigint[]) AS offset_ms;
        SET session_replication_role = origin;
        """)
    }
    #expect(try await Migrator(pool: database.owner, folder: TestDatabase.migrations).run().first == 7)
    let lines = try await database.owner.run { connection in
      try connection.query(
        "SELECT concat_ws(' ', clock_offset_ms, clock_off, clock_source) AS line FROM recording ORDER BY clock_offset_ms"
      ).map { try $0.text("line") }
    }
    #expect(lines == ["0 f device", "9000 t device", "f"])
  }

  @Test func everyTableAndColumnSaysWhatItMeans() async throws {
    let database = try await TestDatabase.make()
    defer { database.owner.close() }
    try await database.migrate()
    let silent = try await database.owner.run { connection in
      try connection.query(
        """
        SELECT c.relname || '.' || a.attname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
          AND col_description(c.oid, a.attnum) IS NULL
        UNION SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
          AND c.relkind IN ('r', 'p') AND obj_description(c.oid) IS NULL
        """
      ).map { try $0.text("name") }
    }
    #expect(silent == [])
  }

  private func indexed(_ server: Pool) async throws -> Register {
    let register = Register(pool: server, node: "n")
    try await register.indexJournal(
      [1_000_000, Int64(Date().timeIntervalSince1970 * 1_000_000)].enumerated().map { number, time in
        (
          position: UInt64(number), time_us: time, kind: "statement", act: "x", author: "a", service: nil,
          text: #"{"facts":{}}"#, leaf: [UInt8](repeating: 0, count: 32)
        )
      })
    return register
  }

  // LOG-6: least privilege.
  @Test func theServersRoleCannotAlterTheJournal() async throws {
    let database = try await TestDatabase.make()
    try await database.migrate()
    let server = database.asServer()
    defer {
      server.close()
      database.owner.close()
    }
    let register = try await indexed(server)
    #expect(try await register.journalIndexSize() == 2)
    for sql in [
      "UPDATE journal SET author = 'b'", "DELETE FROM journal", "TRUNCATE journal", "DROP TABLE journal",
      "DELETE FROM accreditation", "UPDATE accreditation SET role = 'head'", "DELETE FROM recording",
      "CREATE TABLE mine (a integer)", "SELECT purge_journal(at_us(0))", "DELETE FROM erased_part",
      "UPDATE account_identity SET subject = 'x'",
    ] {
      await #expect(throws: DatabaseError.self, "\(sql)") { try await server.run { _ = try $0.query(sql) } }
    }
  }

  // LOG-5: the third role purges what is older than three years, and can do nothing else.
  @Test func thePurgersRolePurgesTheOldAndNothingElse() async throws {
    let database = try await TestDatabase.make()
    try await database.migrate()
    let server = database.asServer()
    let purger = database.connected(as: "plastron_purger")
    defer {
      server.close()
      purger.close()
      database.owner.close()
    }
    _ = try await indexed(server)
    let register = Register(pool: purger, node: "")
    let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
    for years in [0, 1, 2] {
      await #expect(throws: DatabaseError.self) {
        try await register.purgeJournal(before: UTCTime(microseconds: now - Int64(years) * 365 * 86_400_000_000))
      }
    }
    // Refused calls likewise: three years, and by this role only.
    let seen = RefusalEntry(
      at: UTCTime(microseconds: now - 1100 * 86_400_000_000), camera: nil, service: nil, peer: "p", code: "stream-id",
      sentence: "s", proven: false)
    try await Register(pool: server, node: "").insert(seen)
    await #expect(throws: DatabaseError.self) {
      try await register.purgeRefusals(before: UTCTime(microseconds: now - 2 * 365 * 86_400_000_000))
    }
    await #expect(throws: DatabaseError.self) {
      try await Register(pool: server, node: "").purgeRefusals(before: seen.at.adding(seconds: 60))
    }
    #expect(try await register.purgeRefusals(before: seen.at.adding(seconds: 60)) == 1)
    for sql in [
      "SELECT entry FROM journal", "DELETE FROM journal", "UPDATE journal SET author = 'b'", "DELETE FROM refusal",
    ] {
      await #expect(throws: DatabaseError.self, "\(sql)") { try await purger.run { _ = try $0.query(sql) } }
    }
    #expect(try await register.purgeJournal(before: UTCTime(microseconds: now - 1100 * 86_400_000_000)) == 1)
    let left = try await server.run { connection in
      try connection.query("SELECT author, entry, leaf FROM journal ORDER BY position")
    }
    #expect(left[0].optionalText("entry") == nil && left[0].optionalText("author") == nil)
    #expect(left[0].optionalText("leaf") != nil && left[1].optionalText("entry") != nil)
  }
}
