internal import Vault
internal import Doctrine
internal import Footage
internal import Foundation
internal import Journal
internal import Seams

/// Procedures, holds, and erasures that the law orders.
extension Keeper {
  /// Days before a term on which a recording of an open procedure is announced (RET-8).
  static let warning_days = 7

  // RET-8.
  func link(_ person: Person, _ recording: RecordingID, _ kind: ProcedureKind, _ reference: String) async throws
    -> DeskReply
  {
    let known = try await known(recording)
    let number = try words(reference, "Le numéro de procédure", upTo: 200)
    let subject: [String: CanonicalJSON] = [
      "recording": .string(recording.rawValue), "procedure": .string(kind.rawValue), "reference": .string(number),
    ]
    let basis = try await allow(person, .linkProcedure, try object(known), subject)
    try await record(.modification, "procedure.linked", person, basis, known.service, subject)
    try await store.link(
      recording, service: known.service, kind: kind, reference: number, by: person.account.name, at: clock())
    return .done
  }

  func unlink(_ person: Person, _ recording: RecordingID, _ reference: String) async throws -> DeskReply {
    let known = try await known(recording)
    let subject: [String: CanonicalJSON] = [
      "recording": .string(recording.rawValue), "reference": .string(String(reference.prefix(200))),
    ]
    let basis = try await allow(person, .linkProcedure, try object(known), subject)
    try await record(.modification, "procedure.unlinked", person, basis, known.service, subject)
    try await store.unlink(recording, reference: reference)
    return .done
  }

  // RET-6, CSI R241-4 al. 3.
  func placeHold(
    _ person: Person, _ recording: RecordingID, _ kind: ProcedureKind, _ reference: String, _ authority: String,
    _ requested: LocalDate, _ review: LocalDate
  ) async throws -> DeskReply {
    let known = try await known(recording)
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(person, .placeHold, try object(known), subject)
    let now = clock()
    let today = calendar.day(of: now)
    guard requested <= today, review > today else {
      throw Problem.badRequest(
        "La réquisition est datée d'aujourd'hui au plus tard, et le réexamen suit. (Requested by today, review after it.)"
      )
    }
    let hold = HoldEntry(
      id: HoldID(newID()), recording: recording, service: known.service, kind: kind,
      reference: try words(reference, "Le numéro de procédure", upTo: 200),
      authority: try words(authority, "L'autorité requérante", upTo: 200), requestedOn: requested, reviewOn: review,
      placedAt: now, placedBy: person.account.name)
    try await record(
      .modification, "hold.placed", person, basis, known.service,
      subject.merging([
        "hold": .string(hold.id.rawValue), "procedure": .string(kind.rawValue), "reference": .string(hold.reference),
        "authority": .string(hold.authority), "requested_on": .string(requested.description),
        "review_on": .string(review.description),
      ]) { $1 })
    // Its keys no longer hang on their day: the day's are destroyed at the term whatever is held.
    guard try await store.place(hold, keys: try await heldKeys(of: recording)) else {
      throw Problem(
        409, "being-erased", "Effacement en cours (Being erased)",
        "L'effacement de cet enregistrement est ordonné ou a commencé : il ne peut plus être conservé. (Its erasure is ordered or has begun.)"
      )
    }
    return .created(hold.id.rawValue)
  }

  /// The keys of a recording's parts, each under one of its own.
  func heldKeys(of recording: RecordingID) async throws -> [(part: PartID, wrapped: [UInt8], name: String)] {
    try await store.parts(of: recording).map { part, _, _ in
      let name = Self.heldKeyName(part.id)
      guard part.keyName != name else { return (part: part.id, wrapped: part.wrappedKey, name: name) }
      return (
        part: part.id,
        wrapped: try keys.rewrap(
          part.wrappedKey, service: part.service.rawValue, from: part.keyName, to: name,
          part: UUIDText.binary(part.id.rawValue) ?? []), name: name
      )
    }
  }

  static func heldKeyName(_ part: PartID) -> String { "held-\(part.rawValue)" }

  static func heldPart(_ name: String) -> PartID? {
    name.hasPrefix("held-") && isID(String(name.dropFirst(5))) ? PartID(String(name.dropFirst(5))) : nil
  }

  func releaseHold(_ person: Person, _ id: HoldID, _ reason: String) async throws -> DeskReply {
    guard Self.isID(id.rawValue), let (hold, isReleased) = try await store.hold(id) else {
      throw Problem.notFound("La conservation")
    }
    let known = try await known(hold.recording)
    let subject: [String: CanonicalJSON] = [
      "recording": .string(hold.recording.rawValue), "hold": .string(id.rawValue),
    ]
    let basis = try await allow(person, .releaseHold, try object(known), subject)
    let why = try words(reason, "Le motif de la levée", upTo: 500)
    guard !isReleased else {
      throw Problem(
        409, "released", "Déjà levée (Already released)", "La conservation est déjà levée. (Already released.)")
    }
    try await record(
      .modification, "hold.released", person, basis, known.service,
      subject.merging(["release_reason": .string(why), "reference": .string(hold.reference)]) { $1 })
    try await store.release(id, by: person.account.name, reason: why, at: clock())
    return .done
  }

  // MARK: Ordered by law

  // RET-9, loi 78-17 art. 106, CSI L241-3 al. 2.
  func proposeErasure(
    _ person: Person, _ recording: RecordingID, _ ground: ErasureGround, _ reference: String
  ) async throws -> DeskReply {
    let known = try await known(recording)
    let number = try words(reference, "La référence de la demande ou de la décision", upTo: 200)
    let subject: [String: CanonicalJSON] = [
      "recording": .string(recording.rawValue), "ground": .string(ground.rawValue), "reference": .string(number),
    ]
    let basis = try await allow(person, .proposeErasure, try object(known), subject)
    let order = LegalErasureEntry(
      id: LegalErasureID(newID()), recording: recording, service: known.service, ground: ground, reference: number,
      proposedBy: person.account.name, proposer: person.account.agent.id, proposedAt: clock())
    guard try await store.legalErasure(of: recording) == nil else {
      throw Problem(
        409, "exists", "Déjà proposé (Already proposed)",
        "Un effacement est déjà proposé pour cet enregistrement. (Already proposed.)")
    }
    try await record(.modification, "erasure.proposed", person, basis, known.service, subject)
    try await store.propose(order)
    return .created(order.id.rawValue)
  }

  func confirmErasure(_ person: Person, _ recording: RecordingID) async throws -> DeskReply {
    let known = try await known(recording)
    let order = try await store.legalErasure(of: recording)
    var object = try object(known)
    object.proposedBy = order?.proposer
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(person, .confirmErasure, object, subject)
    guard let order else { throw Problem.notFound("La proposition d'effacement") }
    try await record(
      .modification, "erasure.confirmed", person, basis, known.service,
      subject.merging([
        "ground": .string(order.ground.rawValue), "reference": .string(order.reference),
        "first": .string(order.proposedBy),
      ]) { $1 })
    guard try await store.confirm(order.id, by: person.account.name, at: clock()) else { throw Self.changedMeanwhile }
    await leaveAll(recording, cause: "erasure-ordered")
    // A pass that is running takes it too, or the next one does: it is ordered from now on.
    do { _ = try await sweep(orderedOnly: true) } catch let problem as Problem where problem.status == 503 {}
    return .done
  }

  func withdrawErasure(_ person: Person, _ recording: RecordingID) async throws -> DeskReply {
    let known = try await known(recording)
    let subject: [String: CanonicalJSON] = ["recording": .string(recording.rawValue)]
    let basis = try await allow(person, .withdrawErasure, try object(known), subject)
    guard let order = try await store.legalErasure(of: recording), order.confirmedBy == nil else {
      throw Problem.notFound("La proposition d'effacement")
    }
    try await record(.modification, "erasure.withdrawn", person, basis, known.service, subject)
    guard try await store.withdraw(order.id, at: clock()) else { throw Self.changedMeanwhile }
    return .done
  }

  private static let changedMeanwhile = Problem(
    409, "changed-meanwhile", "Déjà changé (Changed meanwhile)",
    "La proposition vient d'être confirmée ou retirée par quelqu'un d'autre. (Confirmed or withdrawn meanwhile.)")

  // MARK: Plan

  /// What would be erased by a day, and what a procedure would lose by it.
  func plan(_ person: Person, _ until: LocalDate) async throws -> DeskReply {
    let services = try await granted(person, .readRegister)
    try await journalRead(
      "register.read", person, services, ["view": .string("retention-plan"), "until": .string(until.description)])
    return .plan(
      try await store.planned(until: until, services: services, limit: 5000),
      warnings: try await store.termWarnings(until: until, services: services))
  }
}
