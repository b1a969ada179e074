package import Doctrine
import Postgres

/// The pages of the register.
extension Register {
  /// The filters of a view, for an error that says what is there.
  package func filters(of view: RegisterView) -> [RegisterFilter.Key] {
    let definition = ViewDefinition.named(view)
    var keys = Set(definition.conditions.keys).union([.service])
    if case .agents = definition.stratum { keys.insert(.agent) }
    return RegisterFilter.Key.allCases.filter(keys.contains)
  }

  /// What `state` may be in a view; none where it has no states.
  package func states(of view: RegisterView) -> [String] {
    switch view {
    case .recordings: ["open", "closed", "erased"]
    case .holds: ["open", "released"]
    case .accreditations: ["open", "ended"]
    case .requests: ["open", "decided"]
    default: []
    }
  }

  /// One page, newest first; nil where `after` is not one of this view's.
  package func page(
    _ view: RegisterView, _ filter: RegisterFilter, services: [ServiceID]
  ) async throws -> RegisterPage? {
    let definition = ViewDefinition.named(view)
    let columns = definition.columns.map { RegisterPage.Column($0.name, $0.kind) }
    let named = try await self.services(matching: filter.values[.service], among: services)
    let strata = try await self.strata(definition, filter, named)
    guard !strata.isEmpty else { return RegisterPage(columns: columns, rows: [], next: nil) }
    var query = PageQuery(definition, strata)
    guard query.apply(filter) else { return nil }
    let (sql, parameters) = query.finished(limit: filter.limit)
    return try await pool.run { connection in
      let found = try connection.query(sql, parameters)
      let rows = found.map { row in definition.columns.indices.map { row.optionalText("c\($0)") } }
      let last = found.count == filter.limit ? found.last : nil
      return RegisterPage(
        columns: columns, rows: rows,
        next: try last.map { "\(try $0.text("k1"))_\(try $0.text("k2"))" })
    }
  }

  private func services(matching name: String?, among services: [ServiceID]) async throws -> [ServiceID] {
    guard let name else { return services }
    return try await pool.run { connection in
      try connection.query(
        "SELECT id FROM service WHERE id = ANY($1::uuid[]) AND (name = $2 OR id::text = $2)",
        [.textArray(services.map(\.rawValue)), .text(name)]
      ).map { ServiceID(try $0.text("id")) }
    }
  }

  /// Pairs of a service and what else divides the view; the second is empty where nothing does.
  private func strata(
    _ definition: ViewDefinition, _ filter: RegisterFilter, _ services: [ServiceID]
  ) async throws -> [(service: String, value: String?)] {
    switch definition.stratum {
    case .none: return services.map { ($0.rawValue, nil) }
    case .acts(let acts): return services.flatMap { service in acts.map { (service.rawValue, $0) } }
    case .agents:
      guard let agent = filter.values[.agent] else { return services.map { ($0.rawValue, nil) } }
      return try await pool.run { connection in
        try connection.query(
          "SELECT id, service_id FROM agent WHERE service_id = ANY($1::uuid[]) AND (matricule = $2 OR name = $2)",
          [.textArray(services.map(\.rawValue)), .text(agent)]
        ).map { (try $0.text("service_id"), try $0.text("id")) }
      }
    }
  }
}

/// The statement of one page, with only the conditions that were asked: the planner sees what it can use.
struct PageQuery {
  private let definition: ViewDefinition
  private var conditions: [String]
  private var parameters: [SQLValue]

  init(_ definition: ViewDefinition, _ strata: [(service: String, value: String?)]) {
    self.definition = definition
    parameters = [.textArray(strata.map(\.service)), .textArray(strata.compactMap(\.value))]
    conditions = [definition.inService]
    if strata.contains(where: { $0.value != nil }), let inStratum = definition.inStratum {
      conditions.append(inStratum)
    }
  }

  private mutating func add(_ condition: String, _ value: SQLValue) {
    parameters.append(value)
    conditions.append(condition.replacing("$", with: "$\(parameters.count)"))
  }

  /// Takes in a filter; false where its cursor is not one.
  mutating func apply(_ filter: RegisterFilter) -> Bool {
    for key in RegisterFilter.Key.allCases {
      guard let value = filter.values[key], let condition = definition.conditions[key] else { continue }
      // What is no identifier names nothing.
      if condition.hasSuffix("::uuid"), !Self.isKey(value, "uuid") {
        conditions.append("false")
      } else {
        add(condition, .text(value))
      }
    }
    if let from = filter.from { add(definition.from, .integer(from.microseconds)) }
    if let to = filter.to { add(definition.to, .integer(to.microseconds)) }
    guard let after = filter.after else { return true }
    let fields = after.split(separator: "_", maxSplits: 1)
    guard fields.count == 2, let first = Int64(fields[0]), Self.isKey(String(fields[1]), definition.order.secondCast)
    else { return false }
    parameters += [.integer(first), .text(String(fields[1]))]
    let order = definition.order
    conditions.append(
      "(\(definition.alias).\(order.first), \(definition.alias).\(order.second)) < (\(order.fromInteger)($\(parameters.count - 1)), $\(parameters.count)::\(order.secondCast))"
    )
    return true
  }

  private static func isKey(_ text: String, _ cast: String) -> Bool {
    let units = Array(text.utf8)
    if cast == "bigint" { return Int64(text) != nil }
    return units.count == 36
      && units.enumerated().allSatisfy { index, unit in
        [8, 13, 18, 23].contains(index) ? unit == 45 : (48...57).contains(unit) || (97...102).contains(unit)
      }
  }

  func finished(limit: Int) -> (sql: String, parameters: [SQLValue]) {
    let order = definition.order
    let key = "\(definition.alias).\(order.first) DESC, \(definition.alias).\(order.second) DESC"
    let columns = definition.columns.enumerated().map { "\($0.element.sql) AS c\($0.offset)" }
    let sql = """
      WITH page AS MATERIALIZED (
        SELECT row.* FROM unnest($1::text[], $2::text[]) AS s(service, value) CROSS JOIN LATERAL (
          SELECT \(definition.alias).* FROM \(definition.table) WHERE \(conditions.joined(separator: " AND "))
          ORDER BY \(key) LIMIT \(limit)) AS row
        ORDER BY row.\(order.first) DESC, row.\(order.second) DESC LIMIT \(limit))
      SELECT \(order.firstAsInteger) AS k1, page.\(order.second) AS k2, \(columns.joined(separator: ", "))
      FROM page \(definition.joins) ORDER BY page.\(order.first) DESC, page.\(order.second) DESC
      """
    return (sql, parameters)
  }
}
