internal import Doctrine
internal import Foundation
internal import Seams

/// Times leave the API as RFC 3339 in UTC; pages show them in legal time (MET-4).
enum APITime {
  static func text(_ time: UTCTime) -> String {
    Date(timeIntervalSince1970: Double(time.microseconds) / 1_000_000)
      .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }

  /// From 1970 to 9999: what a calendar, a database and a spreadsheet all take.
  private static let years = 0.0..<253_402_300_800.0

  static func parse(_ text: String) -> UTCTime? {
    let styles = [Date.ISO8601FormatStyle(includingFractionalSeconds: true), Date.ISO8601FormatStyle()]
    for style in styles {
      if let date = try? style.parse(text), years.contains(date.timeIntervalSince1970) {
        return UTCTime(microseconds: Int64((date.timeIntervalSince1970 * 1_000_000).rounded()))
      }
    }
    return nil
  }
}

struct SessionShape: Encodable {
  struct Right: Encodable {
    var role: String
    var service: String
    var until: String
  }

  var name: String
  var agent: String
  var csrf: String
  var accreditations: [Right]
  /// Nothing but setting up a second factor is possible before that is done.
  var needsSecondFactor: Bool

  init(_ info: SessionInfo) {
    name = info.name
    agent = info.agentName
    csrf = info.csrf
    needsSecondFactor = info.needsSecondFactor
    accreditations = info.accreditations.map {
      Right(role: $0.role.rawValue, service: $0.service.rawValue, until: APITime.text($0.until))
    }
  }
}

struct ThreatForm: Decodable {
  var ground: ThreatGround
  var reason: String?
}

struct IssueForm: Decodable { var agent: String }

struct ExtractionForm: Decodable {
  var reason: ExtractionReason
  var reference: String
  /// `ts` (the bytes the camera sent) or `mp4` (made from them).
  var form: String
  /// Who is handed it; the one who extracts where nobody is named.
  var recipient: String?
  /// Required where the regime says so (`pn-gn`).
  var requestingAgent: String?
  var requestingService: String?
  /// Gives what is unharmed of an altered recording.
  var withoutAltered: Bool?
}

struct WallShape: Encodable {
  struct Incident: Encodable {
    var incident: String
    var recording: String
    var service: String
    var serviceName: String
    var camera: String
    var agent: String
    var matricule: String
    var reference: String?
    var openedAt: String
    var streaming: Bool
    var threat: String?
    var threatGround: String?
    var watchers: Int
    var overdue: Bool
    /// What the camera sends is not being written now.
    var notRecorded: Bool
  }

  struct Alarm: Encodable {
    var camera: String
    var service: String
    var at: String
    var code: String
    var sentence: String
    var canIssue: Bool
  }

  struct Warning: Encodable {
    var recording: String
    var reference: String
    var term: String
  }

  var ingestConnected: Bool
  var incidents: [Incident]
  var alarms: [Alarm]
  /// Recordings of open procedures that will be erased soon and that nothing holds.
  var warnings: [Warning]
  /// Why nothing is erased, where the sweeper asks.
  var sweeperStopped: String?
  /// What is wrong with the footage's disks, where something is.
  var storage: String?
  /// The database does not answer: incidents, threats and live go on, the rest is refused.
  var databaseAway: Bool

  init(_ wall: WallState) {
    ingestConnected = wall.ingestConnected
    sweeperStopped = wall.sweeperStopped
    storage = wall.storage
    databaseAway = wall.databaseAway
    warnings = wall.warnings.map {
      Warning(recording: $0.recording.rawValue, reference: $0.reference, term: $0.termDay.description)
    }
    incidents = wall.incidents.map { card in
      Incident(
        incident: card.incident.rawValue, recording: card.recording.rawValue, service: card.service.rawValue,
        serviceName: card.serviceName, camera: card.camera.rawValue, agent: card.agent,
        matricule: card.matricule, reference: card.reference, openedAt: APITime.text(card.openedAt),
        streaming: card.streaming, threat: card.threat?.ground.rawValue,
        threatGround: card.threat?.ground.french, watchers: card.watchers, overdue: card.overdue,
        notRecorded: card.notRecorded)
    }
    alarms = wall.alarms.map { alarm in
      Alarm(
        camera: alarm.camera.rawValue, service: alarm.service.rawValue, at: APITime.text(alarm.at),
        code: alarm.code, sentence: alarm.sentence, canIssue: alarm.canIssue)
    }
  }
}

struct AgentShape: Encodable {
  var id: String
  var name: String
  var matricule: String
  var rank: String
}

struct RefusalShape: Encodable {
  var at: String
  var camera: String?
  var peer: String
  var code: String
  var sentence: String
  var proven: Bool
  var count: Int64

  init(_ entry: RefusalEntry) {
    at = APITime.text(entry.at)
    camera = entry.camera
    peer = entry.peer
    code = entry.code
    sentence = entry.sentence
    proven = entry.proven
    count = entry.count
  }
}

struct DeviceStateShape: Encodable {
  struct LinkTest: Encodable {
    var at: String
    var duration_ms: Int64
    var packets: Int64
    var lost: Int
    var roundTrip_ms: Double
    var rate_mbps: Double
  }

  var camera: String
  var recording: Bool
  var incident: String?
  var threat: Bool
  var watchers: Int
  var lastRefusal: String?
  var linkTest: LinkTest?

  init(_ state: DeviceState) {
    camera = state.camera.rawValue
    recording = state.recording
    incident = state.incident?.rawValue
    threat = state.threatOpen
    watchers = state.watchers
    lastRefusal = state.lastRefusal
    linkTest = state.lastLinkTest.map {
      LinkTest(
        at: APITime.text($0.at), duration_ms: $0.duration_ms, packets: $0.packets, lost: $0.lost,
        roundTrip_ms: $0.roundTrip_ms, rate_mbps: $0.rate_mbps)
    }
  }
}

struct CheckShape: Encodable {
  struct Finding: Encodable {
    var recording: String
    var part: String
    var code: String
    var sentence: String
  }

  var checked: Int
  var findings: [Finding]
  var strays: [String]
}
