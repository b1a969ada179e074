/// Holds a journal against what was signed, with public material only.
///
/// Procedure and words: docs/journal-format.md, "Verification".
// INT-1, LOG-6, P8.
package struct JournalVerifier {
  /// Bodies may be purged after this time and not before (LOG-5): three years, of which one may be a leap year.
  package static let bodiesKept_us: Int64 = 1095 * 86_400 * 1_000_000
  /// Findings of a kind that are listed; the rest would say nothing new.
  static let maximumListed = 100

  private let source: any JournalSource
  private var report = JournalReport()
  private var keys: [VerifierKey]

  private init(source: any JournalSource, key: VerifierKey) {
    self.source = source
    keys = [key]
  }

  /// - Parameters:
  ///   - key: the first key that is believed; its successors must be introduced by it.
  ///   - earlier: notes seen before, whose trees must be beginnings of this one.
  package static func verify(
    _ source: any JournalSource, trusting key: VerifierKey, against earlier: [String] = []
  ) throws -> JournalReport {
    var verifier = JournalVerifier(source: source, key: key)
    try verifier.run(earlier)
    return verifier.report
  }

  private mutating func find(_ code: JournalFinding.Code, at position: UInt64? = nil, _ sentence: String) {
    guard report.findings.count(where: { $0.code == code }) < Self.maximumListed else { return }
    report.findings.append(JournalFinding(code, at: position, sentence))
  }

  private mutating func run(_ earlier: [String]) throws {
    let rotations = try followRotations()
    guard let note = try source.checkpoint() else {
      return find(.checkpointMissing, "there is no checkpoint: nothing says what the journal should be")
    }
    guard let checkpoint = believed(note, "the checkpoint", mustBeNewest: true) else { return }
    report.checkpoint = checkpoint
    var marks = rotations.map { (what: "the change of key at entry \($0.size - 1)", checkpoint: $0) }
    for (number, note) in earlier.enumerated() {
      guard let known = believed(note, "earlier checkpoint \(number + 1)", mustBeNewest: false) else { continue }
      marks.append((what: "an earlier checkpoint of \(known.size) entries", checkpoint: known))
    }
    for mark in marks where mark.checkpoint.size > checkpoint.size {
      find(.truncated, at: checkpoint.size, "\(mark.what) is larger than this journal of \(checkpoint.size)")
    }
    try readTree(checkpoint, marks.filter { $0.checkpoint.size <= checkpoint.size })
  }

  // MARK: Keys

  /// Each change of key is an entry under the key before it, and brings the next.
  private mutating func followRotations() throws -> [Checkpoint] {
    var seen: [Checkpoint] = []
    let rotations = try source.rotations()
    // Who trusts a later key needs nothing of the changes before it.
    let introduced = rotations.map { text in
      InclusionProofNote(text).flatMap { JournalEntry(canonical: $0.entry) }?.facts["new"]?.string
    }
    let first = introduced.lastIndex(of: keys.first?.text).map { $0 + 1 } ?? 0
    for (number, text) in rotations.enumerated().dropFirst(first) {
      guard let current = keys.last, let proof = InclusionProofNote(text), let checkpoint = proof.verified(by: current),
        let entry = JournalEntry(canonical: proof.entry), entry.act == JournalRotation.act,
        entry.facts["old"]?.string == current.text, let next = entry.facts["new"]?.string.flatMap({ VerifierKey($0) })
      else {
        find(.rotationInvalid, "change of key \(number + 1) is not signed by the key before it, or names no key")
        break
      }
      seen.append(checkpoint)
      keys.append(next)
    }
    return seen
  }

  private mutating func believed(_ text: String, _ what: String, mustBeNewest: Bool) -> Checkpoint? {
    guard let note = SignedNote(text), let checkpoint = note.checkpoint else {
      find(.checkpointMalformed, "\(what) is not a signed checkpoint")
      return nil
    }
    let candidates = mustBeNewest ? Array(keys.suffix(1)) : keys
    guard candidates.contains(where: { $0.name == checkpoint.origin && note.isSigned(by: $0) }) else {
      let signers = note.signatures.map { "\($0.name)+\($0.keyID.hexadecimalText)" }.joined(separator: ", ")
      let wanted = candidates.map { "\($0.name)+\($0.id.hexadecimalText)" }.joined(separator: ", ")
      find(.wrongKey, "\(what) is signed by \(signers) and not, or not validly, by \(wanted)")
      return nil
    }
    return checkpoint
  }

  // MARK: Tree

  /// What a pass over the journal gathers besides findings.
  private struct Pass {
    var tree = TileTree()
    /// The same tree from the entries alone, while every one of them is there.
    var treeOfEntries: TileTree? = TileTree()
    var roots: [UInt64: [UInt8]] = [:]
    var absent: [(bundle: UInt64, count: UInt64)] = []
    var mismatches: [JournalFinding] = []
    var numbers: [String: UInt64] = [:]
    var purgedUpTo: UInt64 = 0
    /// The first version's entries have no number.
    var hasUnnumbered = false
    /// The first entry of each service that is shown.
    var firsts: [(service: String, position: UInt64, number: UInt64)] = []
    /// Roots of full level-0 tiles, for naming the one that is wrong.
    var tileRoots: [[UInt8]] = []
  }

  private mutating func readTree(_ checkpoint: Checkpoint, _ marks: [(what: String, checkpoint: Checkpoint)]) throws {
    var pass = Pass()
    let sizes = Set(marks.map(\.checkpoint.size))
    let bundles = (checkpoint.size + 255) / 256
    for bundle in 0..<bundles {
      let width = Int(min(256, checkpoint.size - bundle * 256))
      guard try readBundle(bundle, width, sizes, &pass) else { return }
    }
    judgeAbsent(pass)
    try judgeScope(pass)
    for position in try source.surplus(size: checkpoint.size) {
      find(
        .entryInserted, at: position, "an entry is listed at \(position) twice, out of order, or beyond what was signed"
      )
    }
    guard pass.tree.root == checkpoint.root else {
      return try locate(checkpoint, pass)
    }
    report.findings += pass.mismatches.prefix(Self.maximumListed)
    try checkUpperTiles(pass)
    for mark in marks where mark.checkpoint.size < checkpoint.size || mark.checkpoint.root != checkpoint.root {
      guard pass.roots[mark.checkpoint.size] != mark.checkpoint.root else { continue }
      find(.forked, "\(mark.what) was signed over other entries: there are two histories")
    }
  }

  /// Reads one bundle and its tile; false where the tree cannot be followed further.
  private mutating func readBundle(
    _ bundle: UInt64, _ width: Int, _ sizes: Set<UInt64>, _ pass: inout Pass
  ) throws -> Bool {
    let entries = try source.entries(bundle: bundle, width: width)
    let stored = try source.tile(level: 0, index: bundle, width: width).flatMap { Self.hashes($0, width) }
    let found = entries.map { $0.mapValues { MerkleHash.leaf($0) } }
    let ofEntries: [[UInt8]]? = found.flatMap { found in
      (0..<width).allSatisfy { found[$0] != nil } ? (0..<width).compactMap { found[$0] } : nil
    }
    guard let leaves = stored ?? ofEntries else {
      let first = bundle * 256 + UInt64((0..<width).first { found?[$0] == nil } ?? 0)
      find(.truncated, at: first, "entry \(first) is signed, and neither it nor its hash is there")
      return false
    }
    for leaf in leaves {
      _ = pass.tree.append(leaf: leaf)
      if sizes.contains(pass.tree.size) { pass.roots[pass.tree.size] = pass.tree.root }
    }
    if width == TilePath.width { pass.tileRoots.append(MerkleHash.root(of: leaves)) }
    if let ofEntries {
      for leaf in ofEntries { _ = pass.treeOfEntries?.append(leaf: leaf) }
    } else {
      pass.treeOfEntries = nil
    }
    guard let entries, let found else {
      pass.absent.append((bundle, UInt64(width)))
      return true
    }
    try compare(bundle, leaves, found, &pass)
    for place in entries.keys.sorted() where place < width {
      if let bytes = entries[place] { read(bytes, at: bundle * 256 + UInt64(place), &pass) }
    }
    return true
  }

  /// Entries against the hashes of their places.
  private mutating func compare(
    _ bundle: UInt64, _ leaves: [[UInt8]], _ found: [Int: [UInt8]], _ pass: inout Pass
  ) throws {
    let first = bundle * 256
    let scoped = try source.scope() != nil
    guard found.contains(where: { $0.key >= leaves.count || leaves[$0.key] != $0.value }) || found.count < leaves.count
    else { return }
    let places = Dictionary(
      leaves.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
    let known = Set(found.values)
    var strangers = found.filter { places[$0.value] == nil }.keys.sorted()
    var lost = leaves.indices.filter { !known.contains(leaves[$0]) }
    // A stranger in the place of a lost one is that one, edited.
    for place in strangers where lost.contains(place) {
      pass.mismatches.append(
        JournalFinding(
          .entryEdited, at: first + UInt64(place), "entry \(first + UInt64(place)) is not the one that was signed"))
    }
    let edited = Set(strangers).intersection(lost)
    strangers.removeAll { edited.contains($0) }
    lost.removeAll { edited.contains($0) }
    for place in strangers {
      pass.mismatches.append(
        JournalFinding(
          .entryInserted, at: first + UInt64(place), "an entry stands at \(first + UInt64(place)) that was never signed"
        ))
    }
    for place in lost {
      // Nothing at this place is what a reader of one service is shown of the others' entries.
      if scoped, found[place] == nil {
        report.withheld += 1
      } else {
        pass.mismatches.append(
          JournalFinding(
            .entryMissing, at: first + UInt64(place), "entry \(first + UInt64(place)) was signed and is not there"))
      }
    }
    let moved = found.compactMap { place, leaf in places[leaf].flatMap { $0 == place ? nil : place } }.sorted()
    let missing = scoped ? lost.filter { found[$0] != nil } : lost
    if let place = moved.first, strangers.isEmpty, missing.isEmpty {
      pass.mismatches.append(
        JournalFinding(
          .entriesReordered, at: first + UInt64(place),
          "entries \(moved.map { String(first + UInt64($0)) }.joined(separator: ", ")) do not stand in their order"))
    }
  }

  private mutating func read(_ bytes: [UInt8], at position: UInt64, _ pass: inout Pass) {
    report.entries += 1
    guard let entry = JournalEntry(canonical: bytes) else {
      return find(.entryMalformed, at: position, "entry \(position) is not a canonical entry")
    }
    if entry.act == JournalPurge.act, let purge = JournalPurge(entry) {
      pass.purgedUpTo = max(pass.purgedUpTo, purge.entries)
    }
    guard entry.number > 0 else {
      pass.hasUnnumbered = true
      return
    }
    let service = entry.service ?? ""
    if let last = pass.numbers[service] {
      if entry.number != last + 1 {
        find(
          .numberGap, at: position,
          "entry \(position) is number \(entry.number) of \(service.isEmpty ? "the node" : service), after \(last)")
      }
    } else {
      pass.firsts.append((service, position, entry.number))
    }
    pass.numbers[service] = entry.number
  }

  /// The first of each service is number 1, unless bodies were purged; who is shown a service is shown some of it.
  private mutating func judgeScope(_ pass: Pass) throws {
    guard pass.purgedUpTo == 0, !pass.hasUnnumbered else { return }
    for first in pass.firsts where first.number != 1 {
      find(
        .numberGap, at: first.position,
        "entry \(first.position) is number \(first.number) of \(first.service.isEmpty ? "the node" : first.service), and the first that is shown"
      )
    }
    for service in try source.scope() ?? [] where pass.numbers[service] == nil {
      find(.entryMissing, "no entry of \(service) is shown, and every service has one")
    }
  }

  /// Bundles of which nothing is there: purged by a statement that allows it, or lost.
  private mutating func judgeAbsent(_ pass: Pass) {
    for (bundle, count) in pass.absent {
      let end = bundle * 256 + count
      if end <= pass.purgedUpTo {
        report.purged += count
      } else if (try? source.scope()) ?? nil != nil {
        report.withheld += count
      } else {
        find(.entryMissing, at: bundle * 256, "entries \(bundle * 256) to \(end - 1) were signed and are not there")
      }
    }
  }

  /// The hashes do not give the signed root: says whether the tiles or the entries are wrong, and where.
  private mutating func locate(_ checkpoint: Checkpoint, _ pass: Pass) throws {
    if pass.treeOfEntries?.root == checkpoint.root {
      for bundle in Set(pass.mismatches.compactMap(\.position).map { $0 / 256 }).sorted() {
        find(
          .tileEdited, at: bundle * 256,
          "the tile of entries \(bundle * 256) to \(bundle * 256 + 255) is not that of the entries")
      }
      return
    }
    find(.rootMismatch, "neither entries nor tiles give the signed root")
    report.findings += pass.mismatches.prefix(Self.maximumListed)
    try checkUpperTiles(pass)
  }

  /// Tiles above the leaves, where they are stored: each must follow from those below.
  private mutating func checkUpperTiles(_ pass: Pass) throws {
    var below = pass.tileRoots
    var level = 1
    while !below.isEmpty {
      var next: [[UInt8]] = []
      for start in stride(from: 0, to: below.count, by: TilePath.width) {
        let run = Array(below[start..<min(start + TilePath.width, below.count)])
        let index = UInt64(start / TilePath.width)
        if let bytes = try source.tile(level: level, index: index, width: run.count),
          let stored = Self.hashes(bytes, run.count)
        {
          for (offset, hash) in stored.enumerated() where hash != run[offset] {
            let low = (UInt64(start + offset)) << UInt64(8 * level)
            find(
              .tileEdited, at: low,
              "tile \(index) of level \(level) and what lies below entry \(low) do not agree")
          }
        }
        if run.count == TilePath.width { next.append(MerkleHash.root(of: run)) }
      }
      below = next
      level += 1
    }
  }

  /// The first `width` hashes of a tile; nil where it has fewer.
  private static func hashes(_ bytes: [UInt8], _ width: Int) -> [[UInt8]]? {
    guard bytes.count >= width * TilePath.hash_bytes else { return nil }
    return (0..<width).map { Array(bytes[($0 * TilePath.hash_bytes)..<(($0 + 1) * TilePath.hash_bytes)]) }
  }
}
