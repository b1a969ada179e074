internal import Doctrine
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Seams

/// What auditors ask.
extension ConsoleAPI {
  func addRegisterRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.get("register") { request, _ in try await page(.recordings, request) }
    api.get("register/:view") { request, context in
      guard let view = RegisterView(rawValue: try context.parameters.require("view")) else {
        throw Problem(
          404, "not-found", "Introuvable (Not found)",
          "Les vues sont : \(RegisterView.allCases.map(\.rawValue).joined(separator: ", ")). (No such view.)")
      }
      return try await page(view, request)
    }
    api.get("completeness") { request, _ in
      let token = try sessionToken(request)
      var query = try Query(request)
      let (from, to) = (try query.day("from"), try query.day("to"))
      try query.finish()
      guard case .completeness(let answer, let mark) = try await desk(token, .completeness(from: from, to: to)) else {
        throw Problem.fault
      }
      return try Response.json(CompletenessShape(answer, mark))
    }
    api.get("retention/plan") { request, _ in
      let token = try sessionToken(request)
      var query = try Query(request)
      let until = try query.day("until")
      try query.finish()
      guard case .plan(let parts, let warnings) = try await desk(token, .retentionPlan(until: until)) else {
        throw Problem.fault
      }
      return try Response.json(PlanShape(parts, warnings))
    }
    api.get("services/:service/report") { request, context in
      let token = try sessionToken(request)
      var query = try Query(request)
      let year = try query.integer("year", 2016...9998)
      try query.finish()
      guard let year else { throw Problem.badRequest("« year » est demandé. (year is required.)") }
      guard
        case .report(let report, let mark) = try await desk(
          token, .report(service: ServiceID(try context.parameters.require("service")), year: year))
      else { throw Problem.fault }
      return try Response.json(ReportShape(report, mark))
    }
    api.get("refusals") { request, _ in
      let token = try sessionToken(request)
      var query = try Query(request)
      let limit = try query.integer("limit", 1...1000) ?? 100
      try query.finish()
      guard case .refusals(let list) = try await keeper.call(.refusals(token: token, limit: limit)) else {
        throw Problem.fault
      }
      return try Response.json(list.map(RefusalShape.init))
    }
    api.get("rights") { request, _ in
      guard case .text(let text) = try await desk(try sessionToken(request), .rights) else { throw Problem.fault }
      return Response(
        status: .ok, headers: [.contentType: "text/markdown; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
  }

  private func page(_ view: RegisterView, _ request: Request) async throws -> Response {
    let token = try sessionToken(request)
    var query = try Query(request)
    var values: [RegisterFilter.Key: String] = [:]
    for key in RegisterFilter.Key.allCases { values[key] = query.text(key.rawValue) }
    let filter = RegisterFilter(
      values, from: try query.time("from"), to: try query.time("to"),
      limit: try query.integer("limit", 1...RegisterFilter.maximumLimit) ?? 200, after: query.text("after"))
    let format = query.text("format") ?? "json"
    try query.finish()
    guard format == "json" || format == "csv" else {
      throw Problem.badRequest("« format » est json ou csv. (format is json or csv.)")
    }
    guard case .register(let page, let mark) = try await keeper.call(.register(token: token, view, filter)) else {
      throw Problem.fault
    }
    let shape = PageShape(page: page, mark: mark)
    let isCSV = format == "csv"
    return Response(
      status: .ok,
      headers: [.contentType: isCSV ? "text/csv; charset=utf-8" : "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: isCSV ? ByteBuffer(string: shape.csv) : ByteBuffer(bytes: try shape.json)))
  }
}

struct CompletenessShape: Encodable {
  struct Day: Encodable {
    var day: String
    var service: String
    var recorded: Int64
    var erased: Int64
    var kept: Int64
  }

  struct Part: Encodable {
    var recording: String
    var part: String
    var term: String
  }

  struct Kept: Encodable {
    var recording: String
    var kind: String
    var reference: String
    var reviewOn: String
  }

  var journalSize: UInt64
  var journalRoot: String
  var days: [Day]
  /// Must be empty.
  var overdue: [Part]
  var held: [Kept]
  var sweeperStopped: String?

  init(_ answer: Completeness, _ mark: JournalMark) {
    journalSize = mark.size
    journalRoot = mark.root
    days = answer.days.map {
      Day(
        day: $0.day.description, service: $0.service, recorded: $0.recorded, erased: $0.erased,
        kept: $0.recorded - $0.erased)
    }
    overdue = answer.overdue.map {
      Part(recording: $0.recording.rawValue, part: $0.part.rawValue, term: $0.termDay.description)
    }
    let names = answer.kept.columns.map(\.name)
    held = answer.kept.rows.map { row in
      let cells = Dictionary(zip(names, row), uniquingKeysWith: { first, _ in first })
      func cell(_ name: String) -> String { (cells[name] ?? nil) ?? "" }
      return Kept(
        recording: cell("recording"), kind: cell("kind"), reference: cell("reference"), reviewOn: cell("review_on"))
    }
    sweeperStopped = answer.sweeperStopped
  }
}

struct PlanShape: Encodable {
  struct Part: Encodable {
    var recording: String
    var part: String
    var service: String
    var day: String
    var term: String
  }

  struct Warning: Encodable {
    var recording: String
    var reference: String
    var term: String
  }

  var erased: [Part]
  var warnings: [Warning]

  init(_ parts: [PlannedErasure], _ warnings: [TermWarning]) {
    erased = parts.map {
      Part(
        recording: $0.recording.rawValue, part: $0.part.rawValue, service: $0.service.rawValue,
        day: $0.localDay.description, term: $0.termDay.description)
    }
    self.warnings = warnings.map {
      Warning(recording: $0.recording.rawValue, reference: $0.reference, term: $0.termDay.description)
    }
  }
}

struct ReportShape: Encodable {
  var journalSize: UInt64
  var journalRoot: String
  var service: String
  var year: Int
  var counts: [String: Int64]

  init(_ report: Report, _ mark: JournalMark) {
    journalSize = mark.size
    journalRoot = mark.root
    service = report.service
    year = report.year
    counts = report.counts
  }
}
