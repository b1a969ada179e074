/// A procedure for which a recording is used (R241-4 al. 3).
package enum ProcedureKind: String, Sendable, Codable, CaseIterable {
  case judicial
  case administrative
  case disciplinary
}

/// What must be known of a recording to decide about it.
package struct RecordingFacts: Equatable, Sendable {
  package var id: RecordingID
  package var service: ServiceID
  package var incident: IncidentID
  /// open, closed or erased.
  package var state: String
  package var camera: CameraID?
  package var agent: AgentID?
  /// The earliest term day of its parts; nil once erased.
  package var termDay: LocalDate?
  package var isHeld: Bool
  /// Two persons have ordered its erasure.
  package var isOrdered: Bool

  package init(
    id: RecordingID, service: ServiceID, incident: IncidentID, state: String, camera: CameraID?, agent: AgentID?,
    termDay: LocalDate?, isHeld: Bool, isOrdered: Bool
  ) {
    self.id = id
    self.service = service
    self.incident = incident
    self.state = state
    self.camera = camera
    self.agent = agent
    self.termDay = termDay
    self.isHeld = isHeld
    self.isOrdered = isOrdered
  }

  package func phase(on day: LocalDate) -> RecordingPhase {
    switch state {
    case "open": return .open
    case "erased": return .erased
    default: break
    }
    if isOrdered { return .ordered }
    switch (isHeld, termDay.map { Term(endDay: $0).isDue(on: day) } ?? false) {
    case (true, true): return .heldPastTerm
    case (true, false): return .held
    case (false, true): return .due
    case (false, false): return .closed
    }
  }
}

/// Keeps a recording past its term for a procedure.
// RET-6, CSI R241-4 al. 3.
package struct HoldEntry: Equatable, Sendable, Codable {
  package var id: HoldID
  package var recording: RecordingID
  package var service: ServiceID
  package var kind: ProcedureKind
  package var reference: String
  package var authority: String
  package var requestedOn: LocalDate
  package var reviewOn: LocalDate
  package var placedAt: UTCTime
  package var placedBy: String

  package init(
    id: HoldID, recording: RecordingID, service: ServiceID, kind: ProcedureKind, reference: String, authority: String,
    requestedOn: LocalDate, reviewOn: LocalDate, placedAt: UTCTime, placedBy: String
  ) {
    self.id = id
    self.recording = recording
    self.service = service
    self.kind = kind
    self.reference = reference
    self.authority = authority
    self.requestedOn = requestedOn
    self.reviewOn = reviewOn
    self.placedAt = placedAt
    self.placedBy = placedBy
  }
}

/// What is answered when an incident is over. Nil leaves an answer as it was.
// REC-7, REC-10, MET-1.
package struct ClosingAnswers: Equatable, Sendable, Codable {
  package var place: String?
  package var informed: Bool?
  /// Which circumstance forbade it; required where they were not.
  package var notInformedReason: String?
  package var medicalSecret: Bool?

  package init(
    place: String? = nil, informed: Bool? = nil, notInformedReason: String? = nil, medicalSecret: Bool? = nil
  ) {
    self.place = place
    self.informed = informed
    self.notInformedReason = notInformedReason
    self.medicalSecret = medicalSecret
  }
}

/// Why the law orders an erasure before the term (RET-9).
package enum ErasureGround: String, Sendable, Codable, CaseIterable {
  case rightOfErasure = "right-of-erasure"
  case medicalSecret = "medical-secret"

  package var article: String {
    switch self {
    case .rightOfErasure: "loi 78-17 art. 106"
    case .medicalSecret: "CSI L241-3 al. 2"
    }
  }
}

/// An erasure that the law orders, by two named persons.
package struct LegalErasureEntry: Equatable, Sendable, Codable {
  package var id: LegalErasureID
  package var recording: RecordingID
  package var service: ServiceID
  package var ground: ErasureGround
  package var reference: String
  package var proposedBy: String
  package var proposer: AgentID
  package var proposedAt: UTCTime
  package var confirmedBy: String?

  package init(
    id: LegalErasureID, recording: RecordingID, service: ServiceID, ground: ErasureGround, reference: String,
    proposedBy: String, proposer: AgentID, proposedAt: UTCTime, confirmedBy: String? = nil
  ) {
    self.id = id
    self.recording = recording
    self.service = service
    self.ground = ground
    self.reference = reference
    self.proposedBy = proposedBy
    self.proposer = proposer
    self.proposedAt = proposedAt
    self.confirmedBy = confirmedBy
  }
}

/// The rights of a person who was recorded (GOV-2, loi 78-17 art. 104 to 107).
package enum DataRight: String, Sendable, Codable, CaseIterable {
  case access
  case rectification
  case erasure
  case restriction
}

/// A request as it is entered: time, place and camera, and never a face or a name.
package struct DataRequestEntry: Equatable, Sendable, Codable {
  package var id: DataRequestID
  package var service: ServiceID
  package var kind: DataRight
  /// The service's own file: the person is named there.
  package var reference: String
  package var receivedOn: LocalDate
  package var dueOn: LocalDate
  package var place: String?
  package var camera: String?
  package var from: UTCTime?
  package var to: UTCTime?
  package var enteredBy: String

  /// Months in which a person is answered, unless an earlier day is entered.
  package static let answer_months = 2

  package init(
    id: DataRequestID, service: ServiceID, kind: DataRight, reference: String, receivedOn: LocalDate, dueOn: LocalDate,
    place: String?, camera: String?, from: UTCTime?, to: UTCTime?, enteredBy: String
  ) {
    self.id = id
    self.service = service
    self.kind = kind
    self.reference = reference
    self.receivedOn = receivedOn
    self.dueOn = dueOn
    self.place = place
    self.camera = camera
    self.from = from
    self.to = to
    self.enteredBy = enteredBy
  }
}

package enum DataRequestDecision: String, Sendable, Codable, CaseIterable {
  case granted
  case partly
  case refused
  case nothingFound = "nothing-found"
}

/// A part that the sweeper would erase by a day.
package struct PlannedErasure: Equatable, Sendable, Codable {
  package var part: PartID
  package var recording: RecordingID
  package var service: ServiceID
  package var localDay: LocalDate
  package var termDay: LocalDate

  package init(part: PartID, recording: RecordingID, service: ServiceID, localDay: LocalDate, termDay: LocalDate) {
    self.part = part
    self.recording = recording
    self.service = service
    self.localDay = localDay
    self.termDay = termDay
  }
}

/// A recording that an open procedure concerns and whose term is near, without a hold (RET-8).
package struct TermWarning: Equatable, Sendable, Codable {
  package var recording: RecordingID
  package var service: ServiceID
  package var reference: String
  package var termDay: LocalDate

  package init(recording: RecordingID, service: ServiceID, reference: String, termDay: LocalDate) {
    self.recording = recording
    self.service = service
    self.reference = reference
    self.termDay = termDay
  }
}

/// One day of a service, counted: nothing may be missing between what was recorded and what was erased.
package struct DayCount: Equatable, Sendable, Codable {
  package var service: String
  package var day: LocalDate
  package var recorded: Int64
  package var erased: Int64

  package init(service: String, day: LocalDate, recorded: Int64, erased: Int64) {
    self.service = service
    self.day = day
    self.recorded = recorded
    self.erased = erased
  }
}
