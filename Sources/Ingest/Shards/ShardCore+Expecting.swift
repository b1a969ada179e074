import Doctrine
import SRT
import Seams

/// A camera whose incident goes on after a stop, and whose part is still being read.
struct ExpectedCamera {
  /// A call that waits: what it sends stays with the transport, and with the camera.
  struct Call {
    var socket: AcceptedSocket
    var attempt: PendingAttempt
    var since: MonotonicTime
  }

  let incident: IncidentID
  let recording: RecordingID
  /// Asked for meanwhile.
  var close: (cause: ClosingCause, by: String?)?
  var isLive = false
  /// The last one; one before it is let go of.
  var call: Call?
}

/// Calls of cameras whose part is not taken up yet: their incident is continued, not opened twice.
extension ShardCore {
  /// How long a call waits: then the camera is told to try again.
  static let expecting_us: Int64 = 10_000_000

  func expect(_ camera: CameraID, _ incident: IncidentID, _ recording: RecordingID) {
    expected[camera] = ExpectedCamera(incident: incident, recording: recording)
  }

  /// Whether a call waits for its camera's part.
  func holds(_ socket: AcceptedSocket, _ attempt: PendingAttempt, at now: MonotonicTime) -> Bool {
    guard !attempt.identifier.isLinkTest, expected[attempt.identifier.camera] != nil else { return false }
    expected[attempt.identifier.camera]?.call = .init(socket: socket, attempt: attempt, since: now)
    return true
  }

  func closeExpected(_ incident: IncidentID, _ cause: ClosingCause, by: String?) {
    for camera in expected.keys where expected[camera]?.incident == incident { expected[camera]?.close = (cause, by) }
  }

  /// - Parameter recording: nil: all.
  func setExpectedLive(_ recording: RecordingID?, _ open: Bool) {
    for camera in expected.keys where recording == nil || expected[camera]?.recording == recording {
      expected[camera]?.isLive = open
    }
  }

  /// The part is taken up, or cannot be: what came meanwhile takes effect.
  func settle(_ camera: CameraID, _ incident: IncidentID, at now: MonotonicTime) {
    guard let known = expected[camera], known.incident == incident else { return }
    expected[camera] = nil
    if let state = cameras[camera], let recording = state.recording, recording.incident == incident {
      if known.isLive { setLive(state, recording, true) }
      if let close = known.close, state.machine.closeRequested(incident, at: now) {
        finish(state, camera, incident, close.cause, by: close.by, at: now)
      }
    }
    if let call = known.call { admit(call.socket, call.attempt) }
  }

  /// Sends cameras away that have waited too long.
  func refuseWaiting(at now: MonotonicTime) {
    for (camera, known) in expected {
      guard let call = known.call, now.since(call.since) >= Self.expecting_us else { continue }
      expected[camera]?.call = nil
      guard let admission = common.table.admission(of: camera) else { continue }
      refuse(
        call.attempt, admission, "being-taken-up",
        "Appel différé : après un arrêt du serveur, l'enregistrement de cette caméra est encore en cours de relecture. Elle sera reçue à un prochain appel."
      )
    }
  }
}
