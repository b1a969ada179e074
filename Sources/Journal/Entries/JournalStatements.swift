/// The entry that brings a new signing key, under the key before it.
package enum JournalRotation {
  package static let act = "journal.key-rotated"

  package static func facts(old: VerifierKey, new: VerifierKey) -> [String: CanonicalJSON] {
    ["old": .string(old.text), "new": .string(new.text)]
  }
}

/// The entry that says which bodies were purged: salts and all, hashes stay.
// LOG-5.
package struct JournalPurge: Equatable, Sendable {
  package static let act = "journal.purged"

  /// Entries from the first on whose bodies are gone; a multiple of 256.
  package var entries: UInt64
  /// All of them are older than this.
  package var before_us: Int64

  package init(entries: UInt64, before_us: Int64) {
    self.entries = entries
    self.before_us = before_us
  }

  package var facts: [String: CanonicalJSON] {
    ["entries": .integer(Int64(clamping: entries)), "before_us": .integer(before_us)]
  }

  /// Reads a purge that the rule allows; nil where it purged what was younger than three years.
  package init?(_ entry: JournalEntry) {
    guard let count = entry.facts["entries"]?.integer, count >= 0, count % Int64(TilePath.width) == 0,
      let before = entry.facts["before_us"]?.integer,
      before <= entry.time_us - JournalVerifier.bodiesKept_us
    else { return nil }
    self.init(entries: UInt64(count), before_us: before)
  }
}
