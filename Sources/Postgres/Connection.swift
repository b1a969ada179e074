internal import CPostgres
internal import Dispatch
internal import Glibc

/// One connection to PostgreSQL. Blocking: lives on a thread of its own, never crosses to another.
package struct Connection: ~Copyable {
  let handle: OpaquePointer
  private let patience = Patience()

  /// How long an answer is waited for: a database that hangs must not hang who asks it.
  private final class Patience {
    var limit_ms: Int32 = -1
    /// An answer was not waited for: it may come yet, and must not be taken for another's.
    var isOver = false
  }

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

  package var isUsable: Bool { PQstatus(handle) == CONNECTION_OK && !patience.isOver }

  /// From now on an answer that takes longer is a lost connection; for ever where negative.
  package borrowing func wait(atMost_ms: Int32) { patience.limit_ms = atMost_ms }

  /// Runs one statement with parameters `$1`, `$2`, ... and returns its rows.
  @discardableResult
  package borrowing func query(_ sql: String, _ parameters: [SQLValue] = []) throws(DatabaseError) -> [Row] {
    if patience.limit_ms < 0 {
      let encoded = parameters.map(\.encoded)
      let result = Self.withCStrings(encoded) { pointers in
        PQexecParams(handle, sql, Int32(encoded.count), nil, pointers.baseAddress, nil, nil, 0)
      }
      return try rows(of: result)
    }
    try send(sql, parameters)
    try awaitAnswer()
    let result = PQgetResult(handle)
    // One statement has one result; what follows is its end.
    while let more = PQgetResult(handle) { PQclear(more) }
    return try rows(of: result)
  }

  borrowing func send(_ sql: String, _ parameters: [SQLValue]) throws(DatabaseError) {
    let encoded = parameters.map(\.encoded)
    let sent = Self.withCStrings(encoded) { pointers in
      PQsendQueryParams(handle, sql, Int32(encoded.count), nil, pointers.baseAddress, nil, nil, 0)
    }
    guard sent == 1 else { throw lost() }
  }

  /// The connection's own last word, as an error that says it is of no use any more.
  borrowing func lost() -> DatabaseError { DatabaseError(.connectionLost, Self.trimmed(PQerrorMessage(handle))) }

  /// - Throws: `connectionLost` where no answer comes in time; the connection is of no use from then on.
  borrowing func awaitAnswer() throws(DatabaseError) {
    guard patience.limit_ms >= 0 else { return }
    var left_ms = patience.limit_ms
    while PQisBusy(handle) == 1 { try wait(for: POLLIN, &left_ms) }
  }

  /// Sends what is still to be sent, reading what comes meanwhile.
  borrowing func flush() throws(DatabaseError) {
    var left_ms = patience.limit_ms < 0 ? Int32.max : patience.limit_ms
    while true {
      switch PQflush(handle) {
      case 0: return
      case 1: try wait(for: POLLIN | POLLOUT, &left_ms)
      default: throw lost()
      }
    }
  }

  private borrowing func wait(for events: Int32, _ left_ms: inout Int32) throws(DatabaseError) {
    var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
    let begun = DispatchTime.now().uptimeNanoseconds
    let ready = poll(&descriptor, 1, left_ms)
    // An answer that is there is taken, however late this thread came to look; a limit that is over is not a wait without one.
    left_ms = max(0, left_ms - Int32(clamping: (DispatchTime.now().uptimeNanoseconds - begun) / 1_000_000))
    if ready == 0 {
      patience.isOver = true
      shutdown(PQsocket(handle), Int32(SHUT_RDWR))
      _ = PQconsumeInput(handle)
      throw DatabaseError(.connectionLost, "no answer within \(patience.limit_ms) ms")
    }
    guard
      descriptor.revents & Int16(POLLOUT) != 0 && descriptor.revents & Int16(POLLIN) == 0 || PQconsumeInput(handle) == 1
    else { throw lost() }
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

  borrowing func rows(of result: OpaquePointer?) throws(DatabaseError) -> [Row] {
    guard let result else { throw lost() }
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
