internal import Doctrine
internal import Foundation
internal import Journal
internal import Logging
internal import Seams

/// How cameras' links do: the newest in memory, a row a minute in the register, an alarm where somebody has to act.
///
/// Operational data: what cannot be kept is dropped and counted, and holds nothing else up.
extension Keeper {
  /// What is known of one camera's link.
  struct LinkState {
    /// About a minute's reports, oldest first. While nothing comes they are one, which grows.
    var reports: [LinkHealth] = []
    var total = LinkTotals()
    /// As of the newest report.
    var diagnoses: [LinkDiagnosis] = []
    /// What of it is an alarm: one of a code, from when it began.
    var alarms: [CameraAlarm] = []
    /// When it joined, or was told of last; nil once it left.
    var heardAt: UTCTime?

    var isStorming: Bool { diagnoses.contains { $0.code == .storm } }

    /// What stands only for the connection that it was seen on; the rest is about the last minute.
    private static let momentary: Set<LinkDiagnosis.Code> = [.storm, .notTransportStream, .silent, .lag, .latency]

    /// The connection is over, or another began.
    mutating func connectionEnded() {
      heardAt = nil
      alarms = []
      diagnoses.removeAll { Self.momentary.contains($0.code) }
    }

    mutating func append(_ report: LinkHealth) {
      // Another recording, or a hole: what was before says nothing of now.
      if let last = reports.last,
        last.recording != report.recording || last.to.adding(seconds: Keeper.connected_s) < report.from
      {
        reports = []
      }
      if report.packets == 0, report.connections == 0, var last = reports.last, last.packets == 0 {
        last.add(report)
        reports[reports.count - 1] = last
      } else {
        reports = (reports + [report]).suffix(Keeper.reportsRemembered)
      }
      reports.removeAll { $0.to.adding(seconds: Keeper.remembered_s) <= report.to }
    }
  }

  /// Which row a report is added to.
  struct LinkMinuteKey: Hashable {
    var camera: CameraID
    var recording: RecordingID
    var minute: UTCTime
  }

  /// Reports that a diagnosis looks at: one comes every ten seconds.
  static let reportsRemembered = 6
  static let remembered_s: Int64 = 60
  /// A camera that joined and that nothing was told of for this long is not connected, whatever was said: three reports.
  static let connected_s: Int64 = 30
  /// Minutes in memory at the most: ten of two thousand cameras, some megabytes.
  static let maximumMinutes = 20_000
  /// A minute is written when it has been over for this long: its last report has come.
  static let minuteGrace_s: Int64 = 20
  /// Told about a time further from now than this, a report is not kept: the clock was wrong, or it is ages old.
  private static let plausible_s: Int64 = 86_400
  /// Rows of one answer.
  static let maximumMinutesRead = 1500

  // MARK: Taking

  func took(_ list: [LinkHealth]) {
    let now = clock()
    var alarmed = false
    for var told in list.map(\.bounded) {
      guard let camera = cameras[told.camera], Self.isID(told.recording.rawValue),
        (now.seconds - told.from.seconds).magnitude <= UInt64(Self.plausible_s),
        (now.seconds - told.to.seconds).magnitude <= UInt64(Self.plausible_s)
      else { continue }
      told.clockOffset_ms = standingClock(of: camera, at: told.to)?.offset_ms
      keep(told)
      var state = links[camera.id] ?? LinkState()
      state.total.add(told)
      linkFigures.total.add(told)
      if let trip_ms = told.roundTrip_ms {
        linkFigures.roundTrip_ms.add(trip_ms, bounds: LinkFigures.roundTripBounds_ms)
      }
      if let lag_ms = told.lag_ms { linkFigures.lag_ms.add(Double(lag_ms), bounds: LinkFigures.lagBounds_ms) }
      // What comes late, after an absence of the keeper, does not stand for now.
      if state.reports.last.map({ $0.to <= told.to }) ?? true {
        let wasStorming = state.isStorming
        state.append(told)
        if let heardAt = state.heardAt { state.heardAt = max(heardAt, min(now, told.to)) }
        state.diagnoses = LinkDiagnosis.all(state.reports, clock: standingClock(of: camera, at: now))
        if state.isStorming, !wasStorming {
          linkFigures.storms += 1
          logger.warning("retransmission storm: a link is too small for what its camera sends")
        }
        alarmed = alarm(camera, &state, at: min(now, told.to)) || alarmed
      }
      links[camera.id] = state
    }
    if alarmed { publishWall() }
  }

  /// Brings a camera's alarms to what is diagnosed; returns whether one came or went.
  private func alarm(_ camera: CameraEntry, _ state: inout LinkState, at time: UTCTime) -> Bool {
    let before = state.alarms
    state.alarms = state.diagnoses.filter { $0.severity == .alarm }.map { diagnosis in
      let code = diagnosis.code.rawValue
      return CameraAlarm(
        camera: camera.id, service: camera.service, at: before.first { $0.code == code }?.at ?? time, code: code,
        sentence: diagnosis.sentence, canIssue: false)
    }
    return Set(state.alarms.map(\.code)) != Set(before.map(\.code))
  }

  /// Alarms of connected cameras' links, the oldest first and of each service so many. They stand beside the refusals and
  /// take no place of theirs.
  func linkAlarms() -> [CameraAlarm] {
    let connected = connectedCameras()
    var counts: [ServiceID: Int] = [:]
    return links.filter { connected.contains($0.key) }.flatMap(\.value.alarms)
      .sorted { ($0.at, $0.camera.rawValue, $0.code) < ($1.at, $1.camera.rawValue, $1.code) }
      .filter { alarm in
        counts[alarm.service, default: 0] += 1
        return counts[alarm.service, default: 0] <= Self.maximumAlarms
      }
  }

  /// What a camera told of its clock, where that still says something.
  private func standingClock(of camera: CameraEntry, at time: UTCTime) -> CameraClock? {
    camera.clock.flatMap { $0.stands(at: time) ? $0 : nil }
  }

  // MARK: Joining and leaving

  func linkJoined(_ camera: CameraID, _ recording: RecordingID, at time: UTCTime) {
    var state = links[camera] ?? LinkState()
    state.connectionEnded()
    if let last = state.reports.last,
      last.recording != recording || last.to.adding(seconds: Self.connected_s) < time
    {
      state.reports = []
      state.diagnoses = []
    }
    state.heardAt = min(clock(), time)
    links[camera] = state
  }

  func linkLeft(_ camera: CameraID) { links[camera]?.connectionEnded() }

  /// What the ingest says when it comes back: who is connected now.
  func linksStand(_ recordings: [RecordingID]) {
    let recordings = Set(recordings)
    for incident in active.values {
      let (camera, isNow) = (incident.entry.camera, recordings.contains(incident.entry.recording))
      if isNow, incident.streaming, links[camera]?.heardAt != nil {
        links[camera]?.heardAt = clock()
      } else if isNow {
        linkJoined(camera, incident.entry.recording, at: clock())
      } else if incident.streaming {
        linkLeft(camera)
      }
      incident.streaming = isNow
    }
  }

  private func keep(_ told: LinkHealth) {
    keep(told, as: LinkMinuteKey(camera: told.camera, recording: told.recording, minute: told.minute))
  }

  private func keep(_ told: LinkHealth, as key: LinkMinuteKey) {
    guard linkMinutes[key] == nil else {
      linkMinutes[key]?.add(told)
      return
    }
    guard linkMinutes.count < Self.maximumMinutes else {
      linkFigures.minutesDropped += 1
      return
    }
    linkMinutes[key] = told
  }

  // MARK: Keeping

  /// Writes the minutes that are over, where the register has what they hang on.
  func keepLinkMinutes() async {
    guard !isDatabaseAway, !isDatabaseUnopened, ingestDone == ingestNoted else { return }
    let now = clock()
    let due = linkMinutes.filter { $0.key.minute.adding(seconds: 60 + Self.minuteGrace_s) <= now }
    guard !due.isEmpty else { return }
    for key in due.keys { linkMinutes[key] = nil }
    do {
      try await store.insert(due.map { minute($0.key, $0.value) })
    } catch  where store.isTransient(error) {
      logger.warning("link health waits for the database", metadata: ["minutes": "\(due.count)"])
      // Written or not: a row does not take the same report twice.
      for (key, health) in due { keep(health, as: key) }
    } catch {
      linkFigures.minutesDropped += Int64(due.count)
      logger.error("link health was not kept", metadata: ["minutes": "\(due.count)", "error": "\(error)"])
    }
  }

  private func minute(_ key: LinkMinuteKey, _ health: LinkHealth) -> LinkMinute {
    LinkMinute(day: calendar.day(of: key.minute), start: key.minute, health: health)
  }

  /// Thirty days, this one included; what goes with its recording before is the erasure's.
  func dropOldLinkHealth(on today: LocalDate) async throws {
    let dropped = try await store.dropLinkHealth(before: today.adding(days: 1 - LinkHealth.kept_days))
    if dropped > 0 { logger.info("link health of days dropped", metadata: ["days": "\(dropped)"]) }
  }

  // MARK: Telling

  /// From the join to the leave, and no longer than the ingest tells of them.
  private func connectedCameras() -> Set<CameraID> {
    let now = clock()
    return Set(
      active.values.lazy.filter(\.streaming).map(\.entry.camera).filter { camera in
        self.links[camera]?.heardAt.map { $0.adding(seconds: Self.connected_s) >= now } ?? false
      })
  }

  /// The cameras of the services in which somebody may see how links do.
  func cameraLinks(_ person: Person) async throws -> ConsoleReply {
    let services = Set(try await granted(person, .readLinks))
    let connected = connectedCameras()
    let found = cameras.values.filter { services.contains($0.service) }.map { camera -> CameraLink in
      let service = self.services[camera.service]
      let state = links[camera.id] ?? LinkState()
      let isConnected = connected.contains(camera.id)
      return CameraLink(
        camera: camera.id, service: camera.service, serviceName: service?.name ?? "?", model: camera.model,
        enabled: camera.enabled, isIssued: camera.issuedTo != nil, reception: reception(of: camera),
        clock: camera.clock, isConnected: isConnected,
        // What was is the recording's, and goes with it.
        health: isConnected ? Self.sum(state.reports) : nil,
        diagnoses: isConnected ? state.diagnoses : [])
    }
    return .cameras(found.sorted { $0.camera.rawValue < $1.camera.rawValue })
  }

  /// Minutes of one camera, those in memory too.
  func linkMinutes(_ person: Person, _ id: CameraID, from: UTCTime, to: UTCTime) async throws -> ConsoleReply {
    guard let camera = cameras[id] else { throw Problem.notFound("La caméra") }
    try await allow(person, .readLinks, try object(in: camera.service), ["camera": .string(id.rawValue)])
    guard from < to else {
      throw Problem.badRequest("« from » est avant « to ». (from is before to.)")
    }
    // Nothing older is kept: whatever is asked, few partitions are looked at.
    let oldest = calendar.start(of: calendar.day(of: clock()).adding(days: -LinkHealth.kept_days))
    let newest = clock().adding(seconds: Self.plausible_s)
    let from = min(max(from, oldest), newest)
    let to = min(max(to, from), newest)
    try await journalRead("links.read", person, [camera.service], ["camera": .string(id.rawValue)])
    let stored = try await store.linkMinutes(
      of: id, days: calendar.day(of: from)...calendar.day(of: to), from: from, to: to,
      limit: Self.maximumMinutesRead + 1)
    var all = Dictionary(
      stored.map { (LinkMinuteKey(camera: id, recording: $0.health.recording, minute: $0.start), $0.health) },
      uniquingKeysWith: { first, _ in first })
    for (key, health) in linkMinutes where key.camera == id && (from..<to).contains(key.minute) {
      if all[key] == nil { all[key] = health } else { all[key]?.add(health) }
    }
    let sorted = all.map { minute($0.key, $0.value) }.sorted {
      ($0.start, $0.health.recording.rawValue) < ($1.start, $1.health.recording.rawValue)
    }
    guard sorted.count > Self.maximumMinutesRead else { return .linkMinutes(sorted, next: nil) }
    // A minute of two recordings is not cut in two.
    let next = sorted[Self.maximumMinutesRead].start
    return .linkMinutes(sorted.filter { $0.start < next }, next: next)
  }

  private static func sum(_ reports: [LinkHealth]) -> LinkHealth? {
    guard var sum = reports.first else { return nil }
    for report in reports.dropFirst() { sum.add(report) }
    sum.lag_ms = reports.last?.lag_ms
    return sum
  }

  func currentLinkFigures() -> LinkFigures {
    var figures = linkFigures
    for camera in connectedCameras() {
      figures.connected += 1
      for diagnosis in links[camera]?.diagnoses ?? [] { figures.diagnosed[diagnosis.code, default: 0] += 1 }
    }
    return figures
  }

  func cameraFigures() -> [CameraFigures] {
    let (connected, now) = (connectedCameras(), clock())
    return links.compactMap { id, state in
      cameras[id].map { camera in
        let isConnected = connected.contains(id)
        return CameraFigures(
          camera: id, isConnected: isConnected, newest: isConnected ? state.reports.last : nil, total: state.total,
          clock: standingClock(of: camera, at: now), isStorming: isConnected && state.isStorming)
      }
    }.sorted { $0.camera.rawValue < $1.camera.rawValue }
  }

  // MARK: Reception

  func reception(of camera: CameraEntry) -> ReceptionSettings {
    ReceptionSettings(
      delivery: camera.delivery, maximumRate_kbps: camera.maximumRate_kbps,
      relayBudget_ms: services[camera.service]?.relayBudget_ms ?? ReceptionSettings.relayBudget_ms)
  }

  /// What is not given stays. The ingest is told at once: it holds from the camera's next connection on.
  func setReception(
    of id: CameraID, _ delivery: Delivery?, _ maximumRate_kbps: Int?, by author: String,
    _ who: [String: CanonicalJSON]
  ) async throws {
    guard let known = cameras[id] else { throw Problem.notFound("La caméra") }
    let delivery = delivery ?? known.delivery
    let rate_kbps = maximumRate_kbps ?? known.maximumRate_kbps
    guard ReceptionSettings.rates_kbps.contains(rate_kbps),
      delivery.window_ms.map(Delivery.windows_ms.contains) ?? true
    else {
      throw Problem.badRequest(
        "Le débit est de \(ReceptionSettings.rates_kbps.lowerBound) à \(ReceptionSettings.rates_kbps.upperBound) kbit/s, la fenêtre de \(Delivery.windows_ms.lowerBound) à \(Delivery.windows_ms.upperBound) ms. (Rate or window out of range.)"
      )
    }
    try await scribe.write(
      .modification, "camera.reception-set", author: author, service: known.service,
      who.merging([
        "camera": .string(id.rawValue), "delivery": .string(delivery.name),
        "window_ms": delivery.window_ms.map { .integer(Int64($0)) } ?? .null,
        "maximum_rate_kbps": .integer(Int64(rate_kbps)),
      ]) { $1 })
    try await store.setReception(of: id, delivery, maximumRate_kbps: rate_kbps)
    cameras[id]?.delivery = delivery
    cameras[id]?.maximumRate_kbps = rate_kbps
    if let updated = cameras[id] { publish(updated) }
  }

  func setRelayBudget(
    of service: ServiceEntry, _ budget_ms: Int, by author: String, _ who: [String: CanonicalJSON]
  ) async throws {
    guard ReceptionSettings.relayBudgets_ms.contains(budget_ms) else {
      throw Problem.badRequest(
        ReceptionSettings.relayBudgetSentence
      )
    }
    try await scribe.write(
      .modification, "service.relay-set", author: author, service: service.id,
      who.merging(["budget_ms": .integer(Int64(budget_ms))]) { $1 })
    try await store.setRelayBudget(of: service.id, budget_ms)
    services[service.id]?.relayBudget_ms = budget_ms
    for camera in cameras.values where camera.service == service.id { publish(camera) }
  }
}
