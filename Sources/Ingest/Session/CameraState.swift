import Doctrine
import Seams

/// An open recording.
final class OpenRecording {
  let incident: IncidentID
  let recording: RecordingID
  let service: ServiceID
  var current: PartGrant
  var upcoming: [PartGrant]
  var facts: [UInt8]
  var machine: RecordingMachine
  var damage: Int64 = 0
  var isLive = false

  init(
    incident: IncidentID, recording: RecordingID, service: ServiceID, current: PartGrant,
    upcoming: [PartGrant], facts: [UInt8], machine: consuming RecordingMachine
  ) {
    self.incident = incident
    self.recording = recording
    self.service = service
    self.current = current
    self.upcoming = upcoming
    self.facts = facts
    self.machine = machine
  }
}

/// A camera that has, or had, an incident since the start. Belongs to one thread, always the same.
final class CameraState {
  var machine: IncidentMachine
  /// The gate: bytes of a camera go on only where there is one. P1, REC-1.
  var recording: OpenRecording?
  var connection: Connection?
  /// Over all its connections: calling again gains nothing.
  var rate: RateBound?

  init(machine: consuming IncidentMachine) { self.machine = machine }

  /// The bound that holds from this connection on; what was used up of the same one stays used up.
  func limit(to maximum_kbps: Int, at now: MonotonicTime) {
    if rate?.maximum_kbps != maximum_kbps { rate = RateBound(maximum_kbps: maximum_kbps, at: now) }
  }
}
