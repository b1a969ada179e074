package import Doctrine
package import Logging

/// A part whose term day has come, or that the law orders erased before it.
package struct DuePart: Equatable, Sendable {
  package var part: PartID
  package var recording: RecordingID
  package var service: ServiceID
  package var localDay: LocalDate
  package var termDay: LocalDate
  package var path: String?
  package var place: FootagePlace
  /// The object store it lies in; nil where it lies on a disk.
  package var location: String?
  package var chainHead: [UInt8]
  /// The key that wraps it; nil where it is destroyed already.
  package var keyName: String?
  /// The order, where it is not the term.
  package var order: LegalErasureEntry?

  package init(
    part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate,
    path: String?, place: FootagePlace, location: String?, chainHead: [UInt8], keyName: String?,
    order: LegalErasureEntry?
  ) {
    self.part = part
    self.recording = recording
    self.service = service
    self.localDay = localDay
    self.termDay = termDay
    self.path = path
    self.place = place
    self.location = location
    self.chainHead = chainHead
    self.keyName = keyName
    self.order = order
  }
}

/// The steps of an erasure. Each may be repeated after a crash.
package protocol ErasureSteps: Sendable {
  func due(on day: LocalDate, limit: Int) async throws -> [DuePart]
  /// 1. "Erasure begun" is durable in the journal.
  func journalBegun(_ part: DuePart) async throws
  /// 2. The key is gone: the part's in the register and, with the last part of its day, the day's.
  func destroyKey(_ part: DuePart) async throws
  /// 3. The file, and whatever was set aside beside it. False where it is being asked for elsewhere: the erasure is gone on
  /// with when that is done.
  func deleteFile(_ part: DuePart) async throws -> Bool
  /// 4. The certificate is in the journal; returns its position.
  func journalCertificate(_ part: DuePart) async throws -> UInt64
  /// 5. The facts leave the register; id, service, chain hash and certificate stay.
  func eraseFacts(_ part: DuePart, certificate: UInt64) async throws
  /// 6. The index of term days that are over goes as a whole.
  func dropIndex(until day: LocalDate) async throws
}

/// What a pass of the sweeper did.
package struct SweepReport: Equatable, Sendable {
  package var erased = 0
  /// Due before today and still there: must be none.
  package var overdue = 0

  package init(erased: Int = 0, overdue: Int = 0) {
    self.erased = erased
    self.overdue = overdue
  }
}

/// Erases what is due, oldest first, in the order that leaves nothing readable at any crash.
// RET-1 to RET-4, RET-9, P6.
package struct Sweeper: Sendable {
  /// Parts looked at together.
  package static let batch = 500

  private let steps: any ErasureSteps
  private let logger: Logger
  /// Between two erasures: the sweeper leaves disk and journal to the living.
  private let pause: Duration

  package init(steps: any ErasureSteps, pause: Duration = .milliseconds(5), logger: Logger) {
    self.steps = steps
    self.pause = pause
    self.logger = logger
  }

  /// Erases everything due on a local day.
  package func sweep(on day: LocalDate) async throws -> SweepReport {
    var report = SweepReport()
    while true {
      let due = try await steps.due(on: day, limit: Self.batch)
      var inThisPass = 0
      // The register is asked for what is due; the calendar is asked again before anything is lost.
      for part in due where part.order != nil || part.keyName == nil || Term(endDay: part.termDay).isDue(on: day) {
        do {
          if try await erase(part) { inThisPass += 1 }
        } catch {
          // One that cannot be erased must not keep the others past their term.
          logger.error("a part could not be erased", metadata: ["part": "\(part.part)", "error": "\(error)"])
        }
        if pause > .zero { try await Task.sleep(for: pause) }
      }
      report.erased += inThisPass
      if due.count < Self.batch || inThisPass == 0 {
        report.overdue = try await steps.due(on: day.adding(days: -1), limit: Self.batch).count
        break
      }
    }
    try await steps.dropIndex(until: day)
    if report.erased > 0 { logger.notice("erased", metadata: ["parts": "\(report.erased)"]) }
    if report.overdue > 0 {
      logger.critical("parts are past their term and still here", metadata: ["parts": "\(report.overdue)"])
    }
    return report
  }

  private func erase(_ part: DuePart) async throws -> Bool {
    try await steps.journalBegun(part)
    try await steps.destroyKey(part)
    guard try await steps.deleteFile(part) else { return false }
    let certificate = try await steps.journalCertificate(part)
    try await steps.eraseFacts(part, certificate: certificate)
    return true
  }
}
