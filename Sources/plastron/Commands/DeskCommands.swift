import ArgumentParser
import Doctrine
import Foundation

/// Prints who may do what, as the doctrine answers.
struct RightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rights", abstract: "Qui peut quoi, engendré de la doctrine (the rights matrix).")
  @Flag(help: "Chaque case, une par ligne (every cell)") var table = false

  func run() { print(table ? RightsMatrix.table : RightsMatrix.guide, terminator: "") }
}

struct AccreditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "accredit", abstract: "Habilite une personne, comme chef de service (accredits a person).")
  @OptionGroup var login: AccountOption
  @Option(help: "Service (identifiant)") var service: String
  @Option(help: "Compte à habiliter (account)") var to: String
  @Option(help: "wearer, operator, reader, auditor") var role: String
  @Option(help: "Référence de l'acte d'habilitation") var act: String
  @Option(help: "Durée en jours") var days = 365

  func run() async throws {
    guard let role = Role(rawValue: role) else {
      throw Complaint(description: "--role: \(Role.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    let until = Date().addingTimeInterval(Double(max(1, min(days, 3650))) * 86_400)
    try await login.with { session in
      let made = try await session.send(
        "POST", "/services/\(service)/accreditations",
        ["account": to, "role": role.rawValue, "act": act, "until": until.formatted(.iso8601)])
      print(String(decoding: made, as: UTF8.self))
    }
  }
}

/// Any act of the API, as a named account: what has no command of its own is done so.
struct APICommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "api", abstract: "Un acte de l'API, comme compte nommé (any act of the API).",
    discussion: """
      Les adresses et les corps sont dans le document que le serveur donne : /api/v1/openapi.json.
        plastron api POST /recordings/ID/holds --account chef --body '{"kind":"judicial",...}'
      """)
  @OptionGroup var login: AccountOption
  @Argument(help: "GET, POST, PUT, DELETE") var method: String
  @Argument(help: "Chemin après /api/v1 (path)") var path: String
  @Option(help: "Corps JSON") var body: String?

  func run() async throws {
    guard path.hasPrefix("/") else { throw Complaint(description: "the path begins with /") }
    guard path != "/wall", !path.hasSuffix("/live") else {
      throw Complaint(description: "\(path) has no end: it is for a browser, or another client that reads as it comes")
    }
    try await login.with { session in
      let answer = try await session.send(method, path, json: body.map { Data($0.utf8) })
      if !answer.isEmpty { print(String(decoding: answer, as: UTF8.self)) }
    }
  }
}

struct RetentionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retention", abstract: "Terme et effacement.", subcommands: [Plan.self])

  struct Plan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ce qui serait effacé jusqu'à un jour, sans rien effacer (dry run).")
    @OptionGroup var login: AccountOption
    @Option(help: "aaaa-mm-jj") var until: String

    private struct Answer: Decodable {
      struct Part: Decodable {
        var recording: String
        var part: String
        var day: String
        var term: String
      }
      struct Warning: Decodable {
        var recording: String
        var reference: String
        var term: String
      }
      var erased: [Part]
      var warnings: [Warning]
    }

    func run() async throws {
      guard LocalDate(until) != nil else { throw Complaint(description: "--until: \(until) is not a day yyyy-mm-dd") }
      try await login.with { session in
        let answer = try JSONDecoder().decode(
          Answer.self, from: try await session.send("GET", "/retention/plan?until=\(until)", nil))
        for part in answer.erased {
          print("\(part.term)  recording \(part.recording)  part \(part.part)  of \(part.day)")
        }
        for warning in answer.warnings {
          print(
            "WARNING  \(warning.term)  recording \(warning.recording) is of procedure \(warning.reference) and not held"
          )
        }
        print("to be erased by \(until): \(answer.erased.count)")
      }
    }
  }
}
