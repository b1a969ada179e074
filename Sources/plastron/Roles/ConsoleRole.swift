import AsyncHTTPClient
import CommandRoom
import Doctrine
import Foundation
import Logging
import ObjectStore
import Seams

/// Puts the console together.
enum ConsoleRole {
  static func run(_ settings: Settings, logger: Logger) async throws {
    // P4: what is watched must not cost what is recorded.
    Precedence.stepBack()
    let http = SeamClient<ConsoleCall, ConsoleReply, ConsoleNotice>.makeHTTPClient()
    let imaging = FileManager.default.isExecutableFile(atPath: settings.imagingProgram)
    if !imaging { logger.warning("no decode check: the imaging program is not there") }
    let objects = try settings.objects.map { location in
      try ObjectStore(
        location, credentials: SignatureV4.Credentials(file: settings.objectsReadCredentialsPath),
        authorities: settings.objectsCAPath)
    }
    defer { objects?.stop() }
    let console = ConsoleService(
      settings: .init(
        host: settings.consoleHost, port: settings.consolePort, deviceHost: settings.deviceHost,
        devicePort: settings.devicePort, metricsHost: settings.metricsHost, metricsPort: settings.metricsPort,
        certificatePath: settings.certificatePath,
        keyPath: settings.certificateKeyPath, footage: FootagePlaces(root: settings.footageFolder, objects: objects),
        imagingProgram: imaging ? settings.imagingProgram : nil, provider: try settings.provider(),
        witnessURL: settings.witnessURL),
      keeper: SeamClient(client: http, socketPath: settings.keeperForConsole, peer: "keeper"),
      ingest: SeamClient(client: http, socketPath: settings.ingestForConsole, peer: "ingest"), logger: logger)
    do { try await console.run() } catch {
      try? await http.shutdown()
      throw error
    }
    try? await http.shutdown()
  }
}
