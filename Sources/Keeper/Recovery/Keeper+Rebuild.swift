internal import Doctrine
internal import Foundation
internal import Journal
internal import Logging
internal import Seams
internal import Vault

/// The register rebuilt from files alone: footage, journal and keys are there, the database is new.
///
/// Services and agents come from the journal, recordings and their index from the footage, holds, procedures, regimes and
/// erasures from the journal again. What is in no file (cameras' passphrases, accounts and their passwords) is named, and the
/// sweeper asks before it erases anything. The keeper goes on recording meanwhile.
// P5, P6, docs/design/durability.md.
extension Keeper {
  /// Why the sweeper is stopped from before the first part comes in: holds follow later, and a stop may come between.
  static let rebuildingReason =
    "reconstruction du registre en cours : relancez-la si elle s'est arrêtée (register half rebuilt)"

  func reindex(by author: String, _ who: [String: CanonicalJSON]) async throws -> AdminReply {
    if let rebuilding, rebuilding.outcome == nil { return .reindexing(rebuilding) }
    let isBroken = try await store.sweeperClock()?.reason == Self.rebuildingReason
    guard !sweeper.isRunning else { throw Problem.unavailable("L'effaceur") }
    let hasParts = try await store.hasParts()
    guard isBroken || !hasParts else {
      throw Problem(
        409, "register-in-use", "Registre en service (Register in use)",
        "Le registre a des enregistrements : il est ramené par lui-même, et n'est reconstruit que neuf. (Only a new register is rebuilt.)"
      )
    }
    try await scribe.write(.modification, "footage.reindex-begun", author: author, service: nil, who)
    try await stopSweeper(because: Self.rebuildingReason)
    rebuilding = ReindexProgress(total: 0, done: 0, outcome: nil)
    return .reindexing(ReindexProgress(total: 0, done: 0, outcome: nil))
  }

  /// Rebuilds when it was asked to, beside everything else.
  func keepRebuilding() async {
    while !Task.isCancelled {
      if let asked = rebuilding, asked.outcome == nil {
        do {
          let sentence = Self.sentence(try await rebuildRegister())
          rebuilding?.outcome = sentence
        } catch {
          logger.error("the register was not rebuilt", metadata: ["error": "\(error)"])
          rebuilding?.outcome = "broken off: \(error); run it again"
        }
      }
      try? await Task.sleep(for: .milliseconds(200))
    }
  }

  private func rebuildRegister() async throws -> Forwarded {
    var done = Forwarded(isRebuild: true)
    // The index of the journal first: holds and erasures look into it.
    try await scribe.bringIndexUp(store)
    let footage = try await unknownFootage(since: LocalDate(year: 1970, month: 1, day: 1))
    // One that is not closed is the ingest's to close: it is asked to look again.
    let closed = footage.filter(\.isClosed)
    rebuilding?.total = closed.count
    try await follow(from: 0, footage: closed, &done)
    // Whole now: what is left to do is named, and a person confirms.
    sweeper.stopped = nil
    try await conclude("footage.reindexed", done)
    if done.left.isEmpty {
      try await stopSweeper(because: "registre reconstruit : vérifiez, puis confirmez (register rebuilt)")
    }
    alteredParts = try await store.alteredParts()
    tellIngest(.lookAgain)
    publishWall()
    return done
  }

  private static func sentence(_ done: Forwarded) -> String {
    let left = done.left.sorted { $0.key < $1.key }.map { "\($0.key) × \($0.value)" }.joined(separator: ", ")
    return "recordings' parts: \(done.parts)  erased before and removed again: \(done.removed)  "
      + (left.isEmpty ? "nothing is left to do" : "to be done again by a person: \(left)")
  }

  /// A service that the journal no longer names: under what its recordings say of themselves.
  func makeService(of part: FoundPart) async throws {
    guard services[part.service] == nil else { return }
    let facts = try foundFacts(of: part, key: try key(of: part))
    guard var regime = Regime.named(facts.regime ?? "") else { throw Problem.fault }
    regime.version = max(1, facts.regimeVersion ?? 1)
    try await enter(
      ServiceEntry(
        id: part.service, name: "service \(part.service.rawValue)", regime: regime,
        authorisingAct: "à justifier (reconstruit)", authorisingDate: part.localDay,
        authorisedCameras: regime.camerasCounted ? 1 : nil), at: part.created)
  }

  private func enter(_ service: ServiceEntry, at time: UTCTime) async throws {
    try await store.insert(service, at: time)
    services[service.id] = service
  }

  /// What an entry made, made again; nil where it is applied as in any bringing forward.
  func rebuild(from entry: JournalEntry, _ position: UInt64, _ done: inout Forwarded) async throws -> Bool? {
    func text(_ name: String) -> String? { entry.facts[name]?.string }
    let at = UTCTime(microseconds: entry.time_us)
    let service = ServiceID(entry.service ?? "")
    switch entry.act {
    case "service.created":
      guard services[service] == nil else { return true }
      guard let name = text("name"), let regime = text("regime").flatMap(Regime.named) else { return false }
      try await enter(
        ServiceEntry(
          id: service, name: name, regime: regime, authorisingAct: text("act") ?? "à justifier (reconstruit)",
          authorisingDate: text("act_date").flatMap { LocalDate($0) } ?? calendar.day(of: at),
          authorisedCameras: entry.facts["cameras"]?.integer.map(Int.init)), at: at)
      return true
    case "service.authorised":
      guard let act = text("act"), let date = text("act_date").flatMap({ LocalDate($0) }) else { return false }
      try await store.authorise(service, act: act, on: date, cameras: entry.facts["cameras"]?.integer.map(Int.init))
      return true
    case "agent.created":
      guard let id = text("agent"), let matricule = text("matricule") else { return false }
      guard try await store.agent(AgentID(id)) == nil else { return true }
      try await store.insert(
        AgentEntry(
          id: AgentID(id), service: service, matricule: matricule, name: text("name") ?? "à justifier",
          rank: text("rank") ?? "à justifier"))
      return text("name") != nil
    case "incident.opened":
      if let recording = text("recording"), let incident = text("incident") { done.incidents[recording] = incident }
      return nil
    case "erasure.certificate":
      guard let part = text("part"), let recording = text("recording"), let incident = done.incidents[recording] else {
        return nil
      }
      try await store.enterErased(
        PartID(part), recording: RecordingID(recording), incident: IncidentID(incident), service: service,
        chainHead: text("chain_head").flatMap { [UInt8](hexadecimal: $0) } ?? [], certificate: position, at: at)
      return nil
    default: return nil
    }
  }
}
