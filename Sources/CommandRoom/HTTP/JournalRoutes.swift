internal import Doctrine
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Seams

/// The journal itself: what a verifier needs, and the entries of one's own services.
extension ConsoleAPI {
  func addJournalRoutes(_ api: RouterGroup<ConsoleContext>) {
    // Public: it says how large the journal is and what its root is, and nothing of anybody.
    api.get("journal/checkpoint") { request, _ in
      try Query(request).finish()
      guard case .text(let note) = try await journal(nil, .checkpoint) else { throw Problem.fault }
      return Self.plain(note)
    }
    api.get("journal/rotations") { request, _ in
      let token = try sessionToken(request)
      try Query(request).finish()
      guard case .texts(let notes) = try await journal(token, .rotations) else { throw Problem.fault }
      return try Response.json(notes)
    }
    api.get("journal/entries") { request, _ in
      let token = try sessionToken(request)
      var query = try Query(request)
      let from = try query.integer("from", 0...Int(Int32.max)) ?? 0
      let limit = try query.integer("limit", 1...1024) ?? 1024
      try query.finish()
      guard
        case .entries(let lines, let next, let services) = try await journal(
          token, .entries(from: UInt64(from), limit: limit))
      else { throw Problem.fault }
      var response = Self.plain(lines)
      if let name = HTTPField.Name("X-Plastron-Next"), let next { response.headers[name] = String(next) }
      if let name = HTTPField.Name("X-Plastron-Scope") {
        response.headers[name] = services.map(\.rawValue).joined(separator: " ")
      }
      return response
    }
    api.get("journal/comparison") { request, _ in
      let token = try sessionToken(request)
      var query = try Query(request)
      let from = try query.integer("from", 0...Int(Int32.max)) ?? 0
      try query.finish()
      guard case .differences(let positions, let next) = try await journal(token, .compare(from: UInt64(from))) else {
        throw Problem.fault
      }
      return try Response.json(ComparisonShape(differences: positions, next: next))
    }
    api.get("journal/tiles/:level/:index") { request, context in
      let token = try sessionToken(request)
      var query = try Query(request)
      let width = try query.integer("width", 1...256) ?? 256
      try query.finish()
      guard let level = Int(try context.parameters.require("level")), (0...8).contains(level),
        let index = UInt64(try context.parameters.require("index")), index < 1 << 48
      else { throw Problem.notFound("La tuile") }
      guard case .bytes(let hashes) = try await journal(token, .tile(level: level, index: index, width: width)) else {
        throw Problem.fault
      }
      return Response(
        status: .ok, headers: [.contentType: "application/octet-stream", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: hashes.bytes)))
    }
    api.get("journal/proofs/:position") { request, context in
      let token = try sessionToken(request)
      try Query(request).finish()
      guard let position = UInt64(try context.parameters.require("position")), position < 1 << 48 else {
        throw Problem.notFound("L'entrée")
      }
      guard case .text(let proof) = try await journal(token, .proof(position: position)) else { throw Problem.fault }
      return Self.plain(proof)
    }
    api.get("journal/consistency") { request, _ in
      let token = try sessionToken(request)
      var query = try Query(request)
      let from = try query.integer("from", 0...Int(Int32.max))
      let to = try query.integer("to", 0...Int(Int32.max))
      try query.finish()
      guard let from, let to else { throw Problem.badRequest("« from » et « to » sont demandés. (Both are required.)") }
      guard case .texts(let hashes) = try await journal(token, .consistency(from: UInt64(from), to: UInt64(to))) else {
        throw Problem.fault
      }
      return try Response.json(hashes)
    }
  }

  private func journal(_ token: String?, _ call: JournalCall) async throws -> JournalReply {
    guard case .journal(let reply) = try await keeper.call(.journal(token: token, call)) else { throw Problem.fault }
    return reply
  }

  private static func plain(_ text: String) -> Response {
    Response(
      status: .ok, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }
}

/// Where the index in the database is not what the journal's files say.
struct ComparisonShape: Encodable {
  var differences: [UInt64]
  var next: UInt64?
}
