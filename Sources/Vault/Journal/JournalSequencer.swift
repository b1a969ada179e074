internal import Crypto
internal import Foundation
internal import Journal

/// The sequencer's state: made by one thread, then used by the sequencer's own alone.
final class JournalSequencer: @unchecked Sendable {
  // Safety: handed over once, before its thread starts; `shared` guards itself.
  private let folder: JournalFolder
  private var key: Curve25519.Signing.PrivateKey
  private let keyPath: String
  private let origin: String
  private let shared: JournalFile.Shared
  private var tree: TileTree
  private var bundle: DurableFile
  private var inBundle: Int
  /// Full tiles that are not on disk yet; written before the next bundle begins.
  private var pendingTiles: [TileTree.FullTile] = []
  /// Last number given, by service; the empty name counts entries without one.
  private var numbers: [String: UInt64] = [:]
  private var signedSize: UInt64 = 0
  /// On a clock that only goes forward.
  private var signedAt = DispatchTime(uptimeNanoseconds: 0)
  private var isBroken = false

  init(
    folder: JournalFolder, key: Curve25519.Signing.PrivateKey, keyPath: String, origin: String,
    shared: JournalFile.Shared
  ) throws {
    self.folder = folder
    self.key = key
    self.keyPath = keyPath
    self.origin = origin
    self.shared = shared
    let full = try Self.repairTiles(folder)
    let path = folder.path + "/" + TilePath.entries(index: full)
    try Directories.make(Directories.parent(of: path))
    bundle = try DurableFile.append(path)
    let (entries, valid) = EntryBundle.parse(try Directories.read(path, limit: JournalFolder.maximumBundle_bytes))
    inBundle = entries.count
    tree = TileTree(
      size: full * 256 + UInt64(entries.count),
      partial: try Self.partial(folder, full: full, leaves: entries.map { MerkleHash.leaf($0) }))
    try check(expecting: try folder.checkpoint())
    if Int64(valid) < bundle.length { try bundle.truncate(to: Int64(valid)) }
    try loadNumbers()
    shared.size = tree.size
    shared.root = tree.root
  }

  /// Writes tiles that a stop kept from being written; returns how many bundles are full.
  private static func repairTiles(_ folder: JournalFolder) throws -> UInt64 {
    var full = folder.fullTiles(level: 0)
    let last = try folder.bundle(full)
    if last.count == TilePath.width {
      try write(TileTree.FullTile(level: 0, index: full, hashes: last.map { MerkleHash.leaf($0) }), folder)
      full += 1
    }
    var below = full
    var level = 1
    while below >= UInt64(TilePath.width) {
      let wanted = below / UInt64(TilePath.width)
      for index in folder.fullTiles(level: level)..<max(wanted, folder.fullTiles(level: level)) {
        let hashes = try folder.hashes(level: level, index: index, width: TilePath.width)
        try write(TileTree.FullTile(level: level, index: index, hashes: hashes), folder)
      }
      below = wanted
      level += 1
    }
    return full
  }

  /// The tiles that are not full: the leaves, and above them the roots of what is full below.
  private static func partial(_ folder: JournalFolder, full: UInt64, leaves: [[UInt8]]) throws -> [[[UInt8]]] {
    var levels = [leaves]
    var count = full
    while count > 0 {
      let width = Int(count % UInt64(TilePath.width))
      let index = count / UInt64(TilePath.width)
      levels.append(
        try (0..<width).map { offset in
          let tile = index * UInt64(TilePath.width) + UInt64(offset)
          return MerkleHash.root(of: try folder.hashes(level: levels.count - 1, index: tile, width: TilePath.width))
        })
      count = index
    }
    return levels
  }

  /// Holds what is on disk against the last signed state.
  private func check(expecting note: String?) throws {
    guard let note else { return }
    let verifier = VerifierKey(name: origin, publicKey: Array(key.publicKey.rawRepresentation))
    let previous = try folder.rotations().last.flatMap { InclusionProofNote($0) }
      .flatMap { JournalEntry(canonical: $0.entry) }?.facts["old"]?.string.flatMap { VerifierKey($0) }
    // After a change of key that a stop cut short, the last note is still the old key's.
    guard let signed = Checkpoint(note: note, key: verifier) ?? previous.flatMap({ Checkpoint(note: note, key: $0) })
    else { throw VaultError("checkpoint", folder.path, "is not signed by this node's key") }
    guard tree.size >= signed.size else {
      throw VaultError(
        "journal", folder.path,
        "holds \(tree.size) entries, but \(signed.size) were signed: restore the journal's files before starting")
    }
    guard try folder.prover(size: signed.size).root() == signed.root else {
      throw VaultError(
        "journal", folder.path,
        "its first \(signed.size) entries are not those that were signed: restore the journal's files")
    }
    signedSize = signed.size
  }

  /// Entries from `first` on whose bodies are there.
  private func replay(from first: UInt64, _ body: (UInt64, [UInt8]) -> Void) throws {
    guard first < tree.size else { return }
    for bundle in (first / 256)...((tree.size - 1) / 256) {
      for (place, entry) in try folder.bundle(bundle).enumerated() {
        let position = bundle * 256 + UInt64(place)
        if position >= first, position < tree.size { body(position, entry) }
      }
    }
  }

  // MARK: Numbers

  private var numbersPath: String { folder.path + "/numbers" }

  /// `numbers`: a line with the position it was true at, then a line a service: number, space, name.
  private func loadNumbers() throws {
    var from: UInt64 = 0
    if let raw = try? Directories.read(numbersPath, limit: 1 << 24) {
      let lines = String(decoding: raw, as: UTF8.self).split(separator: "\n")
      from = lines.first.flatMap { UInt64($0) } ?? 0
      for line in lines.dropFirst() {
        let fields = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        if fields.count == 2, let number = UInt64(fields[0]) { numbers[String(fields[1])] = number }
      }
    }
    try replay(from: from) { _, bytes in
      guard let entry = JournalEntry(canonical: bytes) else { return }
      numbers[entry.service ?? ""] = max(entry.number, numbers[entry.service ?? "", default: 0])
    }
  }

  private func saveNumbers() {
    let lines = ["\(tree.size)"] + numbers.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    // Without it the numbers are read from the entries again.
    try? Directories.replace(numbersPath, with: Array((lines.joined(separator: "\n") + "\n").utf8))
  }

  // MARK: Loop

  func run() {
    while true {
      shared.condition.lock()
      while shared.waiting.isEmpty, !shared.closed {
        if signedSize < tree.size {
          guard shared.condition.wait(until: Date().addingTimeInterval(untilSigning_s)) else { break }
        } else {
          shared.condition.wait()
        }
      }
      let batch = shared.waiting
      shared.waiting = []
      let over = shared.closed && batch.isEmpty
      shared.condition.unlock()
      carryOut(batch)
      if over || untilSigning_s <= 0 { sign() }
      if over { return }
    }
  }

  /// Until the next checkpoint may be signed.
  private var untilSigning_s: Double {
    let passed_ns = DispatchTime.now().uptimeNanoseconds - signedAt.uptimeNanoseconds
    return JournalFile.signingInterval_s - Double(passed_ns) / 1e9
  }

  private func carryOut(_ batch: [JournalFile.Work]) {
    var entries: [(JournalEntry, @Sendable (Result<CommittedEntry, VaultError>) -> Void)] = []
    for work in batch {
      switch work {
      case .entry(let entry, let done): entries.append((entry, done))
      case .rotate(let make, let done):
        commit(entries[...])
        entries = []
        do throws(VaultError) { done(.success(try rotate(make))) } catch { done(.failure(error)) }
      }
    }
    commit(entries[...])
  }

  /// Appends entries bundle by bundle; what cannot be written is told so, and leaves no trace.
  private func commit(_ entries: ArraySlice<(JournalEntry, @Sendable (Result<CommittedEntry, VaultError>) -> Void)>) {
    var rest = entries
    while !rest.isEmpty {
      do throws(VaultError) {
        try beginBundle()
        let piece = rest.prefix(TilePath.width - inBundle)
        let committed = try append(piece.map(\.0))
        rest = rest.dropFirst(piece.count)
        for (item, result) in zip(piece, committed) { item.1(result) }
      } catch {
        for item in rest { item.1(.failure(error)) }
        return
      }
    }
  }

  /// Writes and flushes entries that fit the bundle; one that is too large fails alone.
  private func append(_ entries: [JournalEntry]) throws(VaultError) -> [Result<CommittedEntry, VaultError>] {
    var given = numbers
    var bytes: [UInt8] = []
    var accepted: [Result<(JournalEntry, [UInt8]), VaultError>] = []
    for entry in entries {
      var numbered = entry
      numbered.number = given[entry.service ?? "", default: 0] + 1
      let canonical = numbered.canonicalBytes
      guard canonical.count <= EntryBundle.maximumEntry_bytes else {
        accepted.append(
          .failure(
            VaultError(
              "journal", bundle.path,
              "entry of \(canonical.count) bytes, at most \(EntryBundle.maximumEntry_bytes)")))
        continue
      }
      given[entry.service ?? ""] = numbered.number
      bytes += EntryBundle.record(canonical)
      accepted.append(.success((numbered, canonical)))
    }
    guard !isBroken else {
      throw VaultError("journal", bundle.path, "a failed write could not be taken back: restart the keeper")
    }
    let before = bundle.length
    do throws(VaultError) {
      try bundle.append(bytes)
      try bundle.flush()
    } catch {
      do throws(VaultError) { try bundle.truncate(to: before) } catch {
        // What stands behind the last entry is not known any more: nothing is written after it.
        isBroken = true
      }
      throw error
    }
    numbers = given
    var out: [Result<CommittedEntry, VaultError>] = []
    for item in accepted {
      out.append(
        item.map { entry, canonical in
          let leaf = MerkleHash.leaf(canonical)
          let position = tree.size
          pendingTiles += tree.append(leaf: leaf)
          inBundle += 1
          return CommittedEntry(position: position, entry: entry, bytes: canonical, leaf: leaf)
        })
    }
    let root = tree.root
    shared.condition.lock()
    shared.size = tree.size
    shared.root = root
    shared.condition.unlock()
    if inBundle == TilePath.width { try? beginBundle() }
    return out
  }

  /// Where the bundle is full: its tile is written, and the next one made.
  private func beginBundle() throws(VaultError) {
    guard inBundle == TilePath.width else { return }
    while let tile = pendingTiles.first {
      try Self.write(tile, folder)
      pendingTiles.removeFirst()
    }
    saveNumbers()
    let path = folder.path + "/" + TilePath.entries(index: tree.size / 256)
    try Directories.make(Directories.parent(of: path))
    bundle = try DurableFile.append(path)
    inBundle = 0
  }

  private static func write(_ tile: TileTree.FullTile, _ folder: JournalFolder) throws(VaultError) {
    let path = folder.path + "/" + TilePath.hashes(level: tile.level, index: tile.index)
    try Directories.make(Directories.parent(of: path))
    try Directories.replace(path, with: tile.bytes)
  }

  // MARK: Signing

  /// The entries are durable whether or not this checkpoint is: the next one is of a larger tree.
  private func sign() {
    guard tree.size > signedSize else { return }
    signedAt = .now()
    guard let note = try? Checkpoint(origin: origin, size: tree.size, root: tree.root).signed(by: key) else { return }
    do {
      try Directories.replace(folder.path + "/checkpoint", with: Array(note.utf8))
      signedSize = tree.size
    } catch {}
  }

  private func rotate(_ make: (VerifierKey, VerifierKey) -> JournalEntry) throws(VaultError) -> CommittedEntry {
    do { key = try SigningKey.load(keyPath, folder: folder) } catch { throw Self.unsigned(folder) }
    let next = Curve25519.Signing.PrivateKey()
    let old = VerifierKey(name: origin, publicKey: Array(key.publicKey.rawRepresentation))
    let new = VerifierKey(name: origin, publicKey: Array(next.publicKey.rawRepresentation))
    try Directories.replace(keyPath + ".next", with: Array(next.rawRepresentation), mode: 0o600)
    try beginBundle()
    guard let committed = try append([make(old, new)]).first else { throw Self.unsigned(folder) }
    let entry = try committed.get()
    let note: String
    do {
      let path = try folder.prover(size: tree.size).inclusion(of: entry.position)
      let signed = try Checkpoint(origin: origin, size: tree.size, root: tree.root).signed(by: key)
      note = InclusionProofNote(entry: entry.bytes, position: entry.position, path: path, note: signed).text
    } catch { throw Self.unsigned(folder) }
    try Directories.make(folder.path + "/rotations")
    let digits = String(entry.position)
    let name = String(repeating: "0", count: max(0, 20 - digits.count)) + digits
    try Directories.replace(folder.path + "/rotations/" + name, with: Array(note.utf8))
    try Directories.rename(keyPath + ".next", to: keyPath)
    key = next
    try Directories.replace(folder.path + "/public-key", with: Array((new.text + "\n").utf8))
    signedSize = 0
    sign()
    return entry
  }

  private static func unsigned(_ folder: JournalFolder) -> VaultError {
    VaultError("journal", folder.path, "the change of key could not be signed; the key stays")
  }
}
