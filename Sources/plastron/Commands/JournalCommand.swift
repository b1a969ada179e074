import ArgumentParser
import Foundation
import Journal
import Vault

/// What a third party does with a journal: offline, with the public key only.
struct JournalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Journal : export, vérification, preuves (offline, public key only).",
    subcommands: [Export.self, Verify.self, Prove.self])

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
      abstract: "Écrit un journal à remettre à un tiers (from a node's folder).")
    @Argument(help: "Dossier à créer (folder to make)") var out: String
    @Option(help: "Dossier du journal du nœud (the node's journal folder)") var folder: String

    func run() async throws {
      let size = try JournalExport.write(JournalFolder(path: folder), to: out)
      print("\(out): \(size) entries")
    }
  }
}
