/// What the console process is configured with.
package struct ConsoleSettings: Sendable {
  package var host: String
  package var port: Int
  package var deviceHost: String
  package var devicePort: Int
  /// Where metrics are served, in clear; port 0: nowhere.
  package var metricsHost: String
  package var metricsPort: Int
  package var certificatePath: String
  package var keyPath: String
  package var footage: FootagePlaces
  /// The sandboxed decoder's program; nil switches the check off.
  package var imagingProgram: String?
  /// The other way in; nil: passwords only.
  package var provider: ProviderSettings?
  /// A witness of the journal's checkpoints; nil: none is told.
  package var witnessURL: String?

  package init(
    host: String, port: Int, deviceHost: String, devicePort: Int, metricsHost: String, metricsPort: Int,
    certificatePath: String, keyPath: String,
    footage: FootagePlaces, imagingProgram: String?, provider: ProviderSettings?,
    witnessURL: String?
  ) {
    self.host = host
    self.port = port
    self.deviceHost = deviceHost
    self.devicePort = devicePort
    self.metricsHost = metricsHost
    self.metricsPort = metricsPort
    self.certificatePath = certificatePath
    self.keyPath = keyPath
    self.footage = footage
    self.imagingProgram = imagingProgram
    self.provider = provider
    self.witnessURL = witnessURL
  }
}

/// An OpenID Connect provider, as this console is known to it.
package struct ProviderSettings: Sendable {
  package var issuer: String
  package var clientID: String
  /// Secret; nil: a public client, which PKCE alone protects.
  package var clientSecret: String?
  /// The console's own address that the provider sends people back to.
  package var redirect: String
  /// Certificates that the provider's is checked against, PEM; nil: the system's.
  package var certificateAuthorities: String?

  package init(
    issuer: String, clientID: String, clientSecret: String?, redirect: String, certificateAuthorities: String?
  ) {
    self.issuer = issuer
    self.clientID = clientID
    self.clientSecret = clientSecret
    self.redirect = redirect
    self.certificateAuthorities = certificateAuthorities
  }
}
