/// One act, as the journal keeps it.
///
/// Who, when, what, on what, why, for whom, on which basis, with what result; never an image, a sound or a
/// description of content.
// LOG-1 to LOG-4, LOG-7, CSI R241-5.
package struct JournalEntry: Equatable, Sendable {
  /// The five kinds of operation of R241-5, and the server's own statements.
  package enum Kind: String, Sendable, CaseIterable {
    case collection
    case modification
    case consultation
    case communication
    case erasure
    case statement
  }

  package var kind: Kind
  /// Such as `incident.opened`, `viewing.joined`, `erasure.begun`.
  package var act: String
  /// Microseconds since 1970, UTC.
  package var time_us: Int64
  /// Account, agent or process that acted.
  package var author: String
  package var service: String?
  /// Facts of the act, by name.
  package var facts: [String: CanonicalJSON]
  /// 16 random bytes in hexadecimal: without it, a purged entry could be guessed from its hash.
  package var salt: String

  package init(
    kind: Kind, act: String, time_us: Int64, author: String, service: String?,
    facts: [String: CanonicalJSON], salt: String
  ) {
    self.kind = kind
    self.act = act
    self.time_us = time_us
    self.author = author
    self.service = service
    self.facts = facts
    self.salt = salt
  }

  /// The bytes that are stored and hashed.
  package var canonicalBytes: [UInt8] {
    var members: [String: CanonicalJSON] = [
      "v": .integer(1), "kind": .string(kind.rawValue), "act": .string(act), "time_us": .integer(time_us),
      "author": .string(author), "salt": .string(salt), "facts": .object(facts),
    ]
    if let service { members["service"] = .string(service) }
    return Array(CanonicalJSON.object(members).text.utf8)
  }
}
