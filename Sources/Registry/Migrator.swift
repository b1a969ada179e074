internal import Crypto
internal import Doctrine
internal import Foundation
package import Postgres

/// Applies `migrations/` in order: plain SQL, one transaction each, never changed once applied.
///
/// Runs under the owner's role. The server itself only checks the version (``Register/checkVersion()``).
package struct Migrator: Sendable {
  /// The schema this build works with: the number of the newest migration.
  package static let version = 9
  /// SHA-256 of the migrations of this build: a folder that was tampered with is not run under the owner's role.
  package static let checksums = [
    "ca4eef982e4d40144b27e2cfc42dd0b74eb7a8cf8142a16431cd43b936a5cccf",
    "393ed083c5f11ad91e2c6cdd0fbe4b6eaebabd87d6816779fb601a0410c78c4f",
    "cea71cfe300f1b17a0d21a06ccc8fe82d69983b00dabdc32fd9a3bbff2d3ff95",
    "fcbb363dbcd9a29094357a108f6f0a01681b2044959f4294bc6abc6acbe712c3",
    "4935666586a23dadf66cf96b7e19c239cf88cc386cca1a053ed001e8a3ba69fa",
    "80daa5e2a3eec49c7aac1cf8de4068aec84460bd9d16a76dcded84370cc8718b",
    "30dce2c40711663495301282493bb17bd1e6c493a421f47b10d915bfe5e3ea72",
    "f02c18c4a2f285dd96527a3be3ac5542a560e2eda199072ff985ec50ef2a96cc",
    "ffe4b20756a9d2f69ca4dd20cf81b1c89fb4d90dbabb5efc1c6aea2524cd3c16",
  ]
  /// Any number; the same for every migrator of this product.
  private static let advisoryLock: Int64 = 0x706C_6173_7472_6F6E

  package struct Migration: Equatable, Sendable {
    package var number: Int
    package var name: String
    package var sql: String
    package var checksum: String
  }

  package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
  }

  private let pool: Pool
  private let migrations: [Migration]

  /// - Parameter folder: holds `NNNN_name.sql`, numbered without a hole from 1.
  ///
  /// - Parameter checksums: what they must be; nil: any.
  package init(pool: Pool, folder: String, checksums: [String]? = Self.checksums) throws {
    self.pool = pool
    migrations = try Self.load(folder)
    guard checksums == nil || migrations.map(\.checksum) == checksums else {
      throw Failure(description: "migrations: \(folder) does not hold the migrations of this build")
    }
  }

  package static func load(_ folder: String) throws -> [Migration] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".sql") }.sorted()
    return try names.enumerated().map { index, name in
      guard let number = Int(name.prefix(4)), number == index + 1 else {
        throw Failure(description: "migrations: \(name) is not number \(index + 1)")
      }
      let sql = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
      let checksum = SHA256.hash(data: Array(sql.utf8)).hexadecimal
      return Migration(number: number, name: name, sql: sql, checksum: checksum)
    }
  }

  /// Applies what is missing and returns the numbers applied.
  ///
  /// - Throws: ``Failure`` where the database is newer than this build, or an applied migration was changed.
  package func run() async throws -> [Int] {
    let migrations = self.migrations
    return try await pool.run { connection in
      try connection.query("SELECT pg_advisory_lock($1)", [.integer(Self.advisoryLock)])
      defer { _ = try? connection.query("SELECT pg_advisory_unlock($1)", [.integer(Self.advisoryLock)]) }
      try Self.prepare(connection)
      let applied = try connection.query("SELECT number, checksum FROM schema_migration ORDER BY number")
      for row in applied {
        let number = Int(try row.integer("number"))
        guard let migration = migrations.first(where: { $0.number == number }) else {
          throw Failure(
            description:
              "the database is at version \(number), this build knows \(migrations.count): install the newer version")
        }
        guard try row.text("checksum") == migration.checksum else {
          throw Failure(description: "\(migration.name) was changed after it was applied: restore its text")
        }
      }
      var done: [Int] = []
      for migration in migrations.dropFirst(applied.count) {
        try connection.transaction { transaction in
          try transaction.script(migration.sql)
          try transaction.query(
            "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, now())",
            [.integer(Int64(migration.number)), .text(migration.name), .text(migration.checksum)])
        }
        done.append(migration.number)
      }
      return done
    }
  }

  private static func prepare(_ connection: borrowing Connection) throws {
    for role in ["plastron_server", "plastron_purger"] {
      let found = try connection.query("SELECT 1 AS one FROM pg_roles WHERE rolname = $1", [.text(role)])
      guard found.isEmpty else { continue }
      // Roles are the whole server's: another database's migration may make it at the same moment.
      try connection.script(
        "DO $$ BEGIN CREATE ROLE \(role) LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
    }
    try connection.script(
      """
      CREATE TABLE IF NOT EXISTS schema_migration (
        number integer PRIMARY KEY CHECK (number >= 1), name text NOT NULL,
        checksum text NOT NULL CHECK (length(checksum) = 64), applied_at timestamptz NOT NULL);
      COMMENT ON TABLE schema_migration IS 'Migrations that were applied';
      COMMENT ON COLUMN schema_migration.number IS 'Number, from 1';
      COMMENT ON COLUMN schema_migration.name IS 'File name';
      COMMENT ON COLUMN schema_migration.checksum IS 'SHA-256 of its text, hexadecimal';
      COMMENT ON COLUMN schema_migration.applied_at IS 'When it was applied';
      """)
  }
}
