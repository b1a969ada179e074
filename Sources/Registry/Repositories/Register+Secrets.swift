package import Doctrine
import Postgres

/// What the master key seals in the register.
extension Register {
  package func sealedSecrets() async throws -> [SealedSecret] {
    try await pool.run(isLong: true) { connection in
      try connection.query(
        """
        SELECT 'passphrase' AS kind, id AS subject, passphrase_sealed AS sealed FROM camera
        UNION ALL SELECT 'second-factor', id::text, totp_sealed FROM account WHERE totp_sealed IS NOT NULL
        """
      ).map { row in
        SealedSecret(
          kind: try row.text("kind") == "passphrase" ? .passphrase : .secondFactor, subject: try row.text("subject"),
          sealed: try row.bytes("sealed"))
      }
    }
  }

  package func reseal(_ secret: SealedSecret, as sealed: [UInt8]) async throws {
    let statement =
      switch secret.kind {
      case .passphrase: "UPDATE camera SET passphrase_sealed = $3 WHERE id = $1 AND passphrase_sealed = $2"
      case .secondFactor: "UPDATE account SET totp_sealed = $3 WHERE id = $1::uuid AND totp_sealed = $2"
      }
    try await pool.run { connection in
      try connection.query(statement, [.text(secret.subject), .bytes(secret.sealed), .bytes(sealed)])
    }
  }
}
