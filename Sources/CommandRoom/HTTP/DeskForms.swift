internal import Doctrine
internal import Seams

/// The bodies of what is done at a desk. Days are yyyy-mm-dd, times RFC 3339.
struct AccreditationForm: Decodable {
  var account: String
  var role: Role
  var act: String
  var from: APITimeField?
  var until: APITimeField
}

struct EndForm: Decodable { var act: String }

struct RegimeForm: Decodable {
  var regime: String?
  var term_months: Int?
  var liveSound: Bool?
  var commandRoomMayDeclare: Bool?
  var wearerMayExtract: Bool?
  var act: String

  var change: RegimeChange {
    RegimeChange(
      name: regime, term_months: term_months, liveSound: liveSound, commandRoomMayDeclare: commandRoomMayDeclare,
      wearerMayExtract: wearerMayExtract)
  }
}

struct AttachForm: Decodable { var until: APITimeField? }

struct ClosingForm: Decodable {
  var place: String?
  var informed: Bool?
  var notInformedReason: String?
  var medicalSecret: Bool?

  var answers: ClosingAnswers {
    ClosingAnswers(
      place: place, informed: informed, notInformedReason: notInformedReason, medicalSecret: medicalSecret)
  }
}

struct JustificationForm: Decodable { var justification: String }

struct ProcedureForm: Decodable {
  var kind: ProcedureKind
  var reference: String
}

struct HoldForm: Decodable {
  var kind: ProcedureKind
  var reference: String
  var authority: String
  var requestedOn: LocalDate
  var reviewOn: LocalDate
}

struct ReleaseForm: Decodable { var reason: String }

struct ErasureForm: Decodable {
  var ground: ErasureGround
  var reference: String
}

struct RequestForm: Decodable {
  var kind: DataRight
  var reference: String
  var receivedOn: LocalDate
  var dueOn: LocalDate?
  var place: String?
  var camera: String?
  var from: APITimeField?
  var to: APITimeField?
}

struct DecisionForm: Decodable {
  var decision: DataRequestDecision
  var ground: String
  var reply: String
}

struct ConsultationForm: Decodable {
  var reason: String
  var reference: String
  /// Gives what is unharmed of an altered recording.
  var withoutAltered: Bool?
}

struct AgentForm: Decodable {
  var matricule: String
  var name: String
  var rank: String
}

struct CameraForm: Decodable {
  var camera: String
  var model: String?
}

struct CameraStateForm: Decodable { var enabled: Bool }

struct CreatedShape: Encodable { var id: String }

struct EnrolledShape: Encodable {
  var camera: String
  var passphrase: String
  var token: String
}

/// A time in a body.
struct APITimeField: Decodable {
  var time: UTCTime

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let time = APITime.parse(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time")
    }
    self.time = time
  }
}
