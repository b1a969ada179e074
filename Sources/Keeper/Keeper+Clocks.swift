internal import Doctrine
internal import Journal
internal import Seams

/// What cameras tell of their own clocks. Nothing is re-timed: the offset stands beside the recording.
// MET-3.
extension Keeper {
  /// Told again within this time, and no further off than this, the register is left alone.
  private static let toldAgain_s: Int64 = 60
  private static let sameOffset_ms: UInt64 = 50

  /// A recording's clock, as far as it is known and journalled.
  struct RecordingClock: Equatable {
    var offset_ms: Int64
    var isOff: Bool
  }

  func deviceClock(_ camera: CameraEntry, _ told: UTCTime) async throws -> ConsoleReply {
    if case .refused(let refusal) = may(Actor(.device), .tellClock, try object(in: camera.service), at: clock()) {
      throw Problem(refusal)
    }
    let now = clock()
    let (offset_us, overflow) = told.microseconds.subtractingReportingOverflow(now.microseconds)
    guard !overflow else { throw Problem.badRequest("« now » n'est pas une heure possible. (Not a possible time.)") }
    let clock = CameraClock(offset_ms: offset_us / 1000, toldAt: now)
    let before = cameras[camera.id]?.clock
    if let incident = active.values.first(where: { $0.entry.camera == camera.id && $0.closing == nil }) {
      try await keep(clock, of: incident)
    }
    cameras[camera.id]?.clock = clock
    let isSame =
      before.map {
        ($0.offset_ms - clock.offset_ms).magnitude <= Self.sameOffset_ms
          && now < $0.toldAt.adding(seconds: Self.toldAgain_s)
      } ?? false
    if !isSame {
      let store = self.store
      try await follow("camera's clock") { try await store.setClock(of: camera.id, clock) }
    }
    return .done
  }

  /// The first that is told in a recording is its own; beyond the bound it is flagged, whenever that is.
  private func keep(_ clock: CameraClock, of incident: ActiveIncident) async throws {
    let known = incident.clock
    guard known == nil || clock.isOff && !(known?.isOff ?? false) else { return }
    try await scribe.write(
      .collection, "recording.clock", author: "camera:\(incident.entry.camera)", service: incident.entry.service,
      [
        "recording": .string(incident.entry.recording.rawValue), "camera": .string(incident.entry.camera.rawValue),
        "clock_offset_ms": .integer(clock.offset_ms), "clock_off": .bool(clock.isOff),
      ])
    incident.clock = RecordingClock(offset_ms: known?.offset_ms ?? clock.offset_ms, isOff: clock.isOff)
    let (store, recording) = (self.store, incident.entry.recording)
    try await follow("recording's clock") {
      try await store.setClock(of: recording, offset_ms: clock.offset_ms, isOff: clock.isOff)
    }
  }

  /// What was told before a recording began, and stands for it.
  func clock(of incident: IncidentEntry) -> RecordingClock? {
    guard let clock = cameras[incident.camera]?.clock, clock.stands(at: incident.openedAt) else { return nil }
    return RecordingClock(offset_ms: clock.offset_ms, isOff: clock.isOff)
  }

  static func facts(of clock: RecordingClock?) -> [String: CanonicalJSON] {
    guard let clock else { return [:] }
    return ["clock_offset_ms": .integer(clock.offset_ms), "clock_off": .bool(clock.isOff)]
  }
}
