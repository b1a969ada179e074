/// What an object store refused, or why it cannot be used.
package struct ObjectStoreError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Equatable, Sendable {
    /// It does not answer, or answers that it cannot now: tried again later.
    case unavailable
    case refused
    case notFound = "not-found"
    /// The bucket would keep what is deleted: versions, locks or replicas.
    case keepsWhatIsDeleted = "keeps-what-is-deleted"
    /// What is stored is not what was sent.
    case notWhatWasSent = "not-what-was-sent"
    case configuration
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { "\(code.rawValue): \(message)" }
}
