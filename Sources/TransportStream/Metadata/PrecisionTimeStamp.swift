/// The time a camera writes into its pictures' user data.
///
/// Specification: MISB ST 0604, 7 (Precision Time Stamp in H.264 and H.265): the identifier "MISPmicrosectime", a
/// status byte, then eight bytes of time with FF after each two but the last, so that no start code can arise.
///
///     | uuid (128) | status (8) | t7 t6 | FF | t5 t4 | FF | t3 t2 | FF | t1 t0 |
struct PrecisionTimeStamp: Equatable, Sendable {
  private static let identifier = Array("MISPmicrosectime".utf8)
  static let length = 28

  /// Since 1970-01-01, as MISP time, which is UTC where the camera's clock follows it.
  var microseconds: Int64

  init?(_ payload: ArraySlice<UInt8>) {
    guard payload.count >= Self.length, payload.starts(with: Self.identifier) else { return nil }
    let body = Array(payload.dropFirst(Self.identifier.count + 1).prefix(11))
    var value: UInt64 = 0
    for (index, byte) in body.enumerated() {
      if index % 3 == 2 {
        guard byte == 0xFF else { return nil }
      } else {
        value = value << 8 | UInt64(byte)
      }
    }
    guard let time = Int64(exactly: value) else { return nil }
    microseconds = time
  }
}
