internal import Doctrine
internal import Journal
internal import Seams

/// What auditors ask of the register.
// LOG-8, ACC-7, MET-5.
extension Keeper {
  func register(_ person: Person, _ view: RegisterView, _ filter: RegisterFilter) async throws -> ConsoleReply {
    let services = try await granted(person, view == .journal ? .readJournal : .readRegister)
    if let name = filter.values[.service],
      let asked = services.contains(where: { $0.rawValue == name })
        ? nil : self.services.values.first(where: { $0.id.rawValue == name || $0.name == name }),
      !services.contains(asked.id)
    {
      try await allow(person, view == .journal ? .readJournal : .readRegister, try object(in: asked.id))
    }
    let possible = store.filters(of: view)
    if let key = filter.values.keys.first(where: { !possible.contains($0) }) {
      throw Problem.badRequest(
        "« \(key.rawValue) » ne filtre pas cette vue ; il y a : \(possible.map(\.rawValue).joined(separator: ", ")). (Not a filter of this view.)"
      )
    }
    if let state = filter.values[.state], !store.states(of: view).contains(state) {
      throw Problem.badRequest(
        "« state » est ici l'un de : \(store.states(of: view).joined(separator: ", ")). (One of these.)")
    }
    var facts: [String: CanonicalJSON] = [
      "view": .string(view.rawValue), "services": .array(services.map { .string($0.rawValue) }),
    ]
    if !filter.values.isEmpty {
      facts["filter"] = .object(
        Dictionary(
          uniqueKeysWithValues: filter.values.map {
            ($0.key.rawValue, CanonicalJSON.string(String($0.value.prefix(200))))
          }))
    }
    if let from = filter.from { facts["from_us"] = .integer(from.microseconds) }
    if let to = filter.to { facts["to_us"] = .integer(to.microseconds) }
    try await journalRead("register.read", person, services, facts)
    let mark = mark()
    // The answer is true at the mark: the index is brought there first.
    try await scribe.bringIndexUp(store)
    guard let page = try await store.page(view, filter, services: services) else {
      throw Problem.badRequest("« after » n'est pas la suite de cette vue. (Not a cursor of this view.)")
    }
    return .register(page, mark)
  }

  /// A reading is in the journal of each service that it was of (LOG-8).
  func journalRead(
    _ act: String, _ person: Person, _ services: [ServiceID], _ facts: [String: CanonicalJSON]
  ) async throws {
    for service in services {
      try await scribe.write(.consultation, act, author: person.account.name, service: service, facts)
    }
  }

  // MARK: Completeness and report

  func completeness(_ person: Person, _ from: LocalDate, _ to: LocalDate) async throws -> DeskReply {
    guard from <= to, to.daysSince1970 - from.daysSince1970 <= 1100 else {
      throw Problem.badRequest("De « from » à « to », trois ans au plus. (At most three years.)")
    }
    let services = try await granted(person, .readRegister)
    try await journalRead("register.read", person, services, ["view": .string("completeness")])
    let yesterday = calendar.day(of: clock()).adding(days: -1)
    let mark = mark()
    let kept = try await store.page(
      .holds, RegisterFilter([.state: "open"], limit: RegisterFilter.maximumLimit), services: services)
    return .completeness(
      Completeness(
        days: try await store.dayCounts(services: services, from: from, to: to),
        overdue: try await store.planned(until: yesterday, services: services, limit: 1000),
        kept: kept ?? RegisterPage(columns: [], rows: [], next: nil), sweeperStopped: sweeper.stopped), mark)
  }

  // GOV-3, CSI R241-17.
  func report(_ person: Person, _ service: ServiceID, _ year: Int) async throws -> DeskReply {
    guard (2016...9998).contains(year) else { throw Problem.badRequest("« year » est une année. (A year.)") }
    let basis = try await allow(person, .readReport, try object(in: service))
    var facts = facts(of: person, basis)
    facts["year"] = .integer(Int64(year))
    try await scribe.write(.consultation, "report.read", author: person.account.name, service: service, facts)
    let mark = mark()
    try await scribe.bringIndexUp(store)
    let counts = try await store.report(
      of: service, from: calendar.start(of: LocalDate(year: year, month: 1, day: 1)),
      to: calendar.start(of: LocalDate(year: year + 1, month: 1, day: 1)))
    return .report(Report(service: services[service]?.name ?? "?", year: year, counts: counts), mark)
  }
}
