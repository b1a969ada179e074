import ArgumentParser
import Foundation
import Journal

/// What shows a third party that a recording was erased, and when: its certificates, each with its proof.
struct ErasureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "erasure", abstract: "Effacements (erasures).", subcommands: [Prove.self])

  struct Prove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Écrit les certificats d'effacement d'un enregistrement, chacun avec sa preuve au journal signé.",
      discussion: """
        Un texte par partie de l'enregistrement, à remettre tel quel ; « plastron journal prove --check FICHIER --key CLÉ »
        le vérifie hors ligne, avec la première clé publique du journal. (One proof a part, checked offline.)
        """)
    @OptionGroup var login: AccountOption
    @Option(help: "Enregistrement (recording)") var recording: String
    @Option(help: "Dossier où écrire une preuve par fichier ; sinon à l'écran (a folder, one proof a file)") var out:
      String?

    private struct Page: Decodable {
      struct Row: Decodable { var position: UInt64 }
      var rows: [Row]
    }

    func run() async throws {
      try await login.with { session in
        var components = URLComponents()
        components.queryItems = [
          URLQueryItem(name: "recording", value: recording), URLQueryItem(name: "limit", value: "1000"),
        ]
        let page = try JSONDecoder().decode(
          Page.self,
          from: try await session.send("GET", "/register/erasures?\(components.percentEncodedQuery ?? "")", nil))
        guard !page.rows.isEmpty else {
          throw Complaint(description: "no certificate of \(recording): not erased, or not of a service of yours")
        }
        for position in page.rows.map(\.position).sorted() {
          let proof = String(
            decoding: try await session.send("GET", "/journal/proofs/\(position)", nil), as: UTF8.self)
          guard let out else {
            print(proof, terminator: "")
            continue
          }
          try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
          let path = "\(out)/certificate-\(position).txt"
          try proof.write(toFile: path, atomically: true, encoding: .utf8)
          print(path)
        }
      }
    }
  }
}
