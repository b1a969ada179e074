import ArgumentParser
import Doctrine
import Foundation
import Logging
import Postgres
import Registry
import Vault

/// What a page of the register costs when it is a hundred times as large.
struct RegisterBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "register", abstract: "Coût d'une page, petit et grand registre (small and large register).")
  @Option(help: "Dossier d'une base à part, effacé au début (wiped at the start)") var data: String
  @Option var small = 20_000
  @Option var large = 2_000_000
  @Option(help: "Mesures d'une question, médiane (runs of a question)") var runs = 15

  func run() async throws {
    let path = URL(fileURLWithPath: data).standardizedFileURL.path
    try? FileManager.default.removeItem(atPath: path)
    setenv("PLASTRON_DATA_FOLDER", path, 1)
    let settings = try await Settings.load(file: nil)
    try Directories.make(settings.dataFolder, mode: 0o755)
    try Directories.make(settings.keysFolder, mode: 0o700)
    let database = EmbeddedPostgres(settings, logger: Logger(label: "bench"))
    try await database.start()
    defer {
      database.stop()
      try? FileManager.default.removeItem(atPath: path)
    }
    let owner = Pool(conninfo: try EmbeddedPostgres.conninfo(settings, "plastron_owner"), connections: 1)
    let server = Pool(conninfo: try EmbeddedPostgres.conninfo(settings, "plastron_server"), connections: 1)
    defer {
      owner.close()
      server.close()
    }
    _ = try await Migrator(pool: owner, folder: settings.migrationsFolder).run()
    let generator = RegisterGenerator(pool: owner)
    let register = Register(pool: server, node: "bench")
    let services = try await fill(generator, register, from: 0, to: small)
    let before = try await measure(register, services)
    // In steps, so that what is written at once stays bounded.
    for start in stride(from: small, to: large, by: 100_000) {
      _ = try await fill(generator, register, from: start, to: min(start + 100_000, large))
    }
    let after = try await measure(register, services)
    print("| question | \(small) recordings, ms | \(large) recordings, ms | ratio | rows of the answers |")
    print("|---|---|---|---|---|")
    for (question, grown) in zip(before, after) {
      print(
        "| \(question.name) | \(Self.milliseconds(question.cost)) | \(Self.milliseconds(grown.cost)) | \(String(format: "%.2f", grown.cost / question.cost)) | \(question.rows), \(grown.rows) |"
      )
    }
    fflush(nil)
    try await dropDay(register, server)
  }

  private func fill(
    _ generator: RegisterGenerator, _ register: Register, from: Int, to: Int
  ) async throws -> [ServiceID] {
    let began = ContinuousClock.now
    try await generator.add(from: from, to: to)
    FileHandle.standardError.write(Data("recordings \(to): \(ContinuousClock.now - began)\n".utf8))
    return try await register.services().map(\.id)
  }

  private func measure(_ register: Register, _ services: [ServiceID]) async throws -> [(
    name: String, cost: Double, rows: Int
  )] {
    let noon = UTCTime(microseconds: 1_775_041_200_000_000)
    let day = (from: noon.adding(seconds: -12 * 3600), to: noon.adding(seconds: 12 * 3600))
    func page(_ name: String, _ view: RegisterView, _ filter: RegisterFilter) -> (
      String, @Sendable () async throws -> Int
    ) {
      (
        name,
        {
          // A page that is full in both registers: what is compared is the register's size, not the page's.
          var filter = filter
          filter.limit = 20
          guard let page = try await register.page(view, filter, services: services) else {
            throw Complaint(description: "\(name): the register has no such view or filter")
          }
          return page.rows.count
        }
      )
    }
    // Every view by itself, of a day, and by every filter that it has.
    let samples: [RegisterFilter.Key: String] = [
      .account: "account-7", .agent: "M-17", .camera: "CAM-1-17", .act: "viewing.joined", .unjustified: "yes",
      .recording: RegisterGenerator.identifier("recording", 1234),
      .incident: RegisterGenerator.identifier("incident", 1234),
      .service: "service 1",
    ]
    var pages: [(String, @Sendable () async throws -> Int)] = []
    for view in RegisterView.allCases {
      pages.append(page("\(view.rawValue), newest", view, RegisterFilter()))
      pages.append(page("\(view.rawValue) of a day", view, RegisterFilter(from: day.from, to: day.to)))
      for key in register.filters(of: view) {
        let value =
          switch key {
          case .state: register.states(of: view).first ?? "closed"
          case .reference: view == .recordings ? "INT-1234" : view == .requests ? "DPO-7" : "PV-100"
          default: samples[key] ?? ""
          }
        pages.append(page("\(view.rawValue) by \(key.rawValue)", view, RegisterFilter([key: value])))
      }
    }
    pages.append(
      page(
        "recordings of a camera on a day", .recordings,
        RegisterFilter([.camera: "CAM-1-17"], from: day.from, to: day.to)))
    let others: [(String, @Sendable () async throws -> Int)] = [
      (
        "day view: counts of 180 days",
        {
          try await register.dayCounts(
            services: services, from: LocalDate(year: 2026, month: 1, day: 1),
            to: LocalDate(year: 2026, month: 6, day: 30)
          ).count
        }
      ),
      (
        "what is overdue",
        {
          try await register.planned(
            until: LocalDate(year: 2026, month: 6, day: 30), services: services, limit: 1000
          ).count
        }
      ),
      (
        "what the sweeper finds due",
        { try await register.dueParts(on: LocalDate(year: 2026, month: 6, day: 30), limit: 500, except: []).count }
      ),
    ]
    var out: [(name: String, cost: Double, rows: Int)] = []
    for (name, ask) in pages + others {
      let rows = try await ask()
      var costs: [Double] = []
      for _ in 0..<runs {
        let start = ContinuousClock.now
        _ = try await ask()
        costs.append((ContinuousClock.now - start) / .seconds(1))
      }
      out.append((name, costs.sorted()[runs / 2], rows))
    }
    return out
  }

  /// A term day's index goes as a whole, once its parts are gone.
  private func dropDay(_ register: Register, _ server: Pool) async throws {
    let day = LocalDate(year: 2026, month: 7, day: 1)
    let due = try await register.dueParts(on: day, limit: 1_000_000, except: [])
    let start = ContinuousClock.now
    for part in due {
      try await register.eraseFacts(
        of: part.part, recording: part.recording, certificate: 0, at: UTCTime(microseconds: 1_782_900_000_000_000))
    }
    let erased = ContinuousClock.now
    let dropped = try await register.dropIndex(until: day)
    print(
      "term day: facts of \(due.count) parts erased in \(erased - start), index of \(dropped) day dropped in \(ContinuousClock.now - erased)"
    )
  }

  private static func milliseconds(_ seconds: Double) -> String { String(format: "%.2f", 1000 * seconds) }
}
