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
  /// 1, 2, ... among the entries of the same service (or of none): who is shown one service's entries only can
  /// tell that none of them is missing. The sequencer gives it.
  package var number: UInt64

  package init(
    kind: Kind, act: String, time_us: Int64, author: String, service: String?,
    facts: [String: CanonicalJSON], salt: String, number: UInt64 = 0
  ) {
    self.kind = kind
    self.act = act
    self.time_us = time_us
    self.author = author
    self.service = service
    self.facts = facts
    self.salt = salt
    self.number = number
  }

  /// The bytes that are stored and hashed.
  package var canonicalBytes: [UInt8] {
    var members: [String: CanonicalJSON] = [
      "v": .integer(1), "kind": .string(kind.rawValue), "act": .string(act), "time_us": .integer(time_us),
      "author": .string(author), "salt": .string(salt), "facts": .object(facts),
      "n": .integer(Int64(clamping: number)),
    ]
    if let service { members["service"] = .string(service) }
    return Array(CanonicalJSON.object(members).text.utf8)
  }

  /// Reads stored bytes; nil where they are not a canonical entry of this version.
  package init?(canonical bytes: some Sequence<UInt8>) {
    guard let value = CanonicalJSON(canonical: bytes), value["v"] == .integer(1),
      let kind = value["kind"]?.string.flatMap(Kind.init), let act = value["act"]?.string,
      let time = value["time_us"]?.integer, let author = value["author"]?.string, let salt = value["salt"]?.string,
      case .object(let facts)? = value["facts"]
    else { return nil }
    self.init(
      kind: kind, act: act, time_us: time, author: author, service: value["service"]?.string, facts: facts, salt: salt,
      number: value["n"]?.integer.flatMap { UInt64(exactly: $0) } ?? 0)
  }
}
