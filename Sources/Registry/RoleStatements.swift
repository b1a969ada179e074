/// The two roles and the database of an embedded PostgreSQL.
package enum RoleStatements {
  /// - Parameters: passwords of hexadecimal digits only.
  package static func roles(owner: String, server: String) -> String {
    precondition((owner + server).allSatisfy(\.isHexDigit))
    return """
      CREATE ROLE plastron_owner LOGIN PASSWORD '\(owner)';
      CREATE ROLE plastron_server LOGIN PASSWORD '\(server)';
      """
  }

  package static let database = "CREATE DATABASE plastron OWNER plastron_owner"
}
