import Doctrine

/// Ordered bytes on their way to the relay: as few pieces as a picture needs, and none that waits.
///
/// Each piece costs two processes a wake and a system call. Bytes in the middle of a picture are of no use to a viewer yet, so
/// they wait for its end: a packet with an adaptation field (stuffing fills the last packet of a unit) or with the start of the
/// next one. Pure.
///
/// Specification: ISO/IEC 13818-1, 2.4.3.3 (payload_unit_start_indicator, transport_error_indicator), 2.4.3.4 (stuffing).
struct LivePiece: Sendable {
  /// What does not end is handed over all the same.
  static let longest_us: Int64 = 20_000
  static let maximum_bytes = 64 << 10

  /// A null packet with the transport error indicator: packets are missing here, of whatever streams. Continuity counters
  /// alone would not tell of a hole of sixteen packets.
  static let hole: [UInt8] = [0x47, 0x9F, 0xFF, 0x10] + [UInt8](repeating: 0xFF, count: 184)

  private var bytes: [UInt8] = []
  private var since = MonotonicTime(microseconds: 0)
  private var endsUnit = false

  mutating func append(_ more: UnsafeRawBufferPointer, endsUnit ends: Bool, at now: MonotonicTime) {
    if bytes.isEmpty { since = now }
    bytes.append(contentsOf: more)
    endsUnit = endsUnit || ends
  }

  /// Something is missing before what comes next.
  mutating func holeCame() {
    Self.hole.withUnsafeBytes { append($0, endsUnit: true, at: MonotonicTime(microseconds: 0)) }
  }

  mutating func take(at now: MonotonicTime) -> [UInt8] {
    guard !bytes.isEmpty,
      endsUnit || bytes.count >= Self.maximum_bytes || now.since(since) >= Self.longest_us
    else { return [] }
    defer {
      bytes = []
      endsUnit = false
    }
    return bytes
  }
}
