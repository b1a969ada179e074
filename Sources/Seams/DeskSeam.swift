package import Doctrine

/// What is done at a desk under the law: rights, regimes, incidents' questions, holds, erasures, requests.
package enum DeskCall: Equatable, Sendable, Codable {
  case accredit(account: String, service: ServiceID, role: Role, act: String, from: UTCTime?, until: UTCTime)
  case endAccreditation(AccreditationID, act: String)
  case changeRegime(service: ServiceID, RegimeChange, act: String)
  case attach(IncidentID, AgentID, until: UTCTime?)
  case detach(IncidentID, AgentID)
  case confirmIncident(IncidentID)
  case answerClosing(RecordingID, ClosingAnswers)
  case justify(RecordingID, sentence: String)
  case linkProcedure(RecordingID, kind: ProcedureKind, reference: String)
  case unlinkProcedure(RecordingID, reference: String)
  case placeHold(
    RecordingID, kind: ProcedureKind, reference: String, authority: String, requestedOn: LocalDate, reviewOn: LocalDate)
  case releaseHold(HoldID, reason: String)
  case proposeErasure(RecordingID, ground: ErasureGround, reference: String)
  case confirmErasure(RecordingID)
  case withdrawErasure(RecordingID)
  case receiveRequest(
    service: ServiceID, kind: DataRight, reference: String, receivedOn: LocalDate, dueOn: LocalDate?, place: String?,
    camera: String?, from: UTCTime?, to: UTCTime?)
  case decideRequest(DataRequestID, DataRequestDecision, ground: String, reply: String)
  case retentionPlan(until: LocalDate)
  case completeness(from: LocalDate, to: LocalDate)
  case report(service: ServiceID, year: Int)
  case rights
}

package enum DeskReply: Equatable, Sendable, Codable {
  case created(String)
  case done
  case plan([PlannedErasure], warnings: [TermWarning])
  case completeness(Completeness, JournalMark)
  case report(Report, JournalMark)
  case text(String)
}

/// Nothing may be missing between what was recorded and what was erased.
package struct Completeness: Equatable, Sendable, Codable {
  package var days: [DayCount]
  /// Due before today and still there: must be none.
  package var overdue: [PlannedErasure]
  /// What is kept past its term, and why.
  package var kept: RegisterPage
  /// Why the sweeper asks, where it does.
  package var sweeperStopped: String?

  package init(days: [DayCount], overdue: [PlannedErasure], kept: RegisterPage, sweeperStopped: String?) {
    self.days = days
    self.overdue = overdue
    self.kept = kept
    self.sweeperStopped = sweeperStopped
  }
}

/// The annual report's numbers (GOV-3).
package struct Report: Equatable, Sendable, Codable {
  package var service: String
  package var year: Int
  package var counts: [String: Int64]

  package init(service: String, year: Int, counts: [String: Int64]) {
    self.service = service
    self.year = year
    self.counts = counts
  }
}

/// What is asked of the journal itself.
package enum JournalCall: Equatable, Sendable, Codable {
  /// Anybody may: it is what leaves the machine.
  case checkpoint
  case rotations
  /// The entries of the caller's services and of none, from a position on.
  case entries(from: UInt64, limit: Int)
  case tile(level: Int, index: UInt64, width: Int)
  case proof(position: UInt64)
  case consistency(from: UInt64, to: UInt64)
  /// For the console's own use: the newest checkpoint, and that it goes on from an older size.
  case forWitness(old: UInt64)
  /// For the console's own use: a checkpoint with the witness's signature.
  case cosigned(note: String)
  /// Holds some entries of the index against the files, from a position on.
  case compare(from: UInt64)
}

package enum JournalReply: Equatable, Sendable, Codable {
  case text(String)
  case texts([String])
  /// Lines of position, blank, entry; and where to go on, or nil at the end.
  case entries(String, next: UInt64?, services: [ServiceID])
  case bytes(Blob)
  case forWitness(size: UInt64, note: String, proof: [String])
  /// Positions where the index is not what the files say, and where to go on.
  case differences([UInt64], next: UInt64?)
}
