internal import Doctrine
internal import Foundation
internal import Journal
internal import Logging
internal import Seams
internal import Vault

/// The upkeep of the keys, and a new master key.
///
/// A new master key: (1) the administrator's command puts it before the old one in the file; (2) the keeper reads the file,
/// seals day keys, passphrases and second factors under the new one; what is done is left, so that a stop in between is
/// gone on with by asking again; (3) the command takes the old one out of the file; (4) the keeper forgets it.
// P6, STO-4.
extension Keeper {
  static let passphrasePurpose = "plastron/register/v1/passphrase"
  /// Turns of the slow clock between two looks at the copies.
  static let turnsPerUpkeep = 30

  /// Makes up for what a copy has lost, and the daily backup.
  func keepKeys() async {
    let keys = self.keys
    let now_s = clock().seconds
    let outcome = await BlockingWork.run {
      // The backup is made whatever the second copy does.
      let outcomes = [Result { try keys.mendCopies() }, Result { _ = try keys.backUp(now_s: now_s) }]
      return Result { for outcome in outcomes { try outcome.get() } }
    }
    let before = keysProblem
    switch outcome {
    case .success: keysProblem = nil
    case .failure(let error):
      keysProblem = "\(error)"
      logger.critical("a copy of the keys cannot be made", metadata: ["error": "\(error)"])
    }
    if before != keysProblem { publishWall() }
  }

  func rotateMasterKey(by author: String, _ who: [String: CanonicalJSON]) async throws -> AdminReply {
    guard try keys.reloadMasters() == 2 else {
      throw Problem(
        409, "no-new-key", "Pas de nouvelle clé (No new key)",
        "Le keeper ne lit qu'une clé maîtresse : donnez-lui le nouveau fichier (avec systemd : systemctl restart plastron-keeper), puis recommencez. (The keeper reads one key only: restart it, then again.)"
      )
    }
    try await scribe.write(.modification, "keys.rotation-begun", author: author, service: nil, who)
    let keys = self.keys
    let dayKeys = try await BlockingWork.attempt { try keys.resealDayKeys() }
    let secrets = try await resealSecrets()
    remembered = nil
    await remember()
    let now_s = clock().seconds
    _ = try await BlockingWork.attempt { try keys.backUp(now_s: now_s, force: true) }
    try await scribe.write(
      .modification, "keys.rotated", author: author, service: nil,
      who.merging(["day_keys": .integer(Int64(dayKeys)), "secrets": .integer(Int64(secrets))]) { $1 })
    return .resealed(dayKeys: dayKeys, secrets: secrets)
  }

  func retireMasterKey(by author: String, _ who: [String: CanonicalJSON]) async throws -> AdminReply {
    guard try keys.reloadMasters() == 1 else {
      throw Problem(
        409, "two-keys", "Deux clés (Two keys)",
        "Le fichier de la clé maîtresse en contient encore deux : plastron keys rotate. (The file still holds two.)")
    }
    try await scribe.write(.modification, "keys.old-master-forgotten", author: author, service: nil, who)
    return .done
  }

  /// Passphrases and second factors; returns how many were sealed anew.
  private func resealSecrets() async throws -> Int {
    var count = 0
    for secret in try await store.sealedSecrets() {
      let purpose = secret.kind == .passphrase ? Self.passphrasePurpose : Self.secondFactorPurpose
      guard let again = try keys.resealed(secret.sealed, purpose: purpose, subject: secret.subject) else { continue }
      // One that was changed meanwhile is under the new key already.
      try await store.reseal(secret, as: again)
      if secret.kind == .passphrase { cameras[CameraID(secret.subject)]?.passphraseSealed = again }
      count += 1
    }
    return count
  }
}
