import Archive
import AsyncHTTPClient
import Foundation
import Logging
import ObjectStore
import Seams

/// Puts the archive together: the store, the footage folder, the keeper's socket.
enum ArchiveRole {
  static func store(_ settings: Settings) throws -> ObjectStore {
    guard let location = settings.objects else {
      throw Settings.Invalid(description: "objects.url is not set: there is nothing for the archive to do")
    }
    return try ObjectStore(
      location, credentials: SignatureV4.Credentials(file: settings.objectsCredentialsPath),
      authorities: settings.objectsCAPath)
  }

  static func run(_ settings: Settings, logger: Logger) async throws {
    // P4: what is moved must not cost what is recorded.
    Precedence.stepBack()
    let http = SeamClient<ArchiveCall, ArchiveReply, ArchiveNotice>.makeHTTPClient()
    let store = try store(settings)
    logger.notice("archive ready", metadata: ["store": "\(store.location.origin)/\(store.location.bucket)"])
    await ArchiveService(
      store: store, footageRoot: settings.footageFolder,
      keeper: SeamClient(client: http, socketPath: settings.keeperForArchive, peer: "keeper"), logger: logger
    ).run()
    try? await http.shutdown()
  }
}
