/// A failed database operation, typed by SQLSTATE. The text never carries parameter values.
package struct DatabaseError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: Equatable, Sendable {
    /// 23505
    case uniqueViolation(constraint: String)
    /// 23503
    case foreignKeyViolation(constraint: String)
    /// 23514
    case checkViolation(constraint: String)
    /// 42501
    case insufficientPrivilege
    /// 40001, 40P01: run the transaction again.
    case serializationFailure
    /// 42P01
    case undefinedTable
    /// Class 08, 57P01-57P03, or the connection itself is gone.
    case connectionLost
    /// All connections are busy and the waiting line is full.
    case poolExhausted
    /// A row did not have the shape that was asked of it.
    case unexpectedShape
    case other(sqlState: String)
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { "\(code): \(message)" }

  static func code(sqlState: String, constraint: String) -> Code {
    switch sqlState {
    case "23505": .uniqueViolation(constraint: constraint)
    case "23503": .foreignKeyViolation(constraint: constraint)
    case "23514": .checkViolation(constraint: constraint)
    case "42501": .insufficientPrivilege
    case "40001", "40P01": .serializationFailure
    case "42P01": .undefinedTable
    case "57P01", "57P02", "57P03": .connectionLost
    case _ where sqlState.hasPrefix("08"): .connectionLost
    default: .other(sqlState: sqlState)
    }
  }
}
