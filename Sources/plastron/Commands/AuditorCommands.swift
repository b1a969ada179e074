import ArgumentParser
import Doctrine
import Foundation
import Seams

struct RegisterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "register", abstract: "Registre (register), JSON ou CSV.",
    discussion: """
      Vues : \(RegisterView.allCases.map(\.rawValue).joined(separator: ", ")), completeness.
      Une page a --limit lignes ; --after donne la suite (« next » de la réponse).
      """)
  @OptionGroup var login: AccountOption
  @Argument(help: "Vue (view)") var view = "recordings"
  @Option(help: "json, csv") var format = "json"
  @Option var service: String?
  @Option(help: "Matricule ou nom") var agent: String?
  @Option var camera: String?
  @Option var incident: String?
  @Option var recording: String?
  @Option(help: "open, closed, erased") var state: String?
  @Option(help: "Compte qui a agi (account that acted)") var by: String?
  @Option(help: "Numéro de procédure ou d'intervention") var reference: String?
  @Option var act: String?
  @Option(help: "RFC 3339, ou jour pour completeness") var from: String?
  @Option(help: "RFC 3339, ou jour pour completeness") var to: String?
  @Option var limit: Int?
  @Option var after: String?

  func validate() throws {
    guard ["json", "csv"].contains(format) else { throw ValidationError("--format: json or csv") }
    guard view == "completeness" || RegisterView(rawValue: view) != nil else {
      throw ValidationError("view: \(RegisterView.allCases.map(\.rawValue).joined(separator: ", ")), completeness")
    }
  }

  func run() async throws {
    var components = URLComponents()
    components.queryItems =
      [
        ("service", service), ("agent", agent), ("camera", camera), ("incident", incident), ("recording", recording),
        ("state", state), ("account", by), ("reference", reference), ("act", act), ("from", from), ("to", to),
        ("limit", limit.map(String.init)), ("after", after), ("format", view == "completeness" ? nil : format),
      ].compactMap { name, value in value.map { URLQueryItem(name: name, value: $0) } }
    let query = components.percentEncodedQuery.map { "?\($0.replacing("+", with: "%2B"))" } ?? ""
    let path = view == "completeness" ? "/completeness" : "/register/\(view)"
    try await login.with { session in
      print(String(decoding: try await session.send("GET", path + query, nil), as: UTF8.self))
    }
  }
}

struct Refusals: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Flux refusés et leur vraie raison (refused streams).")
  @OptionGroup var login: AccountOption
  @Option var limit = 50
  @Flag(help: "JSON") var json = false

  private struct Line: Decodable {
    var at: String
    var camera: String?
    var peer: String
    var code: String
    var sentence: String
    var count: Int
  }

  func run() async throws {
    try await login.with { session in
      let data = try await session.send("GET", "/refusals?limit=\(limit)", nil)
      if json {
        print(String(decoding: data, as: UTF8.self))
        return
      }
      for line in try JSONDecoder().decode([Line].self, from: data) {
        print("\(line.at)  \(line.camera ?? "-")  \(line.peer)  ×\(line.count)  \(line.code): \(line.sentence)")
      }
    }
  }
}

struct IncidentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "incident", abstract: "Incidents.", subcommands: [Close.self])

  struct Close: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Clôt un incident, comme opérateur.")
    @OptionGroup var login: AccountOption
    @Argument var incident: String

    func run() async throws {
      try await login.with { try await $0.send("POST", "/incidents/\(incident)/close", nil) }
      print("ok")
    }
  }
}

struct FootageCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "footage", abstract: "Enregistrements.", subcommands: [Export.self, Check.self, Reindex.self])

  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Extrait un enregistrement, avec motif et référence (journalled communication).")
    @OptionGroup var login: AccountOption
    @Option var recording: String
    @Option(help: "Fichier du flux d'origine (transport stream, as sent).") var ts: String?
    @Option(help: "Fichier MP4 dérivé, sans réencodage.") var mp4: String?
    @Option(help: "judicial, administrative, disciplinary") var reason: String
    @Option(help: "Numéro de procédure") var reference: String

    func validate() throws {
      guard ["judicial", "administrative", "disciplinary", "training"].contains(reason) else {
        throw ValidationError("--reason: judicial, administrative or disciplinary")
      }
    }

    func run() async throws {
      let wanted = [("ts", ts), ("mp4", mp4)].compactMap { form, path in path.map { (form, $0) } }
      guard !wanted.isEmpty else { throw Complaint(description: "name a file: --ts FILE or --mp4 FILE") }
      try await login.with { session in
        for (form, path) in wanted {
          guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
            let file = FileHandle(forWritingAtPath: path)
          else { throw Complaint(description: "cannot write \(path)") }
          var count = 0
          do {
            try await session.stream(
              "POST", "/recordings/\(recording)/extraction",
              ["reason": reason, "reference": reference, "form": form]
            ) { bytes in
              try file.write(contentsOf: Data(bytes))
              count += bytes.count
            }
          } catch {
            // What broke off must not lie about as if it were whole.
            try? file.close()
            try? FileManager.default.removeItem(atPath: path)
            if error is Complaint { throw error }
            throw Complaint(
              description:
                "the extraction broke off after \(count) bytes: `plastron footage check` tells whether the recording is damaged"
            )
          }
          try file.close()
          print("\(path): \(count) bytes")
        }
      }
    }
  }

  struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare fichiers et index ; finit par 2 s'ils ne s'accordent pas (files against index).")
    @OptionGroup var login: AccountOption

    private struct Report: Decodable {
      struct Finding: Decodable {
        var recording: String
        var part: String
        var code: String
        var sentence: String
      }
      var checked: Int
      var findings: [Finding]
      var strays: [String]
    }

    func run() async throws {
      var agrees = true
      try await login.with { session in
        let report = try JSONDecoder().decode(Report.self, from: try await session.send("GET", "/footage/check", nil))
        for finding in report.findings {
          print("recording \(finding.recording) part \(finding.part): \(finding.code): \(finding.sentence)")
        }
        for stray in report.strays { print("no index row for \(stray)") }
        print("parts checked: \(report.checked), findings: \(report.findings.count), strays: \(report.strays.count)")
        agrees = report.findings.isEmpty && report.strays.isEmpty
      }
      if !agrees { throw ExitCode(2) }
    }
  }

  struct Reindex: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Reconstruit le registre à partir des fichiers, quand la base est perdue et neuve (rebuilds the register).",
      discussion: """
        Services, agents, enregistrements, conservations, procédures, régimes et effacements reviennent des enregistrements, du
        journal et des clés. Caméras et comptes sont à refaire ; l'effaceur attend « plastron admin confirm-clock ».
        (Cameras and accounts are to be made again.)
        """)
    @OptionGroup var options: ActOptions

    func run() async throws {
      var shown = ""
      _ = try await AdministratorLink.call(options, .reindex)
      while true {
        guard case .reindexing(let progress) = try await AdministratorLink.call(options, .reindexProgress) else {
          return
        }
        let line = progress.outcome ?? "\(progress.done) of \(progress.total)"
        if line != shown { print(line) }
        shown = line
        if progress.outcome != nil { return }
        try await Task.sleep(for: .seconds(1))
      }
    }
  }
}
