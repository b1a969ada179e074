internal import Doctrine
internal import Foundation
internal import Journal
internal import Seams
internal import Vault

/// The journal itself, as far as somebody may see it.
extension Keeper {
  /// Entries of one answer at the most.
  static let maximumJournalEntries = 1024

  func journal(_ person: Person?, _ call: JournalCall) async throws -> JournalReply {
    let folder = scribe.folder
    switch call {
    case .checkpoint: return .text(try folder.checkpoint() ?? "")
    case .forWitness(let old) where person == nil: return try forWitness(old)
    case .cosigned(let note) where person == nil:
      try keep(cosigned: note)
      return .texts([])
    default: break
    }
    guard let person else { throw Problem.unauthenticated }
    let services = try await granted(person, .readJournal)
    switch call {
    case .checkpoint, .forWitness, .cosigned: throw Problem.notFound("L'acte")
    case .rotations: return .texts(try folder.rotations())
    case .tile(let level, let index, let width):
      // The leaves below it must be there: also what keeps the look-up within bounds.
      guard (0...6).contains(level), (1...256).contains(width), index < 1 << 40,
        case let leaves = (index * 256 + UInt64(width)).multipliedReportingOverflow(by: 1 << UInt64(8 * level)),
        !leaves.overflow, leaves.partialValue <= scribe.mark.size,
        let hashes = try? folder.hashes(level: level, index: index, width: width), hashes.count >= width
      else { throw Problem.notFound("La tuile") }
      return .bytes(Blob(hashes.prefix(width).flatMap { $0 }))
    case .consistency(let from, let to):
      guard from <= to, to <= scribe.mark.size, let proof = try? folder.prover(size: to).consistency(from: from) else {
        throw Problem.badRequest("La preuve va d'une taille à une plus grande du journal. (from <= to <= size.)")
      }
      return .texts(proof.map { Base64.encode($0) })
    case .entries(let from, let limit):
      try await journalRead("journal.read", person, services, ["from": .integer(Int64(clamping: from))])
      return try entries(from: from, limit: limit, services)
    case .compare(let from):
      if from == 0 {
        try await journalRead("journal.compared", person, services, [:])
      }
      return try await compare(from: from)
    case .proof(let position):
      guard let bytes = try entry(position), let entry = JournalEntry(canonical: bytes),
        entry.service.map({ services.contains(ServiceID($0)) }) ?? true
      else {
        if let other = try entry(position).flatMap({ JournalEntry(canonical: $0) })?.service.map({ ServiceID($0) }),
          self.services[other] != nil
        {
          try await allow(person, .readJournal, try object(in: other))
        }
        throw Problem.notFound("L'entrée")
      }
      try await journalRead("journal.read", person, services, ["position": .integer(Int64(clamping: position))])
      guard let text = try? folder.proof(of: position) else {
        throw Problem.unavailable("Le point de contrôle signé")
      }
      return .text(text)
    }
  }

  private func forWitness(_ old: UInt64) throws -> JournalReply {
    guard let note = try scribe.folder.checkpoint(), let checkpoint = SignedNote(note)?.checkpoint else {
      throw Problem.unavailable("Le point de contrôle signé")
    }
    guard old <= checkpoint.size else { return .forWitness(size: checkpoint.size, note: note, proof: []) }
    let proof = try scribe.folder.prover(size: checkpoint.size).consistency(from: old)
    return .forWitness(size: checkpoint.size, note: note, proof: proof.map { Base64.encode($0) })
  }

  /// The newest checkpoint that a witness has signed beside this node: `witnessed`, for whoever asks later.
  private func keep(cosigned note: String) throws {
    guard note.utf8.count < 65_536, let newest = try scribe.folder.checkpoint(),
      SignedNote(note)?.checkpoint?.origin == SignedNote(newest)?.checkpoint?.origin
    else { throw Problem.badRequest("not a checkpoint of this node") }
    try Directories.replace(scribe.folder.path + "/witnessed", with: Array(note.utf8))
  }

  /// The index against the files: the truth is in the files, which anybody can verify; a row is named by its position.
  private func compare(from: UInt64) async throws -> JournalReply {
    // What was written a moment ago may not be indexed yet.
    let next = try await scribe.bringIndexUp(store)
    let end = min(next, from &+ UInt64(Self.maximumJournalEntries))
    guard from < end else { return .differences([], next: nil) }
    var rows: [(position: UInt64, text: String, leaf: [UInt8])] = []
    for bundle in (from / 256)...((end - 1) / 256) {
      for (place, bytes) in try scribe.folder.bundle(bundle).enumerated() {
        let position = bundle * 256 + UInt64(place)
        guard (from..<end).contains(position) else { continue }
        rows.append((position, String(decoding: bytes, as: UTF8.self), MerkleHash.leaf(bytes)))
      }
    }
    var differences = try await store.indexDifferences(rows)
    // Rows that the files know nothing of.
    if end == next { differences += try await store.indexedBeyond(scribe.mark.size) }
    return .differences(differences, next: end < next ? end : nil)
  }

  private func entry(_ position: UInt64) throws -> [UInt8]? {
    guard position < scribe.mark.size else { return nil }
    let bundle = try scribe.folder.bundle(position / 256)
    let place = Int(position % 256)
    return place < bundle.count ? bundle[place] : nil
  }

  /// What the reader is entitled to, in the form of an export's `entries`.
  private func entries(from: UInt64, limit: Int, _ services: [ServiceID]) throws -> JournalReply {
    let size = scribe.mark.size
    let visible = Set(services.map(\.rawValue))
    let end = min(size, from &+ UInt64(max(1, min(limit, Self.maximumJournalEntries))))
    var lines: [UInt8] = []
    guard from < end else { return .entries("", next: nil, services: services) }
    for bundle in (from / 256)...((end - 1) / 256) {
      for (place, bytes) in try scribe.folder.bundle(bundle).enumerated() {
        let position = bundle * 256 + UInt64(place)
        guard (from..<end).contains(position), let entry = JournalEntry(canonical: bytes),
          entry.service.map(visible.contains) ?? true
        else { continue }
        lines += Array("\(position) ".utf8) + bytes + [0x0A]
      }
    }
    return .entries(String(decoding: lines, as: UTF8.self), next: end < size ? end : nil, services: services)
  }

  func mark() -> JournalMark {
    let mark = scribe.mark
    return JournalMark(
      size: mark.size, root: mark.root.hexadecimal, checkpoint: (try? scribe.folder.checkpoint()) ?? "")
  }
}
