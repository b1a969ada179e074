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
    /// About a minute's reports, oldest first.
    var reports: [LinkHealth] = []
    var total = LinkTotals()
    var diagnoses: [LinkDiagnosis] = []

    var isStorming: Bool { diagnoses.contains { $0.code == .storm } }
  }

  /// Which row a report is added to.
  struct LinkMinuteKey: Hashable {
    var camera: CameraID
    var recording: RecordingID
    var minute: UTCTime
  }

  /// Reports that a diagnosis looks at: one comes every ten seconds.
  static let reportsRemembered = 6
  /// A camera that nothing was told of for this long is not connected: three reports.
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
    for told in list.map(\.bounded) {
      guard let camera = cameras[told.camera], Self.isID(told.recording.rawValue),
        (now.seconds - told.from.seconds).magnitude <= UInt64(Self.plausible_s),
        (now.seconds - told.to.seconds).magnitude <= UInt64(Self.plausible_s)
      else { continue }
      keep(told)
      var state = links[camera.id] ?? LinkState()
      state.total.add(told)
      linkFigures.total.add(told)
      linkFigures.roundTrip_ms.add(told.roundTrip_ms, bounds: LinkFigures.roundTripBounds_ms)
      if let lag_ms = told.lag_ms { linkFigures.lag_ms.add(Double(lag_ms), bounds: LinkFigures.lagBounds_ms) }
      // What comes late, after an absence of the keeper, does not stand for now.
      if state.reports.last.map({ $0.to <= told.to }) ?? true {
        let wasStorming = state.isStorming
        // Another recording, or a hole: what was before says nothing of now.
        if let last = state.reports.last,
          last.recording != told.recording || last.to.adding(seconds: Self.connected_s) < told.from
        {
          state.reports = []
        }
        state.reports = Array((state.reports + [told]).suffix(Self.reportsRemembered))
        state.diagnoses = LinkDiagnosis.all(state.reports, clock: camera.clock)
        if state.isStorming, !wasStorming {
          linkFigures.storms += 1
          logger.warning("retransmission storm: a link is too small for what its camera sends")
        }
        alarmed = alarm(camera, state, at: min(now, told.to)) || alarmed
      }
      links[camera.id] = state
    }
    if alarmed { publishWall() }
  }

  /// Brings the wall's alarms to what is diagnosed; returns whether that changed one.
  private func alarm(_ camera: CameraEntry, _ state: LinkState, at time: UTCTime) -> Bool {
    let wanted = state.diagnoses.filter { $0.severity == .alarm }
    let codes = Set(LinkDiagnosis.Code.allCases.map(\.rawValue))
    let before = Set(alarms.filter { $0.camera == camera.id && codes.contains($0.code) }.map(\.code))
    guard !wanted.isEmpty || !before.isEmpty else { return false }
    alarms.removeAll { $0.camera == camera.id && codes.contains($0.code) }
    for diagnosis in wanted {
      alarms.append(
        CameraAlarm(
          camera: camera.id, service: camera.service, at: time, code: diagnosis.code.rawValue,
          sentence: diagnosis.sentence, canIssue: false))
      if alarms.count > Self.maximumAlarms { alarms.removeFirst() }
    }
    return Set(wanted.map(\.code.rawValue)) != before
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

  private func isConnected(_ state: LinkState) -> Bool {
    state.reports.last.map { $0.to.adding(seconds: Self.connected_s) >= clock() } ?? false
  }

  /// The cameras of the services in which somebody may see how links do.
  func cameraLinks(_ person: Person) async throws -> ConsoleReply {
    let services = Set(try await granted(person, .readLinks))
    let found = cameras.values.filter { services.contains($0.service) }.map { camera -> CameraLink in
      let service = self.services[camera.service]
      let state = links[camera.id] ?? LinkState()
      let isConnected = isConnected(state)
      return CameraLink(
        camera: camera.id, service: camera.service, serviceName: service?.name ?? "?", model: camera.model,
        enabled: camera.enabled, isIssued: camera.issuedTo != nil, reception: reception(of: camera),
        clock: camera.clock, isConnected: isConnected,
        // What was is the recording's, and goes with it.
        health: isConnected ? Self.sum(state.reports) : nil,
        diagnoses: isConnected ? LinkDiagnosis.all(state.reports, clock: camera.clock) : [])
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
    for state in links.values where isConnected(state) {
      figures.connected += 1
      for diagnosis in state.diagnoses { figures.diagnosed[diagnosis.code, default: 0] += 1 }
    }
    return figures
  }

  func cameraFigures() -> [CameraFigures] {
    links.compactMap { id, state in
      state.reports.last.map { newest in
        CameraFigures(
          camera: id, isConnected: isConnected(state), newest: newest, total: state.total, clock: cameras[id]?.clock,
          isStorming: isConnected(state) && state.isStorming)
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
        "L'attente du direct est de \(ReceptionSettings.relayBudgets_ms.lowerBound) à \(ReceptionSettings.relayBudgets_ms.upperBound) ms. (Budget out of range.)"
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
