/// Where a verifier finds a journal: a node's folder, an export, or what the network gives. Nothing of it is believed.
package protocol JournalSource {
  /// The newest signed note.
  func checkpoint() throws -> String?
  /// Changes of the signing key, oldest first: inclusion proofs of their entries.
  func rotations() throws -> [String]
  /// The hashes of a tile, one after the other; nil where there is none. May hold more than `width`.
  func tile(level: Int, index: UInt64, width: Int) throws -> [UInt8]?
  /// The entries of a level-0 tile by their place in it; nil where there are none.
  func entries(bundle: UInt64, width: Int) throws -> [Int: [UInt8]]?
  /// The services whose entries the reader is entitled to, where entries of others are left out; nil: nothing is.
  func scope() throws -> [String]?
  /// Positions that are listed twice, out of order, or beyond a size.
  func surplus(size: UInt64) throws -> [UInt64]
}

/// Something that is not as it was signed, named so that a person can go and look.
package struct JournalFinding: Equatable, Sendable {
  package enum Code: String, Sendable, CaseIterable {
    case checkpointMissing = "checkpoint-missing"
    case checkpointMalformed = "checkpoint-malformed"
    case wrongKey = "wrong-key"
    case rotationInvalid = "rotation-invalid"
    case entryEdited = "entry-edited"
    case entryMissing = "entry-missing"
    case entryInserted = "entry-inserted"
    case entriesReordered = "entries-reordered"
    case entryMalformed = "entry-malformed"
    case numberGap = "number-gap"
    case tileEdited = "tile-edited"
    case truncated
    case rootMismatch = "root-mismatch"
    case forked
  }

  package var code: Code
  /// Of the entry, where one can be named.
  package var position: UInt64?
  package var sentence: String

  package init(_ code: Code, at position: UInt64? = nil, _ sentence: String) {
    self.code = code
    self.position = position
    self.sentence = sentence
  }
}

/// What a verification saw.
package struct JournalReport: Equatable, Sendable {
  /// The signed state that the journal was held against; nil where there is none to believe.
  package var checkpoint: Checkpoint?
  package var entries: UInt64 = 0
  /// Entries of which only the hash is shown.
  package var withheld: UInt64 = 0
  /// Entries whose bodies were purged after three years.
  package var purged: UInt64 = 0
  package var findings: [JournalFinding] = []

  package var holds: Bool { findings.isEmpty && checkpoint != nil }
}
