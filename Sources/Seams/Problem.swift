package import Doctrine

/// A refusal or failure that crosses a seam and ends as an answer to a person.
///
/// Specification: RFC 9457 (problem details); `article` is an extension member.
package struct Problem: Error, Equatable, Sendable, Codable, CustomStringConvertible {
  package var status: Int
  /// Stable short name; the `type` is `urn:plastron:problem:<code>`.
  package var code: String
  package var title: String
  package var detail: String
  package var article: String?

  package init(_ status: Int, _ code: String, _ title: String, _ detail: String, article: String? = nil) {
    self.status = status
    self.code = code
    self.title = title
    self.detail = detail
    self.article = article
  }

  /// A refusal by law or right.
  package init(_ refusal: Refusal) {
    self.init(
      403, refusal.code, "Acte refusé (Refused)", "\(refusal.sentence) [\(refusal.article)]",
      article: refusal.article)
  }

  package static func notFound(_ what: String) -> Problem {
    Problem(
      404, "not-found", "Introuvable (Not found)",
      "\(what) n'existe pas ou n'est pas de votre service. (No such thing in your service.)")
  }

  package static func badRequest(_ detail: String) -> Problem {
    Problem(400, "bad-request", "Demande mal formée (Bad request)", detail)
  }

  package static let unauthenticated = Problem(
    401, "unauthenticated", "Connexion requise (Log in first)",
    "La session est absente ou terminée : connectez-vous. (No session, or it has ended.)")

  package static func unavailable(_ what: String) -> Problem {
    Problem(
      503, "unavailable", "Momentanément indisponible (Unavailable)",
      "\(what) ne répond pas ; l'enregistrement continue. Réessayez dans quelques secondes. (Recording goes on; try again in a few seconds.)"
    )
  }

  /// P7: what cannot be journalled does not happen.
  package static let journalUnwritable = Problem(
    503, "journal-unwritable", "Journal indisponible (Journal unavailable)",
    "Refusé : le journal ne peut pas être écrit, donc l'acte n'a pas eu lieu ; l'enregistrement continue. Prévenez l'administrateur. (The journal cannot be written: nothing was done; recording goes on.) [CSI R241-5]",
    article: "CSI R241-5")

  package static let fault = Problem(
    500, "fault", "Erreur du serveur (Server fault)",
    "Le serveur n'a pas pu exécuter l'acte ; rien n'a été fait. Signalez l'heure à l'administrateur. (Nothing was done; report the time.)"
  )

  package var description: String { "\(status) \(code): \(detail)" }
}
