internal import Doctrine
internal import Extraction
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Seams
internal import Vault

/// What reads footage: extraction and the check. Read-only, with keys granted for the act.
extension ConsoleAPI {
  func extraction(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    let token = try changingToken(request)
    let recording = RecordingID(try context.parameters.require("recording"))
    let form: ExtractionForm = try await request.json()
    guard form.form == "ts" || form.form == "mp4" else {
      throw Problem.badRequest("« form » est ts ou mp4. (form is ts or mp4.)")
    }
    guard
      case .read(let grant?) = try await keeper.call(
        .extract(
          token: token, recording,
          ExtractionOrder(
            reason: form.reason, reference: form.reference, form: form.form, recipient: form.recipient,
            requestingAgent: form.requestingAgent, requestingService: form.requestingService)))
    else { throw Problem.fault }
    return try await reading(grant, wantsMP4: form.form == "mp4", leavingOut: form.withoutAltered ?? false)
  }

  /// A recording to look at, not to keep: MP4 as a player takes it.
  func consultation(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    let token = try changingToken(request)
    let recording = RecordingID(try context.parameters.require("recording"))
    let form: ConsultationForm = try await request.json()
    guard let reason = ConsultationReason(name: form.reason) else {
      let names = WearerReason.allCases.map(\.rawValue) + ExtractionReason.allCases.map(\.rawValue)
      throw Problem.badRequest("« reason » est l'un de : \(names.joined(separator: ", ")). (One of these.)")
    }
    guard
      case .read(let grant?) = try await keeper.call(
        .consult(token: token, recording, reason: reason, reference: form.reference))
    else { throw Problem.fault }
    return try await reading(grant, wantsMP4: true, leavingOut: form.withoutAltered ?? false)
  }

  /// Streams a granted recording; an answer that breaks off is not taken for the whole.
  ///
  /// - Parameter leavingOut: sends what is unharmed of a recording that was altered, and names what is left out.
  private func reading(_ grant: ReadGrant, wantsMP4: Bool, leavingOut: Bool) async throws -> Response {
    guard let viewing = grant.viewing else { throw Problem.fault }
    let reading = readings.begin(viewing)
    guard await !hub.wasCut(viewing) else { throw Problem.unavailable("La consultation") }
    let recording = grant.recording
    let master = try await footage.survey(grant)
    let omitted = master.altered.map { "\($0.part)/\($0.chunk)" }.joined(separator: " ")
    guard omitted.isEmpty || leavingOut else {
      logger.critical("an altered recording was asked for", metadata: ["recording": "\(recording)"])
      throw Problem(
        409, "altered", "Enregistrement altéré (Altered)",
        "Ce qui suit n'est pas ce qui a été enregistré et n'est pas remis (partie/morceau) : \(omitted.prefix(1000)). Alertez l'auditeur (plastron footage check) ; « withoutAltered » donne le reste. (Altered chunks are withheld.)"
      )
    }
    var headers: HTTPFields = [.contentType: wantsMP4 ? "video/mp4" : "video/mp2t", .cacheControl: "no-store"]
    if !omitted.isEmpty, let name = HTTPField.Name("X-Plastron-Omitted") {
      headers[name] = String(omitted.prefix(4000))
    }
    let logger = self.logger
    return Response(
      status: .ok, headers: headers,
      body: ResponseBody { writer in
        var derived = DerivedMP4()
        do {
          try await master.read { chunk in
            // ACC-1: the right ended; a part of a file is not taken for the whole.
            guard !reading.isCut else { throw Problem.unavailable("La consultation") }
            let piece = wantsMP4 ? derived.push(chunk.bytes) : chunk.bytes
            if !piece.isEmpty { try await writer.write(ByteBuffer(bytes: piece)) }
          }
          if wantsMP4 { try await writer.write(ByteBuffer(bytes: derived.finish())) }
        } catch {
          // The answer breaks off: a reader must not take a part for the whole.
          logger.error("an extraction broke off", metadata: ["recording": "\(recording)", "error": "\(error)"])
          throw error
        }
        try await writer.finish(nil)
      })
  }

  func check(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    try Query(request).finish()
    guard case .indexFacts(let facts, let paths) = try await keeper.call(.indexFacts(token: try sessionToken(request)))
    else {
      throw Problem.fault
    }
    let footage = self.footage
    return try Response.json(
      await BlockingWork.run(isUrgent: false) {
        let parts = facts.map(IndexedPart.init)
        let findings = parts.flatMap { FootageCheck.check($0, open: footage.open) }
        return CheckShape(
          checked: parts.count,
          findings: findings.map {
            CheckShape.Finding(recording: $0.recording, part: $0.part, code: $0.code, sentence: $0.sentence)
          }, strays: FootageCheck.strays(root: footage.root, known: Set(paths)))
      })
  }
}
