internal import CPostgres

/// One connection to PostgreSQL. Blocking: lives on a thread of its own, never crosses to another.
package struct Connection: ~Copyable {
  private let handle: OpaquePointer

  /// - Parameter conninfo: libpq's connection string or URL. It may hold a password and is never logged.
  package init(_ conninfo: String) throws(DatabaseError) {
    guard let handle = PQconnectdb(conninfo) else {
      throw DatabaseError(.connectionLost, "out of memory")
    }
    guard PQstatus(handle) == CONNECTION_OK else {
      let message = Self.trimmed(PQerrorMessage(handle))
      PQfinish(handle)
      throw DatabaseError(.connectionLost, message)
    }
    self.handle = handle
    PQsetNoticeProcessor(handle, { _, _ in }, nil)
    // Short statements over tables of many partitions: compiling one costs a thousand times what running it does.
    PQclear(PQexec(handle, "SET jit = off"))
  }

  deinit { PQfinish(handle) }

  package var isUsable: Bool { PQstatus(handle) == CONNECTION_OK }

  /// Runs one statement with parameters `$1`, `$2`, ... and returns its rows.
  @discardableResult
  package borrowing func query(_ sql: String, _ parameters: [SQLValue] = []) throws(DatabaseError) -> [Row] {
    let encoded = parameters.map(\.encoded)
    let result = Self.withCStrings(encoded) { pointers in
      PQexecParams(handle, sql, Int32(encoded.count), nil, pointers.baseAddress, nil, nil, 0)
    }
    return try rows(of: result)
  }

  /// Runs a script of several statements without parameters: migrations only.
  package borrowing func script(_ sql: String) throws(DatabaseError) {
    _ = try rows(of: PQexec(handle, sql))
  }

  /// Runs `body` inside a transaction; an error rolls everything back.
  package borrowing func transaction<R>(
    _ body: (borrowing Connection) throws -> R
  ) throws -> R {
    try query("BEGIN")
    do {
      let result = try body(self)
      try query("COMMIT")
      return result
    } catch {
      _ = try? query("ROLLBACK")
      throw error
    }
  }

  private borrowing func rows(of result: OpaquePointer?) throws(DatabaseError) -> [Row] {
    guard let result else { throw DatabaseError(.connectionLost, Self.trimmed(PQerrorMessage(handle))) }
    defer { PQclear(result) }
    let status = PQresultStatus(result)
    guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
      guard let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map({ String(cString: $0) }) else {
        throw DatabaseError(.connectionLost, Self.trimmed(PQresultErrorMessage(result)))
      }
      let constraint =
        PQresultErrorField(result, Int32(UInt8(ascii: "n"))).map { String(cString: $0) } ?? ""
      // The primary message only: detail lines may carry values.
      let primary =
        PQresultErrorField(result, Int32(UInt8(ascii: "M"))).map { String(cString: $0) } ?? "failed"
      throw DatabaseError(DatabaseError.code(sqlState: state, constraint: constraint), primary)
    }
    guard status == PGRES_TUPLES_OK else { return [] }
    let columnCount = PQnfields(result)
    var columns: [String: Int] = [:]
    for column in 0..<columnCount { columns[String(cString: PQfname(result, column))] = Int(column) }
    return (0..<PQntuples(result)).map { row in
      Row(
        columns: columns,
        cells: (0..<columnCount).map { column in
          PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
        })
    }
  }

  private static func trimmed(_ message: UnsafePointer<CChar>?) -> String {
    guard let message else { return "unknown" }
    return String(cString: message).split(separator: "\n").joined(separator: " ")
  }

  private static func withCStrings<R>(
    _ values: [String?], _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> R
  ) -> R {
    var storage: [[CChar]?] = values.map { value in value.map { Array($0.utf8CString) } }
    var pointers: [UnsafePointer<CChar>?] = []
    func descend(_ index: Int) -> R {
      if index == storage.count { return pointers.withUnsafeBufferPointer(body) }
      guard let text = storage[index] else {
        pointers.append(nil)
        return descend(index + 1)
      }
      return text.withUnsafeBufferPointer { buffer in
        pointers.append(buffer.baseAddress)
        return descend(index + 1)
      }
    }
    defer { storage.removeAll() }
    return descend(0)
  }
}
