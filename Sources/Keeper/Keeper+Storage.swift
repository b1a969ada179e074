internal import Doctrine
internal import Journal
internal import Logging
internal import Seams

/// How the footage's disks do, as the ingest says it: alarms, and the end of a live picture that is not recorded.
extension Keeper {
  /// Below this part of a disk, or this many bytes, whichever is less, its fullness is an alarm.
  static let reserve_percent: Int64 = 5
  static let reserve_bytes: Int64 = 20 << 30
  /// P5: what was received is durable within this time.
  static let durabilityBound_ms: Int64 = 1000

  /// A collector asks every quarter of a minute or so: the worst of a minute is not missed.
  private static let lagRemembered_us: Int64 = 60_000_000

  func figures() -> ServerFigures {
    let now = monotonic()
    return ServerFigures(
      node: settings.nodeName, ingestConnected: !ingestStreams.isEmpty, ingest: ingestStatus,
      durabilityLag_ms: lags.filter { now.since($0.at) < Self.lagRemembered_us }.map(\.lag_ms).max() ?? 0,
      incidents: active.values.count { $0.closing == nil }, live: active.values.count { $0.live.authorization != nil },
      viewings: viewings.count, databaseAway: isDatabaseAway, writesWaiting: pendingWrites.count,
      journalEntries: scribe.mark.size, erasuresOverdue: sweeper.overdue, sweeperStopped: sweeper.stopped != nil,
      mastersAltered: alteredParts, keysCopyFailing: keysProblem != nil, links: currentLinkFigures())
  }

  func took(_ status: IngestStatus) {
    let before = storageSentence
    ingestStatus = status
    let now = monotonic()
    lags.removeAll { now.since($0.at) >= Self.lagRemembered_us }
    lags.append((now, status.durabilityLag_ms))
    let failing = Set(status.failing)
    unrecordedSince = unrecordedSince.filter { failing.contains($0.key) }
    for recording in failing where unrecordedSince[recording] == nil { unrecordedSince[recording] = now }
    for (id, incident) in active {
      let bound_us = (services[incident.entry.service]?.regime.unrecordedLive_s ?? 0) * 1_000_000
      let isLost = unrecordedSince[incident.entry.recording].map { now.since($0) >= bound_us } ?? false
      switch isLost ? incident.live.recordingFailed() : incident.live.recordingMended() {
      case .none: break
      case .begin: publishLive(id)
      case .end:
        publishLive(id)
        Task { await self.leaveAll(incident.entry.recording, cause: "not-recorded") }
      }
    }
    if status.durabilityLag_ms > Self.durabilityBound_ms {
      logger.critical(
        "what was received was not durable within its second", metadata: ["lag_ms": "\(status.durabilityLag_ms)"])
    }
    if storageSentence != before || !failing.isEmpty { publishWall() }
  }

  /// What the wall says of the disks; nil where all is well.
  var storageSentence: String? {
    if alteredParts > 0 {
      return
        "\(alteredParts) fichier(s) ne sont plus tels qu'enregistrés : alertez l'auditeur (plastron footage check). (Altered footage.)"
    }
    if keysProblem != nil {
      return
        "Une copie ou la sauvegarde des clés échoue : prévenez l'administrateur. (A copy or the backup of the keys fails.)"
    }
    if let archiveProblem {
      return "Le stockage objet n'est pas utilisé : \(archiveProblem.prefix(300)) (object store)"
    }
    guard let status = ingestStatus else { return nil }
    if status.volumes.contains(where: { !$0.isHealthy }) {
      return "Un disque d'enregistrement est en panne : prévenez l'administrateur. (A recording disk fails.)"
    }
    let roomy = status.volumes.filter { volume in
      volume.free_bytes > min(Self.reserve_bytes, volume.total_bytes / 100 * Self.reserve_percent)
    }
    if roomy.isEmpty, !status.volumes.isEmpty {
      let free = status.volumes.map(\.free_bytes).reduce(0, +) >> 20
      return
        "Il reste \(free) Mio pour enregistrer : libérez ou ajoutez de la place ; on enregistre jusqu'au bout. (Disk nearly full.)"
    }
    if status.durabilityLag_ms > Self.durabilityBound_ms {
      return
        "Le disque met \(status.durabilityLag_ms) ms à garder ce qui est reçu, au lieu d'une seconde au plus. (The disk is slow.)"
    }
    return nil
  }
}
