internal import Doctrine
internal import Journal
internal import Logging
internal import Seams

/// What is known of cameras' clocks. Nothing is re-timed: the offset stands beside the recording.
///
/// Nothing here waits for the register or holds it up: what is not written yet is one value a camera and one a recording, and
/// the loop that follows the database writes them together.
// MET-3.
extension Keeper {
  /// A camera tells at most once in this time: its clock does not change faster.
  static let tellingPause_s: Int64 = 5
  /// Written this long ago, or further off than this from what was written, a camera's clock is written again.
  private static let writtenAgain_s: Int64 = 60
  private static let sameOffset_ms: UInt64 = 50
  /// Rows of one statement at the most.
  private static let rowsAtOnce = 1000

  /// Clocks on their way into the register.
  struct ClockState {
    /// When each camera last told.
    var told: [CameraID: MonotonicTime] = [:]
    /// What the register has.
    var written: [CameraID: CameraClock] = [:]
    /// Cameras whose clock in memory is to be written.
    var dirty: Set<CameraID> = []
    /// What is to be written of recordings; bounded as ``maximumPending``.
    var recordings: [RecordingID: RecordingClock] = [:]
  }

  // MARK: Told by the device API

  func deviceClock(_ camera: CameraEntry, _ told: UTCTime) async throws -> ConsoleReply {
    if case .refused(let refusal) = may(Actor(.device), .tellClock, try object(in: camera.service), at: clock()) {
      throw Problem(refusal)
    }
    let now = clock()
    let (offset_us, overflow) = told.microseconds.subtractingReportingOverflow(now.microseconds)
    let reading = ClockReading(source: .device, offset_ms: offset_us / 1000)
    guard !overflow, reading.isPossible else {
      throw Problem.badRequest("« now » n'est pas une heure possible. (Not a possible time.)")
    }
    let monotonicNow = monotonic()
    if let last = clocks.told[camera.id], monotonicNow < last.adding(seconds: Self.tellingPause_s) {
      throw Problem(
        429, "told-too-often", "Trop souvent (Too often)",
        "Cette caméra vient de dire son heure : une fois toutes les \(Self.tellingPause_s) secondes au plus. (Once in \(Self.tellingPause_s) seconds at the most.)"
      )
    }
    clocks.told[camera.id] = monotonicNow
    if let incident = active.values.first(where: { $0.entry.camera == camera.id && $0.closing == nil }) {
      try await keep(reading, of: incident)
    }
    let clock = CameraClock(offset_ms: reading.offset_ms, toldAt: now)
    cameras[camera.id]?.clock = clock
    // Against what is in the register, not what was told last: small steps add up.
    let isSame =
      clocks.written[camera.id].map {
        ($0.offset_ms - clock.offset_ms).magnitude <= Self.sameOffset_ms
          && now < $0.toldAt.adding(seconds: Self.writtenAgain_s)
      } ?? false
    if !isSame { clocks.dirty.insert(camera.id) }
    return .done
  }

  /// The first that is told in a recording is its own; beyond the bound it is flagged, whenever that is.
  private func keep(_ reading: ClockReading, of incident: ActiveIncident) async throws {
    let known = incident.clock
    guard known == nil || reading.isOff && !(known?.isOff ?? false) else { return }
    let position = try await journal(
      reading, of: incident.entry.recording, camera: incident.entry.camera, incident.entry.service,
      author: "camera:\(incident.entry.camera)")
    let clock = incident.clock?.adding(reading) ?? RecordingClock(reading)
    incident.clock = clock
    keep(clock, of: incident.entry.recording, position)
  }

  private func keep(_ clock: RecordingClock, of recording: RecordingID, _ position: UInt64) {
    guard clocks.recordings[recording] != nil || clocks.recordings.count < Self.maximumPending else {
      return leaveToJournal(position)
    }
    clocks.recordings[recording] = clock
  }

  private func journal(
    _ reading: ClockReading, of recording: RecordingID, camera: CameraID?, _ service: ServiceID, author: String
  ) async throws -> UInt64 {
    try await scribe.write(
      .collection, "recording.clock", author: author, service: service,
      [
        "recording": .string(recording.rawValue), "camera": camera.map { .string($0.rawValue) } ?? .null,
      ].merging(Self.facts(of: RecordingClock(reading))) { $1 })
  }

  // MARK: Known at the start

  /// What was told before a recording began, and stands for it.
  func clock(of incident: IncidentEntry) -> RecordingClock? {
    guard let clock = cameras[incident.camera]?.clock, clock.stands(at: incident.openedAt) else { return nil }
    return RecordingClock(ClockReading(source: .device, offset_ms: clock.offset_ms))
  }

  static func facts(of clock: RecordingClock?) -> [String: CanonicalJSON] {
    guard let clock else { return [:] }
    return [
      "clock_offset_ms": .integer(clock.offset_ms), "clock_off": .bool(clock.isOff),
      "clock_source": .string(clock.source.rawValue),
    ]
  }

  // MARK: Observed in the stream

  /// What the beginning of a closed recording shows; journalled beside what the device told, which it does not replace.
  func observed(_ reading: ClockReading, in recording: RecordingID, _ facts: RecordingFacts) async throws {
    guard reading.isPossible else {
      logger.notice("a stream's time is none", metadata: ["recording": "\(recording)"])
      return
    }
    _ = try await journal(reading, of: recording, camera: facts.camera, facts.service, author: "console")
    try await store.setClocks([recording: RecordingClock(reading)])
  }

  // MARK: Into the register

  /// Takes over cameras as the register has them; a clock that was told since stays, and is written.
  func take(_ found: [CameraEntry]) {
    let before = cameras
    cameras = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0) })
    clocks.written = cameras.compactMapValues(\.clock)
    for (id, camera) in cameras {
      guard let known = before[id]?.clock, camera.clock.map({ $0.toldAt < known.toldAt }) ?? true else { continue }
      cameras[id]?.clock = known
      clocks.dirty.insert(id)
    }
  }

  /// Writes what was told since the last time.
  func keepClocks() async {
    guard !isDatabaseAway, !isDatabaseUnopened else { return }
    var cameraClocks: [CameraID: CameraClock] = [:]
    for id in clocks.dirty { cameraClocks[id] = cameras[id]?.clock }
    clocks.dirty = []
    do {
      let store = self.store
      for some in cameraClocks.chunks(of: Self.rowsAtOnce) {
        try await put(some) { try await store.setClocks($0) }
        for (id, clock) in some {
          clocks.written[id] = clock
          cameraClocks[id] = nil
        }
      }
      // A recording that the ingest's news have yet to open brings its clock along itself.
      guard ingestDone == ingestNoted else { return }
      for some in clocks.recordings.chunks(of: Self.rowsAtOnce) {
        try await put(some) { try await store.setClocks($0) }
        for (recording, clock) in some where clocks.recordings[recording] == clock {
          clocks.recordings[recording] = nil
        }
      }
    } catch {
      clocks.dirty.formUnion(cameraClocks.keys)
      setDatabaseAway(true)
      logger.warning("cameras' clocks wait", metadata: ["count": "\(clocks.dirty.count)", "error": "\(error)"])
    }
  }

  /// Writes rows together, or one by one where one of them can never be taken, which is dropped.
  ///
  /// - Throws: where the database is away.
  private func put<Key, Value>(
    _ rows: [Key: Value], _ write: @Sendable ([Key: Value]) async throws -> Void
  ) async throws where Key: Sendable, Value: Sendable {
    do { try await write(rows) } catch  where !store.isTransient(error) {
      guard rows.count > 1 else {
        logger.error("a clock was not taken", metadata: ["error": "\(error)"])
        return
      }
      for (key, value) in rows { try await put([key: value], write) }
    }
  }
}

extension Dictionary {
  fileprivate func chunks(of size: Int) -> [[Key: Value]] {
    let all = Array(self)
    return stride(from: 0, to: all.count, by: size).map {
      Dictionary(uniqueKeysWithValues: all[$0..<Swift.min($0 + size, all.count)].map { ($0.key, $0.value) })
    }
  }
}
