internal import Foundation
package import Postgres
internal import Registry
internal import Synchronization

/// A database of its own on the server that `Tests/with-postgres.sh` runs.
package struct TestDatabase {
  package static let server = ProcessInfo.processInfo.environment["PLASTRON_TEST_DATABASE"] ?? ""
  package static let migrations = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("migrations").path

  package let name: String
  package let owner: Pool

  package static func make() async throws -> TestDatabase {
    precondition(!server.isEmpty, "run through Tests/with-postgres.sh")
    let name = "t" + UUID().uuidString.lowercased().replacing("-", with: "")
    let admin = Pool(conninfo: server, connections: 1)
    defer { admin.close() }
    try await admin.run { try $0.script("CREATE DATABASE \(name)") }
    return TestDatabase(name: name, owner: Pool(conninfo: "\(server) dbname=\(name)", connections: 2))
  }

  package func asServer() -> Pool { connected(as: "plastron_server") }

  package func connected(as role: String) -> Pool {
    Pool(conninfo: Self.server.replacing("user=postgres", with: "user=\(role)") + " dbname=\(name)", connections: 2)
  }

  package func migrate() async throws { _ = try await Migrator(pool: owner, folder: Self.migrations).run() }
}

/// A clock that a test sets.
package final class SettableClock: Sendable {
  private let time: Mutex<Int64>

  package init(_ start: Int64) { time = Mutex(start) }

  package var now: Int64 { time.withLock { $0 } }

  package func set(_ value: Int64) { time.withLock { $0 = value } }

  package func add(_ value: Int64) { time.withLock { $0 += value } }
}
