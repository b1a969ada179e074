internal import Vault
internal import Doctrine
internal import Footage
internal import Foundation
internal import Journal
internal import Seams

/// Reading recordings: consultation, extraction, checks. The console reads; the keeper says whether, and hands the keys.
extension Keeper {
  // ACC-3, ACC-5/6, LOG-2, EXP-4.
  func extract(_ person: Person, _ recording: RecordingID, _ order: ExtractionOrder) async throws -> ConsoleReply {
    let number = try words(order.reference, "Le numéro de procédure ou une référence", upTo: 200)
    let to = try order.recipient.map { try words($0, "Le destinataire", upTo: 200) } ?? person.account.name
    var facts: [String: CanonicalJSON] = [
      "reference": .string(number), "recipient": .string(to), "form": .string(order.form), "number": .string(newID()),
    ]
    for (name, value) in [("requesting_agent", order.requestingAgent), ("requesting_service", order.requestingService)]
    {
      if let value { facts[name] = .string(try words(value, "L'agent et le service demandeurs", upTo: 200)) }
    }
    let known = try await known(recording)
    // CSI R241-2, 7°.
    guard
      services[known.service]?.regime.asksRequester != true
        || facts["requesting_agent"] != nil
          && facts["requesting_service"] != nil
    else {
      throw Problem.badRequest(
        "Ce régime demande le nom de l'agent et le service demandeurs (requestingAgent, requestingService). (Name who asks.) [CSI R241-2, 7°]"
      )
    }
    return try await read(person, recording, .extract, .purpose(order.reason), .communication, "extraction", facts)
  }

  // ACC-3, ACC-4, LOG-2.
  func consult(
    _ person: Person, _ recording: RecordingID, _ reason: ConsultationReason, _ reference: String
  ) async throws -> ConsoleReply {
    let number = try words(reference, "La référence de la procédure ou de l'intervention", upTo: 200)
    return try await read(
      person, recording, .consult, reason, .consultation, "recording.consulted", ["reference": .string(number)])
  }

  private func read(
    _ person: Person, _ recording: RecordingID, _ act: Act, _ reason: ConsultationReason, _ kind: JournalEntry.Kind,
    _ name: String, _ more: [String: CanonicalJSON]
  ) async throws -> ConsoleReply {
    let known = try await known(recording)
    var object = try object(known)
    object.reason = reason
    let subject: [String: CanonicalJSON] = [
      "recording": .string(recording.rawValue), "reason": .string(reason.name),
      "incident": .string(known.incident.rawValue),
    ]
    let basis = try await allow(person, act, object, subject)
    let heads = try await store.chainHeads(of: recording)
    var all = facts(of: person, basis).merging(subject) { $1 }.merging(more) { $1 }
    all["camera"] = known.camera.map { .string($0.rawValue) } ?? .null
    all["chain_heads"] = .array(heads.map { .string($0.hexadecimal) })
    let viewing = ViewingID(newID())
    all["viewing"] = .string(viewing.rawValue)
    try await scribe.write(kind, name, author: person.account.name, service: known.service, all)
    // The right may have ended while the entry became durable; and it ends what is being sent when it does.
    // So may the recording: what is handed out is what the register says now.
    let again = try await session(hash: person.session)
    var objectNow = try self.object(try await self.known(recording))
    objectNow.reason = reason
    let partsNow = try await store.parts(of: recording)
    let standing = try await allow(again, act, objectNow, subject)
    let grant = try readGrant(recording, partsNow, viewing: viewing)
    viewings[viewing] = OpenViewing(
      kind: act == .extract ? .extraction : .replay, recording: recording, account: person.account.id,
      name: person.account.name, service: known.service, session: person.session,
      until: min(standing.accreditation?.until ?? clock(), again.until), attachedAgent: nil)
    return .read(grant)
  }

  func readGrant(
    _ recording: RecordingID, _ parts: [(PartEntry, state: String, chunkCount: Int64)], viewing: ViewingID? = nil
  ) throws -> ReadGrant {
    ReadGrant(
      recording: recording, viewing: viewing,
      parts: try parts.map { part, _, chunkCount in
        let key = try keys.openPartKey(
          part.wrappedKey, service: part.service.rawValue, day: part.keyName,
          part: UUIDText.binary(part.id.rawValue) ?? [])
        return PartReadGrant(
          part: part.id, path: part.path, place: part.place, key: Blob(key.rawBytes), chunkCount: chunkCount)
      })
  }

  /// A closed recording to be decoded in the sandbox; the check is the server's own act and is journalled.
  func nextDecodeCheck() async throws -> ConsoleReply {
    guard let recording = try await store.nextDecodeCheck() else { return .read(nil) }
    let parts = try await store.parts(of: recording)
    try allowDecodeCheck(try await known(recording))
    guard let grant = try? readGrant(recording, parts) else {
      try await store.setDecodeVerdict(recording, verdict: "does-not", detail: "la clé ne peut pas être ouverte")
      return .read(nil)
    }
    try await scribe.write(
      .statement, "decode-check", author: "console", service: parts.first?.0.service,
      ["recording": .string(recording.rawValue)])
    // The oldest is given out until it is answered: a few consoles have a few.
    if checksGiven.count >= Self.maximumChecksGiven { checksGiven.removeAll() }
    checksGiven.insert(recording)
    return .read(grant)
  }

  private static let maximumChecksGiven = 64

  /// What came of a check that was given out; the recording is given out again where it is not taken.
  func decodeChecked(
    _ recording: RecordingID, _ verdict: String, _ detail: String, _ clock: ClockReading?
  ) async throws -> ConsoleReply {
    guard checksGiven.remove(recording) != nil else {
      throw Problem(
        409, "not-given", "Contrôle non demandé (Check not asked for)",
        "Ce contrôle n'a pas été confié. (This check was not given out.)")
    }
    let known = try await known(recording)
    try allowDecodeCheck(known)
    if let clock { try await observed(clock, in: recording, known) }
    try await scribe.write(
      .statement, "decode-check.verdict", author: "console", service: known.service,
      ["recording": .string(recording.rawValue), "verdict": .string(verdict)])
    try await store.setDecodeVerdict(recording, verdict: verdict, detail: detail)
    return .done
  }

  private func allowDecodeCheck(_ facts: RecordingFacts) throws {
    if case .refused(let refusal) = may(Actor(.decodeCheck), .checkFootage, try object(facts), at: clock()) {
      throw Problem(refusal)
    }
  }

  /// Days after which a master is read again: a month is never passed (INT-5).
  static let checkEvery_days: Int64 = 25

  func nextFootageCheck(onDisksOnly: Bool) async throws -> PartIndexFacts? {
    let found = try await store.nextFootageCheck(
      before: clock().adding(seconds: -Self.checkEvery_days * 86_400), onDisksOnly: onDisksOnly)
    return found.map(Self.facts)
  }

  func footageChecked(_ part: PartID, _ finding: String?) async throws -> ConsoleReply {
    guard let known = try await store.setChecked(part, finding: finding, at: clock()) else { return .done }
    if case .refused(let refusal) = may(
      Actor(.decodeCheck), .checkFootage, try object(in: known.service), at: clock())
    {
      throw Problem(refusal)
    }
    guard let finding else { return .done }
    try await scribe.write(
      .statement, "footage.altered", author: "console", service: known.service,
      [
        "recording": .string(known.recording.rawValue), "part": .string(part.rawValue), "finding": .string(finding),
      ])
    alteredParts = try await store.alteredParts()
    publishWall()
    return .done
  }

  static func facts(_ facts: PartFacts) -> PartIndexFacts {
    PartIndexFacts(
      part: facts.progress.part, recording: facts.recording, path: facts.path, place: facts.place, state: facts.state,
      chunkCount: facts.progress.chunkCount, chainHead: Blob(facts.progress.chainHead),
      file_bytes: facts.progress.file_bytes, media_bytes: facts.media_bytes, isContinued: facts.isContinued)
  }

  func indexFacts(_ person: Person) async throws -> ConsoleReply {
    let services = try await granted(person, .checkFootage)
    try await journalRead("footage.checked", person, services, [:])
    return .indexFacts(
      try await store.partFacts(of: services).map(Self.facts), paths: try await store.partPaths())
  }
}
