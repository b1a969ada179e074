internal import Glibc

/// A failed operation on footage, key or journal files.
package struct VaultError: Error, Equatable, Sendable, CustomStringConvertible {
  package var operation: String
  package var path: String
  /// errno, 0 where the system did not fail.
  package var number: Int32
  package var message: String

  package init(_ operation: String, _ path: String, number: Int32 = 0, _ message: String) {
    self.operation = operation
    self.path = path
    self.number = number
    self.message = message
  }

  /// Reads errno in the same synchronous call that failed.
  static func system(_ operation: String, _ path: String) -> VaultError {
    let number = errno
    return VaultError(operation, path, number: number, String(cString: strerror(number)))
  }

  package var description: String { "\(operation) \(path): \(message)" }
}
