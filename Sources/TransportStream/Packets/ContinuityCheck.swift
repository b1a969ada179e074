/// Tells whether packets of one PID are missing.
///
/// A packet may be sent twice (ISO/IEC 13818-1, 2.4.3.3); one with the counter of the packet before it and another
/// payload is the first of an encoder that started anew, or follows sixteen lost ones.
struct ContinuityCheck: Sendable {
  enum Verdict: Equatable, Sendable {
    case follows
    case duplicate
    case broken(expected: UInt8)
  }

  private var last: (counter: UInt8, print: UInt64)?

  mutating func next(_ packet: TransportPacket, _ payload: ArraySlice<UInt8>) -> Verdict {
    let found = packet.continuityCounter
    let print = Self.fingerprint(payload)
    defer { last = (found, print) }
    guard let last, !packet.discontinuityIndicator else { return .follows }
    if found == last.counter, print == last.print { return .duplicate }
    let expected = (last.counter + 1) & 0x0F
    return found == expected ? .follows : .broken(expected: expected)
  }

  /// Of the ends of a payload: enough to tell two packets of one stream apart, and cheap.
  private static func fingerprint(_ payload: ArraySlice<UInt8>) -> UInt64 {
    let head = payload.prefix(8).reduce(UInt64(payload.count)) { $0 << 8 | UInt64($1) }
    let tail = payload.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    return head &* 0x9E37_79B9_7F4A_7C15 ^ tail
  }
}
