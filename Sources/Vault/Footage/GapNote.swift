internal import Foundation

/// The sealed body of a gap chunk. Specification: docs/footage-format.md.
package struct GapNote: Equatable, Sendable, Codable {
  /// The cause of a gap whose packets are the transport stream's: the camera left them out.
  static let encoderCause = "encoder"

  package var from_us: Int64
  package var to_us: Int64
  package var cause: String

  package init(from_us: Int64, to_us: Int64, cause: String) {
    self.from_us = from_us
    self.to_us = to_us
    self.cause = cause
  }

  package var encoded: [UInt8] {
    Array("{\"cause\":\"\(cause)\",\"from_us\":\(from_us),\"to_us\":\(to_us)}".utf8)
  }

  package static func decode(_ bytes: [UInt8]) -> GapNote? {
    try? JSONDecoder().decode(GapNote.self, from: Data(bytes))
  }
}
