internal import Doctrine
internal import Journal
internal import Logging
internal import Seams
internal import Vault

/// How far a batch of refused calls is taken: told again, nothing of it happens twice.
struct RefusalsTaken {
  var boot = ""
  var number: UInt64 = 0
  /// Lines that are journalled and alarmed of.
  var noted = 0
  var isUnderWay = false
  /// Lines whose row waits for the database.
  var rows: [RefusalEntry] = []
  var isStoring = false
}

/// Refused calls, in a line of their own.
// STO-6, LOG-3.
extension Keeper {
  /// Rows that wait at the most: fifteen minutes of a storm. What is over it is in the journal, where its camera proved who it
  /// was, and on the wall.
  static let maximumRefusalRows = 5000

  /// - Throws: unavailable, where the journal does not take them: they are told again.
  func take(refusals lines: [RefusalEntry], boot: String, number: UInt64) async throws -> IngestReply {
    guard !refusalsTaken.isUnderWay else { throw Problem.unavailable("le keeper") }
    if refusalsTaken.boot != boot || refusalsTaken.number != number {
      refusalsTaken.boot = boot
      refusalsTaken.number = number
      refusalsTaken.noted = 0
    }
    refusalsTaken.isUnderWay = true
    defer { refusalsTaken.isUnderWay = false }
    while refusalsTaken.noted < lines.count {
      do {
        try await note(lines[refusalsTaken.noted])
      } catch  where error is VaultError {
        logger.warning("refused calls wait for the journal", metadata: ["error": "\(error)"])
        throw Problem.unavailable("le journal")
      } catch {
        logger.error("a refused call was not noted", metadata: ["error": "\(error)"])
      }
      if refusalsTaken.rows.count < Self.maximumRefusalRows {
        refusalsTaken.rows.append(lines[refusalsTaken.noted])
      } else {
        logger.error("a refused call is not in the register: too many wait for the database")
      }
      refusalsTaken.noted += 1
    }
    await keepRefusals()
    return .refusalsTaken
  }

  /// Writes the rows that wait, oldest first.
  func keepRefusals() async {
    guard !refusalsTaken.isStoring else { return }
    refusalsTaken.isStoring = true
    defer { refusalsTaken.isStoring = false }
    while !isDatabaseAway, let line = refusalsTaken.rows.first {
      do {
        try await store.insert(line)
      } catch  where store.isTransient(error) {
        return setDatabaseAway(true)
      } catch {
        logger.error("a refused call is not in the register", metadata: ["error": "\(error)"])
      }
      refusalsTaken.rows.removeFirst()
    }
  }

  /// What a refused call does at once: the device's state, the wall, the journal.
  private func note(_ refusal: RefusalEntry) async throws {
    guard let camera = refusal.camera.flatMap({ cameras[CameraID($0)] }) else { return }
    // What a line gathered for a minute may be older than what was told at once.
    if lastRefusal[camera.id].map({ $0.at <= refusal.at }) ?? true { lastRefusal[camera.id] = refusal }
    guard refusal.code != RefusalEntry.streamEnded else { return }
    alarm(refusal, camera)
    // A camera that proved who it is and was refused; strangers' calls are counted in the register alone.
    guard refusal.proven, let service = refusal.service else { return }
    try await scribe.write(
      .collection, "open-incident.refused", author: "camera:\(camera.id)", service: service,
      [
        "camera": .string(camera.id.rawValue), "code": .string(refusal.code),
        "article": .string(refusal.article ?? services[service]?.regime.articles.recording ?? "CSI L241-1"),
        "result": .string("refused"), "peer": .string(refusal.peer), "at_us": .integer(refusal.at.microseconds),
        "count": .integer(refusal.count),
      ])
  }

  private func alarm(_ refusal: RefusalEntry, _ camera: CameraEntry) {
    // Told late, of before the camera was let in: it alarms nobody any more.
    if active.values.contains(where: { $0.entry.camera == camera.id && $0.entry.openedAt > refusal.at }) { return }
    alarms.removeAll { $0.camera == camera.id && $0.code == refusal.code }
    alarms.append(
      CameraAlarm(
        camera: camera.id, service: camera.service, at: refusal.at, code: refusal.code,
        sentence: refusal.sentence, canIssue: refusal.code == "not-issued" && camera.issuedTo == nil))
    // The newest of its own service: no other service's goes for it.
    if alarms.count(where: { $0.service == camera.service }) > Self.maximumAlarms,
      let oldest = alarms.firstIndex(where: { $0.service == camera.service })
    {
      alarms.remove(at: oldest)
    }
    publishWall()
  }
}
