internal import Seams
internal import Doctrine
import ArgumentParser
import Foundation
import Journal
import Postgres
import Registry
import Vault

/// What a third party does with a journal: offline, with the public key only.
struct JournalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Journal : export, vérification, preuves (offline, public key only).",
    subcommands: [Export.self, Verify.self, Prove.self, Compare.self, Purge.self])

  /// A verifier key, given as text or as a file that holds it.
  static func key(_ text: String) throws -> VerifierKey {
    let content = (try? String(contentsOfFile: text, encoding: .utf8)) ?? text
    guard let key = VerifierKey(content.trimmingCharacters(in: .whitespacesAndNewlines)) else {
      throw Complaint(
        description:
          "--key: \(text) is neither a key nor a file with one (<name>+<id>+<base64>, as in journal/public-key)")
    }
    return key
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Vérifie un export ou un dossier de journal ; finit par 2 s'il n'est pas ce qui fut signé.")
    @Argument(help: "Dossier (export, or a node's journal folder)") var folder: String
    @Option(help: "Clé publique ou fichier (public key or file)") var key: String
    @Option(help: "Point de contrôle vu auparavant (a checkpoint seen before); repeatable") var against: [String] = []
    @Flag(help: "JSON") var json = false

    private struct Report: Encodable {
      struct Finding: Encodable {
        var code: String
        var position: UInt64?
        var sentence: String
      }
      var holds: Bool
      var size: UInt64?
      var root: String?
      var entries: UInt64
      var withheld: UInt64
      var purged: UInt64
      var findings: [Finding]
    }

    func run() throws {
      guard FileManager.default.fileExists(atPath: folder) else { throw Complaint(description: "no folder \(folder)") }
      let earlier = try against.map { path in
        guard let note = try? String(contentsOfFile: path, encoding: .utf8) else {
          throw Complaint(description: "--against: cannot read \(path)")
        }
        return note
      }
      let report = try JournalVerifier.verify(
        JournalFolder(path: folder), trusting: try JournalCommand.key(key), against: earlier)
      if json {
        let shape = Report(
          holds: report.holds, size: report.checkpoint?.size, root: report.checkpoint.map { Base64.encode($0.root) },
          entries: report.entries, withheld: report.withheld, purged: report.purged,
          findings: report.findings.map {
            .init(code: $0.code.rawValue, position: $0.position, sentence: $0.sentence)
          })
        print(String(decoding: try JSONEncoder().encode(shape), as: UTF8.self))
      } else {
        for finding in report.findings { print("\(finding.code.rawValue): \(finding.sentence)") }
        if let checkpoint = report.checkpoint {
          print(
            "signed: \(checkpoint.size) entries by \(checkpoint.origin); read: \(report.entries), withheld: \(report.withheld), purged: \(report.purged)"
          )
        }
        print(report.holds ? "the journal is what was signed" : "the journal is NOT what was signed")
      }
      if !report.holds { throw ExitCode(2) }
    }
  }

  struct Prove: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Écrit la preuve qu'une entrée est dans le journal signé, ou en vérifie une (--check).")
    @Argument(help: "Dossier, ou avec --check le fichier de la preuve (folder, or the proof's file)") var subject:
      String
    @Option(help: "Position de l'entrée (of the entry)") var position: UInt64?
    @Flag(help: "Vérifie la preuve (checks a proof)") var check = false
    @Option(help: "Clé publique ou fichier, pour --check") var key: String?

    func run() throws {
      guard check else {
        guard let position else { throw Complaint(description: "--position N: which entry?") }
        return print(try JournalFolder(path: subject).proof(of: position), terminator: "")
      }
      guard let key else { throw Complaint(description: "--check needs --key") }
      guard let text = try? String(contentsOfFile: subject, encoding: .utf8), let proof = InclusionProofNote(text)
      else {
        throw Complaint(description: "\(subject) is not a proof")
      }
      guard let checkpoint = proof.verified(by: try JournalCommand.key(key)) else {
        print("the proof does NOT hold")
        throw ExitCode(2)
      }
      print(String(decoding: proof.entry, as: UTF8.self))
      print("is entry \(proof.position) of the \(checkpoint.size) signed by \(checkpoint.origin)")
    }
  }

  struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Écrit un journal à remettre à un tiers : par un compte d'auditeur, ou --folder sur la machine.",
      discussion: """
        Par un compte, on reçoit les entrées de ses services et celles du nœud ; des autres, l'empreinte seule.
        (By an account: the entries of one's services and the node's; of the others the hash only.)
        """)
    @Argument(help: "Dossier à créer (folder to make)") var out: String
    @Option(help: "Dossier du journal du nœud, hors ligne (the node's journal folder, offline)") var folder: String?
    @OptionGroup var options: ConfigurationOption
    @OptionGroup var password: PasswordOption
    @Option var code: String?
    @Option(help: "Compte (account name)") var account: String?
    @Option(help: "Adresse de la console (console URL).") var server: String?
    @Option(help: "Certificat de confiance, PEM (trusted certificate).") var ca: String?

    func run() async throws {
      if let folder {
        let size = try JournalExport.write(JournalFolder(path: folder), to: out)
        return print("\(out): \(size) entries")
      }
      guard let account else { throw Complaint(description: "--account NAME, or --folder on the node itself") }
      var login = AccountOption()
      login.options = options
      login.password = password
      login.code = code
      login.account = account
      login.server = server
      login.ca = ca
      try await login.with { try await export($0) }
    }

    private func export(_ session: APISession) async throws {
      let note = String(decoding: try await session.send("GET", "/journal/checkpoint", nil), as: UTF8.self)
      guard let checkpoint = SignedNote(note)?.checkpoint else {
        throw Complaint(description: "the server gave no checkpoint: try again in a second")
      }
      let rotations = try JSONDecoder().decode(
        [String].self, from: try await session.send("GET", "/journal/rotations", nil))
      try JournalExport.head(note: note, rotations: rotations, to: out)
      var lines = Data()
      var from: UInt64 = 0
      while from < checkpoint.size {
        let limit = min(1024, checkpoint.size - from)
        let (body, headers) = try await session.get("/journal/entries?from=\(from)&limit=\(limit)")
        lines += body
        if from == 0 {
          let services = headers["x-plastron-scope"] ?? ""
          try JournalExport.file(
            "scope", Array(services.split(separator: " ").map { "\($0)\n" }.joined().utf8), in: out)
        }
        from += limit
      }
      try JournalExport.file("entries", Array(lines), in: out)
      for tile in JournalExport.plan(size: checkpoint.size) {
        let bytes = try await session.send("GET", "/journal/tiles/\(tile.level)/\(tile.index)?width=\(tile.width)", nil)
        try JournalExport.file(tile.path, Array(bytes), in: out)
      }
      print("\(out): \(checkpoint.size) entries signed, \(lines.split(separator: 0x0A).count) of them shown")
    }
  }

  struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare l'index en base aux fichiers du journal ; finit par 2 s'ils diffèrent (index against files).")
    @OptionGroup var login: AccountOption

    private struct Answer: Decodable {
      var differences: [UInt64]
      var next: UInt64?
    }

    func run() async throws {
      var count = 0
      try await login.with { session in
        var from: UInt64? = 0
        while let start = from {
          let answer = try JSONDecoder().decode(
            Answer.self, from: try await session.send("GET", "/journal/comparison?from=\(start)", nil))
          for position in answer.differences { print("entry \(position): the index is not what the files say") }
          count += answer.differences.count
          from = answer.next
        }
      }
      print(count == 0 ? "index and files agree" : "differences: \(count)")
      if count > 0 { throw ExitCode(2) }
    }
  }

  struct Purge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Purge les entrées de plus de trois ans ; leurs empreintes restent (bodies older than three years).",
      discussion: """
        Les fichiers par le keeper, l'index par le rôle plastron_purger : PLASTRON_PURGE_DATABASE_URL, ou la base
        embarquée. (Files by the keeper, the index by a role of its own.)
        """)
    @OptionGroup var options: ConfigurationOption

    func run() async throws {
      let settings = try await options.settings()
      let reply = try await AdministratorLink.call(
        settings, .purgeJournal, reason: "purge des corps de plus de trois ans (LOG-5)")
      AdministratorLink.show(reply)
      let url = try settings.purgeDatabaseURL ?? EmbeddedPostgres.conninfo(settings, "plastron_purger")
      let pool = Pool(conninfo: url, connections: 1)
      defer { pool.close() }
      let before = SystemClocks.wall().adding(seconds: -1096 * 86_400)
      let register = Register(pool: pool, node: "")
      print("index: \(try await register.purgeJournal(before: before)) entries purged")
      print("refusals: \(try await register.purgeRefusals(before: before)) purged")
    }
  }
}
