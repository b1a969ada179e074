import Crypto
import Doctrine
import Foundation
import SwiftASN1
import Vault
import X509

/// What a new data folder needs: keys, a certificate, the node's name. What is there is left as it is.
enum Setup {
  static func prepare(_ settings: Settings) throws {
    try Directories.make(settings.dataFolder, mode: 0o755)
    try Directories.make(settings.keysFolder, mode: 0o700)
    try Directories.make(settings.runFolder, mode: 0o750)
    try Directories.make(settings.footageFolder, mode: 0o750)
    try prepareMasterKey(settings)
    try prepareCertificate(settings)
    _ = try nodeID(settings)
  }

  /// A master key is made once, in an empty folder: another one would open nothing of what is there.
  private static func prepareMasterKey(_ settings: Settings) throws {
    let files = FileManager.default
    guard !files.fileExists(atPath: settings.masterKeyPath) else { return }
    let used =
      files.fileExists(atPath: settings.journalFolder + "/tile/entries")
      || !Directories.names(in: settings.dayKeysFolder).isEmpty
    guard !used else {
      throw Settings.Invalid(
        description:
          "keys.master: \(settings.masterKeyPath) is not there, and the data folder is in use: put the key back")
    }
    try MasterKeyFile.create(at: settings.masterKeyPath)
  }

  /// A self-signed pair is made where neither file is; nothing of an operator's is ever written over.
  private static func prepareCertificate(_ settings: Settings) throws {
    let files = FileManager.default
    let present = [settings.certificatePath, settings.certificateKeyPath].filter { files.fileExists(atPath: $0) }
    if present.isEmpty {
      try makeCertificate(settings)
    } else if present.count == 1 {
      throw Settings.Invalid(
        description:
          "tls.certificate \(settings.certificatePath) and tls.key \(settings.certificateKeyPath): only \(present[0]) is there"
      )
    }
  }

  static func nodeID(_ settings: Settings) throws -> String {
    if let known = try? Directories.read(settings.nodePath, limit: 64) {
      return String(decoding: known, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    let id = UUID().uuidString.lowercased()
    try Directories.replace(settings.nodePath, with: Array((id + "\n").utf8))
    return id
  }

  /// A self-signed certificate for a first start; a service puts its own in its place.
  private static func makeCertificate(_ settings: Settings) throws {
    let key = P256.Signing.PrivateKey()
    let certificateKey = Certificate.PrivateKey(key)
    let name = try DistinguishedName {
      CommonName(settings.certificateNames.first ?? "localhost")
      OrganizationName("Plastron")
    }
    let alternatives: [GeneralName] = settings.certificateNames.map { name in
      let octets = name.split(separator: ".").compactMap { UInt8($0) }
      return octets.count == 4 ? .ipAddress(ASN1OctetString(contentBytes: octets[...])) : .dnsName(name)
    }
    let now = Date()
    let certificate = try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: certificateKey.publicKey,
      notValidBefore: now.addingTimeInterval(-300), notValidAfter: now.addingTimeInterval(397 * 86_400),
      issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
        Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
        try ExtendedKeyUsage([.serverAuth])
        SubjectAlternativeNames(alternatives)
      }, issuerPrivateKey: certificateKey)
    try Directories.make(Directories.parent(of: settings.certificatePath), mode: 0o755)
    try Directories.replace(
      settings.certificateKeyPath, with: Array(key.pemRepresentation.utf8), mode: 0o600)
    try Directories.replace(
      settings.certificatePath, with: Array(try certificate.serializeAsPEM().pemString.utf8), mode: 0o644)
  }
}
