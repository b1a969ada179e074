internal import CSRT

/// A failed libsrt call: which, the library's code and its words. Never a passphrase or a stream id.
package struct SRTError: Error, Equatable, Sendable, CustomStringConvertible {
  package var operation: String
  package var code: Int32
  package var message: String

  package init(operation: String, code: Int32, message: String) {
    self.operation = operation
    self.code = code
    self.message = message
  }

  /// Reads the calling thread's last error, in the same synchronous call that failed.
  static func last(_ operation: String) -> SRTError {
    var system: Int32 = 0
    let code = srt_getlasterror(&system)
    return SRTError(operation: operation, code: code, message: String(cString: srt_getlasterror_str()))
  }

  package var description: String { "\(operation): \(message) (\(code))" }
}
