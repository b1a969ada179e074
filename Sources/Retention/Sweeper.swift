package import Doctrine
package import Logging

/// A part whose term day has come.
package struct DuePart: Equatable, Sendable {
  package var part: PartID
  package var recording: RecordingID
  package var service: ServiceID
  package var localDay: LocalDate
  package var termDay: LocalDate
  package var path: String?
  package var chainHead: [UInt8]

  package init(
    part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate,
    path: String?, chainHead: [UInt8]
  ) {
    self.part = part
    self.recording = recording
    self.service = service
    self.localDay = localDay
    self.termDay = termDay
    self.path = path
    self.chainHead = chainHead
  }
}

/// The steps of an erasure. Each may be repeated after a crash.
package protocol ErasureSteps: Sendable {
  func due(on day: LocalDate, limit: Int) async throws -> [DuePart]
  /// 1. "Erasure begun" is durable in the journal.
  func journalBegun(_ part: DuePart) async throws
  /// 2. The key is gone: the part's in the register and, with the last part of its day, the day's.
  func destroyKey(_ part: DuePart) async throws
  /// 3. The file, and whatever was set aside beside it.
  func deleteFile(_ part: DuePart) async throws
  /// 4. The certificate is in the journal; returns its position.
  func journalCertificate(_ part: DuePart) async throws -> UInt64
  /// 5. The facts leave the register; id, service, chain hash and certificate stay.
  func eraseFacts(_ part: DuePart, certificate: UInt64) async throws
}

/// Erases what is due, oldest first, in the order that leaves nothing readable at any crash.
// RET-1 to RET-4, P6.
package struct Sweeper: Sendable {
  /// Parts in one pass, so that a pass stays short beside the recording of new footage.
  package static let batch = 500

  private let steps: any ErasureSteps
  private let logger: Logger

  package init(steps: any ErasureSteps, logger: Logger) {
    self.steps = steps
    self.logger = logger
  }

  /// Erases everything due on a local day; returns how many parts.
  package func sweep(on day: LocalDate) async throws -> Int {
    var erased = 0
    while true {
      let due = try await steps.due(on: day, limit: Self.batch)
      var inThisPass = 0
      // The register is asked for what is due; the calendar is asked again before anything is lost.
      for part in due where Term(endDay: part.termDay).isDue(on: day) {
        do {
          try await erase(part)
          inThisPass += 1
        } catch {
          // One that cannot be erased must not keep the others past their term.
          logger.error("overdue: a part could not be erased", metadata: ["part": "\(part.part)", "error": "\(error)"])
        }
      }
      erased += inThisPass
      if due.count < Self.batch || inThisPass == 0 { break }
    }
    if erased > 0 { logger.notice("erased at the end of their term", metadata: ["parts": "\(erased)"]) }
    return erased
  }

  private func erase(_ part: DuePart) async throws {
    try await steps.journalBegun(part)
    try await steps.destroyKey(part)
    try await steps.deleteFile(part)
    let certificate = try await steps.journalCertificate(part)
    try await steps.eraseFacts(part, certificate: certificate)
  }
}
