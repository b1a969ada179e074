/// What is wrong with a piece of footage, where, in a sentence.
package struct FootageError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Equatable, Sendable {
    case truncated
    case notAMaster = "not-a-master"
    case chainBroken = "chain-broken"
    case indexOutOfOrder = "index-out-of-order"
    case tooLarge = "too-large"
    case notAuthentic = "not-authentic"
    case plaintextMismatch = "plaintext-mismatch"
    case keyRefused = "key-refused"
    case malformed
    case afterClose = "after-close"
  }

  package var code: Code
  /// Byte offset in the file.
  package var offset: Int
  package var detail: String

  package init(_ code: Code, offset: Int, _ detail: String) {
    self.code = code
    self.offset = offset
    self.detail = detail
  }

  package var description: String { "\(code.rawValue) at byte \(offset): \(detail)" }
}
