internal import CPostgres

/// One statement of a pipeline.
package struct Statement: Equatable, Sendable {
  package var sql: String
  package var parameters: [SQLValue]

  package init(_ sql: String, _ parameters: [SQLValue] = []) {
    self.sql = sql
    self.parameters = parameters
  }
}

extension Connection {
  /// Statements sent before the first answer is read: their answers, some dozens of bytes each, must fit the socket's
  /// buffers, or both sides would wait for the other to read.
  package static let maximumPipelined = 100

  /// Sends all statements in one go and waits once: a transaction of its own, all or nothing. Rows are not returned.
  ///
  /// - Throws: the first failure; nothing is changed then.
  package borrowing func pipeline(_ statements: [Statement]) throws(DatabaseError) {
    precondition(statements.count <= Self.maximumPipelined)
    guard !statements.isEmpty else { return }
    // Not blocking: a database that stops reading is noticed in time, as one that does not answer.
    guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else { throw lost() }
    defer { _ = PQsetnonblocking(handle, 0) }
    for statement in statements { try send(statement.sql, statement.parameters) }
    guard PQpipelineSync(handle) == 1 else { throw lost() }
    try flush()
    var failure: DatabaseError?
    for _ in statements {
      // Each statement has one result and an end; the pipeline's own comes last.
      try awaitAnswer()
      do throws(DatabaseError) {
        let result = PQgetResult(handle)
        if PQresultStatus(result) == PGRES_PIPELINE_ABORTED { PQclear(result) } else { _ = try rows(of: result) }
      } catch {
        failure = failure ?? error
      }
      while let more = PQgetResult(handle) { PQclear(more) }
    }
    try awaitAnswer()
    let end = PQgetResult(handle)
    let isSynchronised = PQresultStatus(end) == PGRES_PIPELINE_SYNC
    PQclear(end)
    guard isSynchronised, PQexitPipelineMode(handle) == 1 else { throw lost() }
    if let failure { throw failure }
  }
}
