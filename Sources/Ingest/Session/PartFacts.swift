import Crypto
import Doctrine
import Footage
import Foundation
import Seams

/// The facts sealed in a part's header. Specification: docs/footage-format.md.
struct RecordingFacts: Codable {
  var camera: String
  var agent: String
  var regime: String
  var regimeVersion: Int
  var reference: String?
  var activation: String?

  var encoded: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return (try? encoder.encode(self)).map { Array($0) } ?? []
  }
}

/// The body of a close chunk. Specification: docs/footage-format.md.
enum CloseNote {
  static func content(cause: String, at time: UTCTime, epoch: UInt32) -> ChunkContent {
    ChunkContent(
      kind: .close, epoch: max(1, epoch), firstArrival_us: time.microseconds, lastArrival_us: time.microseconds,
      plaintext: Array("{\"cause\":\"\(cause)\",\"closed_us\":\(time.microseconds)}".utf8))
  }
}

extension PartGrant {
  var symmetricKey: SymmetricKey { SymmetricKey(data: key.bytes) }
}

extension PartHeader {
  /// The header of a part that opens now.
  init(_ grant: PartGrant, _ recording: OpenRecording, created: UTCTime) throws {
    guard let part = UUIDText.binary(grant.part.rawValue),
      let recordingID = UUIDText.binary(recording.recording.rawValue),
      let incident = UUIDText.binary(recording.incident.rawValue),
      let service = UUIDText.binary(recording.service.rawValue)
    else { throw FootageError(.malformed, offset: 0, "an id is not a UUID") }
    let day = grant.localDay
    self.init(
      part: part, recording: recordingID, incident: incident, service: service,
      localDay: UInt32(day.year * 10_000 + day.month * 100 + day.day), created_us: created.microseconds,
      previousHead: [UInt8](repeating: 0, count: 32), wrappedKey: grant.wrappedKey.bytes,
      sealedFacts: try Sealing.seal(
        recording.facts, under: grant.symmetricKey, purpose: Sealing.factsPurpose, subject: part))
  }
}
