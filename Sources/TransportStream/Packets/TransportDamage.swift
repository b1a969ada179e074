/// What is wrong with a piece of a transport stream. Damage is counted and the stream goes on; only the
/// affected packet, section or access unit is lost to the *relay*: the recorder has kept the bytes already.
package struct TransportDamage: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: Equatable, Sendable {
    case truncated
    /// Packets are missing, of whatever streams: a null packet with the transport error indicator says so.
    case hole
    case syncLost
    case transportErrorIndicator(pid: UInt16)
    case scrambled(pid: UInt16)
    case adaptationFieldTooLong(length: Int, limit: Int)
    case continuity(pid: UInt16, expected: UInt8, found: UInt8)
    case sectionTooLong(length: Int, limit: Int)
    case sectionChecksum(tableID: UInt8)
    case sectionMalformed(tableID: UInt8)
    case tooManyPrograms(count: Int, limit: Int)
    case tooManyStreams(count: Int, limit: Int)
    case packetizedStreamMalformed(pid: UInt16)
    case accessUnitTooLarge(pid: UInt16, limit_bytes: Int)
    case accessUnitTruncated(pid: UInt16)
    case tooManyUnits(pid: UInt16, limit: Int)
    case parameterSetMalformed(pid: UInt16)
    case parameterSetMissing(pid: UInt16)
    case soundMalformed(pid: UInt16)
    case metadataMalformed(pid: UInt16)
    case metadataChecksum(pid: UInt16)
    case timestampJump(pid: UInt16, delta_90k: Int64)
    case timestampStill(pid: UInt16)
    case timestampOrder(pid: UInt16, delta_90k: Int64)
    case timestampMissing(pid: UInt16)
    case streamSilent(pid: UInt16)
    case unsupportedStreamType(UInt8)
  }

  package var code: Code
  /// Byte offset inside the structure that was being read.
  package var offset: Int

  package init(_ code: Code, offset: Int) {
    self.code = code
    self.offset = offset
  }

  /// A short stable name to count by.
  package var name: String {
    switch code {
    case .truncated: "truncated"
    case .hole: "hole"
    case .syncLost: "sync-lost"
    case .transportErrorIndicator: "transport-error"
    case .scrambled: "scrambled"
    case .adaptationFieldTooLong: "adaptation-field-too-long"
    case .continuity: "continuity"
    case .sectionTooLong: "section-too-long"
    case .sectionChecksum: "section-checksum"
    case .sectionMalformed: "section-malformed"
    case .tooManyPrograms: "too-many-programs"
    case .tooManyStreams: "too-many-streams"
    case .packetizedStreamMalformed: "pes-malformed"
    case .accessUnitTooLarge: "access-unit-too-large"
    case .accessUnitTruncated: "access-unit-truncated"
    case .tooManyUnits: "too-many-units"
    case .parameterSetMalformed: "parameter-set-malformed"
    case .parameterSetMissing: "parameter-set-missing"
    case .soundMalformed: "sound-malformed"
    case .metadataMalformed: "metadata-malformed"
    case .metadataChecksum: "metadata-checksum"
    case .timestampJump: "timestamp-jump"
    case .timestampStill: "timestamp-still"
    case .timestampOrder: "timestamp-order"
    case .timestampMissing: "timestamp-missing"
    case .streamSilent: "stream-silent"
    case .unsupportedStreamType: "unsupported-stream-type"
    }
  }

  package var description: String { "\(name) at byte \(offset): \(code)" }
}
