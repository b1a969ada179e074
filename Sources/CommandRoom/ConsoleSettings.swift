/// What the console process is configured with.
package struct ConsoleSettings: Sendable {
  package var host: String
  package var port: Int
  package var deviceHost: String
  package var devicePort: Int
  package var certificatePath: String
  package var keyPath: String
  package var footageRoot: String
  /// The sandboxed decoder's program; nil switches the check off.
  package var imagingProgram: String?

  package init(
    host: String, port: Int, deviceHost: String, devicePort: Int, certificatePath: String, keyPath: String,
    footageRoot: String, imagingProgram: String?
  ) {
    self.host = host
    self.port = port
    self.deviceHost = deviceHost
    self.devicePort = devicePort
    self.certificatePath = certificatePath
    self.keyPath = keyPath
    self.footageRoot = footageRoot
    self.imagingProgram = imagingProgram
  }
}
