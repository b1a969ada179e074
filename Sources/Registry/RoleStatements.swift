/// The roles and the database of an embedded PostgreSQL.
package enum RoleStatements {
  /// Owner: migrations. Server: the keeper. Purger: the journal's index, after three years, and nothing else.
  package static let roles = ["plastron_owner", "plastron_server", "plastron_purger"]

  /// - Parameter password: of hexadecimal digits only; a role's password takes no parameter.
  package static func make(_ role: String, password: String) -> String {
    precondition(roles.contains(role) && password.allSatisfy(\.isHexDigit))
    return "CREATE ROLE \(role) LOGIN PASSWORD '\(password)'"
  }

  package static let database = "CREATE DATABASE plastron OWNER plastron_owner"
}
