internal import Doctrine
internal import Seams

struct DiagnosisShape: Encodable {
  var code: String
  /// notice, warning, alarm
  var severity: String
  var sentence: String

  init(_ diagnosis: LinkDiagnosis) {
    code = diagnosis.code.rawValue
    severity = diagnosis.severity.name
    sentence = diagnosis.sentence
  }
}

struct LinkShape: Encodable {
  var from: String
  var to: String
  var measured_ms: Int64
  var recording: String
  var connections: Int
  var packets: Int64
  var bytes: Int64
  var rate_kbps: Int64
  var lost: Int64
  var retransmitted: Int64
  var duplicates: Int64
  var missing: Int64
  /// Left out where the transport was never asked.
  var roundTrip_ms: Double?
  var senderLatency_ms: Int
  var delivery: String
  var window_ms: Int?
  var lag_ms: Int64?
  var drift_ppm: Double?
  var clockRestarts: Int64
  var discontinuities: Int64
  var foreign: Int64
  /// How far the camera's own clock was ahead, as it had told; left out where nothing stands.
  var clockOffset_ms: Int64?

  init(_ health: LinkHealth) {
    from = APITime.text(health.from)
    to = APITime.text(health.to)
    measured_ms = health.measured_ms
    recording = health.recording.rawValue
    connections = health.connections
    packets = health.packets
    bytes = health.bytes
    rate_kbps = health.rate_kbps
    lost = health.lost
    retransmitted = health.retransmitted
    duplicates = health.duplicates
    missing = health.missing
    roundTrip_ms = health.roundTrip_ms
    senderLatency_ms = health.senderLatency_ms
    delivery = health.delivery.name
    window_ms = health.delivery.window_ms
    lag_ms = health.lag_ms
    drift_ppm = health.drift_ppm
    clockRestarts = health.clockRestarts
    discontinuities = health.discontinuities
    foreign = health.foreign
    clockOffset_ms = health.clockOffset_ms
  }
}

struct CameraShape: Encodable {
  struct Clock: Encodable {
    var offset_ms: Int64
    var toldAt: String
    /// Beyond the bound: recordings are flagged (MET-3).
    var off: Bool
  }

  var camera: String
  var service: String
  var serviceName: String
  var model: String
  var enabled: Bool
  var issued: Bool
  var delivery: String
  var window_ms: Int?
  var maximumRate_kbps: Int
  var relayBudget_ms: Int
  /// Left out where it never told.
  var clock: Clock?
  var connected: Bool
  /// About its last minute of connection; left out while it is not connected.
  var link: LinkShape?
  /// Worst first.
  var diagnoses: [DiagnosisShape]
  /// The worst of them, or that nothing is wrong, that nothing was measured yet, or that it is not connected.
  var sentence: String

  init(_ camera: CameraLink) {
    self.camera = camera.camera.rawValue
    service = camera.service.rawValue
    serviceName = camera.serviceName
    model = camera.model
    enabled = camera.enabled
    issued = camera.isIssued
    delivery = camera.reception.delivery.name
    window_ms = camera.reception.delivery.window_ms
    maximumRate_kbps = camera.reception.maximumRate_kbps
    relayBudget_ms = camera.reception.relayBudget_ms
    clock = camera.clock.map {
      Clock(offset_ms: $0.offset_ms, toldAt: APITime.text($0.toldAt), off: $0.isOff)
    }
    connected = camera.isConnected
    link = camera.health.map(LinkShape.init)
    diagnoses = camera.diagnoses.map(DiagnosisShape.init)
    sentence =
      if !camera.isConnected {
        "Non connectée. (Not connected.)"
      } else if let worst = camera.diagnoses.first {
        worst.sentence
      } else if camera.health == nil {
        "Connectée ; premières mesures dans dix secondes. (Connected; first figures within ten seconds.)"
      } else {
        LinkDiagnosis.good
      }
  }
}

/// A camera's minutes, each with what was wrong in it.
struct LinkMinutesShape: Encodable {
  struct Minute: Encodable {
    var minute: String
    var link: LinkShape
    var diagnoses: [DiagnosisShape]
  }

  var minutes: [Minute]
  /// Give as `from` for what follows.
  var next: String?

  init(_ minutes: [LinkMinute], next: UTCTime?) {
    var before: LinkMinute?
    self.minutes = minutes.map { minute in
      defer { before = minute }
      // Of the minute before only its lag, where it was the one before: what grows is seen by it.
      let lagBefore_ms = before.flatMap { earlier in
        earlier.health.recording == minute.health.recording && earlier.start.adding(seconds: 60) == minute.start
          ? earlier.health.lag_ms : nil
      }
      let clock = minute.health.clockOffset_ms.map { CameraClock(offset_ms: $0, toldAt: minute.start) }
      return Minute(
        minute: APITime.text(minute.start), link: LinkShape(minute.health),
        diagnoses: LinkDiagnosis.all([minute.health], lagBefore_ms: lagBefore_ms, clock: clock).map(DiagnosisShape.init)
      )
    }
    self.next = next.map(APITime.text)
  }
}
