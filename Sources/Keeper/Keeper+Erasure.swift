package import Doctrine
internal import Journal
package import Retention
internal import Vault

/// The end of recordings. The order is the sweeper's; the steps are here.
extension Keeper: ErasureSteps {
  /// Erases what is due today in legal time; returns how many parts.
  func sweep() async throws -> Int {
    try await Sweeper(steps: self, logger: logger).sweep(on: calendar.day(of: clock()))
  }

  package func due(on day: LocalDate, limit: Int) async throws -> [DuePart] {
    try await store.dueParts(on: day, limit: limit).map { row in
      DuePart(
        part: row.part, recording: row.recording, service: row.service, localDay: row.localDay,
        termDay: row.termDay, path: row.path, chainHead: row.chainHead)
    }
  }

  package func journalBegun(_ part: DuePart) async throws {
    try await scribe.write(
      .erasure, "erasure.begun", author: "sweeper", service: part.service, Self.facts(of: part))
  }

  package func destroyKey(_ part: DuePart) async throws {
    try await store.beginErasure(of: part.part)
    if try await !store.dayKeyIsNeeded(service: part.service, day: part.localDay) {
      try keys.destroyDayKey(service: part.service.rawValue, day: part.localDay.description)
    }
  }

  package func deleteFile(_ part: DuePart) async throws {
    guard let path = part.path else { return }
    let full = settings.footageRoot + "/" + path
    let folder = Directories.parent(of: full)
    for name in Directories.names(in: folder) where name.hasPrefix(part.part.rawValue) {
      try Directories.remove(folder + "/" + name)
    }
  }

  package func journalCertificate(_ part: DuePart) async throws -> UInt64 {
    var facts = Self.facts(of: part)
    facts["ground"] = .string("term")
    facts["article"] = .string("CSI R241-4 al. 2")
    return try await scribe.write(
      .erasure, "erasure.certificate", author: "sweeper", service: part.service, facts)
  }

  package func eraseFacts(_ part: DuePart, certificate: UInt64) async throws {
    try await store.eraseFacts(
      of: part.part, recording: part.recording, certificate: "journal:\(certificate)", at: clock())
    try await store.dropIndex(of: part.termDay)
  }

  /// What RET-4 lets stay: ids, service, chain hash.
  private static func facts(of part: DuePart) -> [String: CanonicalJSON] {
    [
      "recording": .string(part.recording.rawValue), "part": .string(part.part.rawValue),
      "chain_head": .string(part.chainHead.hexadecimal),
      "term_day": .string(part.termDay.description),
    ]
  }
}
