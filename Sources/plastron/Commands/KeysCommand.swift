import ArgumentParser
import Foundation
import Seams
import Vault

/// The master key, on the server's machine.
struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Clés du serveur (the server's keys).", subcommands: [Rotate.self])

  struct Rotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Change la clé maîtresse : tout ce qu'elle scelle est scellé sous la nouvelle.",
      discussion: """
        À lancer par qui peut écrire le fichier de la clé (root). Un arrêt en cours de route ne perd rien : relancez. Copiez
        ensuite la nouvelle clé hors ligne ; gardez l'ancienne tant que d'anciennes sauvegardes de la base servent.
        (Run again after any stop. Then copy the new key offline.)
        """)
    @OptionGroup var options: ActOptions

    func run() async throws {
      let path = try await options.configuration.settings().masterKeyPath
      do throws(VaultError) {
        if try MasterKeyFile.begin(path) { print("a new master key stands before the old one in \(path)") }
      } catch {
        throw Complaint(description: "\(error): run this as a user who may write it")
      }
      AdministratorLink.show(try await AdministratorLink.call(options, .rotateMasterKey))
      try MasterKeyFile.finish(path)
      do { _ = try await AdministratorLink.call(options, .retireMasterKey) } catch {
        print("the keeper still remembers the old key: restart it")
        throw error
      }
      print("done: \(path) holds the new key alone. Copy it offline now.")
    }
  }
}
