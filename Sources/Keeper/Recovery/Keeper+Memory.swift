internal import Doctrine
internal import Foundation
internal import Journal
internal import Logging
internal import Seams
internal import Vault

/// The keeper's memory on disk, sealed under the master key: a keeper that is restarted while the database is away goes on
/// from it.
///
/// Invariants: (1) what it says is never truer than the database, which replaces it as soon as it answers; (2) it holds no
/// footage key, so that a copy of it brings nothing back (P6); (3) until database and files agree the sweeper is off.
// P5, REC-9.
extension Keeper {
  private static let memoryPurpose = "plastron/keeper/v1/memory"
  private static let maximumMemory_bytes = 64 << 20
  /// The last use of a session is remembered to this, so that a page that is open does not write it at every turn.
  private static let usedTo_s: Int64 = 600

  /// Writes down what is known, where it has changed since the last time.
  func remember() async {
    guard let path = settings.memoryPath, !isDatabaseUnopened else { return }
    let memory = self.memory
    guard memory != remembered else { return }
    let keys = self.keys
    let written = await BlockingWork.run {
      Result {
        let text = try JSONEncoder().encode(memory)
        try Directories.replace(
          path, with: try keys.seal(Array(text), purpose: Self.memoryPurpose, subject: "keeper"), mode: 0o600)
      }
    }
    do {
      try written.get()
      remembered = memory
    } catch {
      logger.warning("the keeper's memory is not on disk", metadata: ["error": "\(error)"])
    }
  }

  /// A camera with its clock as the register has it, while there is one: each telling would write the file anew.
  private func remembered(_ camera: CameraEntry) -> CameraEntry {
    guard !isDatabaseAway, let written = clocks.written[camera.id] else { return camera }
    var camera = camera
    camera.clock = written
    return camera
  }

  private var memory: KeeperMemory {
    KeeperMemory(
      services: services.values.sorted { $0.id.rawValue < $1.id.rawValue },
      cameras: cameras.values.map(remembered).sorted { $0.id.rawValue < $1.id.rawValue },
      incidents: active.values.map { incident in
        KeeperMemory.Incident(
          entry: incident.entry, agent: incident.agent, threat: incident.threat, wasThreatened: incident.wasThreatened,
          closing: incident.closing?.cause, closedBy: incident.closing?.by, attached: incident.attached,
          confirmedUntil: incident.confirmedUntil, lastPart: incident.lastPart, clock: incident.clock)
      }.sorted { $0.entry.id.rawValue < $1.entry.id.rawValue },
      sessions: knownSessions.map { hash, session in
        var account = session.account
        account.passwordHash = ""
        account.secondFactor = nil
        let used_s = session.usedAt.seconds / Self.usedTo_s * Self.usedTo_s
        return KeeperMemory.Session(
          hash: Blob(hash), account: account, isLimited: session.isLimited, until: session.until,
          usedAt: UTCTime(microseconds: used_s * 1_000_000))
      }.sorted { $0.hash.bytes.lexicographicallyPrecedes($1.hash.bytes) })
  }

  /// Takes up what was known before a restart, as the database is away. False where nothing usable is there.
  package func recall() async throws -> Bool {
    guard let path = settings.memoryPath, let sealed = try? Directories.read(path, limit: Self.maximumMemory_bytes),
      let text = try? keys.open(sealed, purpose: Self.memoryPurpose, subject: "keeper"),
      let memory = try? JSONDecoder().decode(KeeperMemory.self, from: Data(text))
    else { return false }
    for service in memory.services { services[service.id] = service }
    for camera in memory.cameras { cameras[camera.id] = camera }
    for known in memory.incidents {
      let incident = ActiveIncident(
        entry: known.entry, agent: known.agent, threat: known.threat, wasThreatened: known.wasThreatened ?? false,
        closing: known.closing.map { ($0, known.closedBy ?? "keeper") }, confirmedUntil: known.confirmedUntil)
      incident.attached = known.attached
      incident.lastPart = known.lastPart
      incident.clock = known.clock
      active[known.entry.id] = incident
    }
    for session in memory.sessions {
      remember(
        session.hash.bytes,
        KnownSession(
          account: session.account, isLimited: session.isLimited, until: session.until, usedAt: session.usedAt))
    }
    isDatabaseUnopened = true
    isDatabaseAway = true
    scribe.hold()
    try await scribe.write(
      .statement, "keeper.started", author: "keeper", service: nil,
      ["node": .string(settings.nodeName), "database": .string("away")])
    logger.critical("the database is away: started from memory; known cameras are recorded, the register follows")
    return true
  }

  /// The database answers for the first time since a start without it.
  func openDatabase() async throws {
    let indexed = try await settings.openStore()
    try await reload()
    if indexed > 0 { try await bringForward(from: indexed) }
    scribe.foundAgain()
    try await reload()
    // What was closed while nobody remembered it.
    for id in try await store.closedIncidents(among: Array(active.keys)) { active[id] = nil }
    for incident in try await activeInStore() {
      guard let known = active[incident.entry.id] else {
        active[incident.entry.id] = incident
        continue
      }
      known.clock = known.clock ?? incident.clock
    }
    try await loadSweeper()
    alteredParts = try await store.alteredParts()
    for (part, _, _) in try await store.openParts() { partService[part.id] = part.service }
    try await endViewings()
    isDatabaseUnopened = false
    grants.removeAll()
    for camera in cameras.values { publish(camera) }
  }

  /// A database came back without its last rows, as after a failover to a standby that was behind.
  func bringForwardAgain() async throws {
    guard let first = try await scribe.lostFrom(store) else { return }
    logger.critical("the database has lost rows: brought forward again", metadata: ["from": "\(first)"])
    // What is remembered is newer than what is there: entries are applied to what is there.
    try await reload()
    try await bringForward(from: first)
    try await reload()
    scribe.foundAgain()
    publishWall()
  }

  /// Services and cameras as the register has them.
  private func reload() async throws {
    let found = (services: try await store.services(), cameras: try await store.cameras())
    services = Dictionary(uniqueKeysWithValues: found.services.map { ($0.id, $0) })
    take(found.cameras)
  }
}
