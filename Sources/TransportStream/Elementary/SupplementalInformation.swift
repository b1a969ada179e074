/// What is used of a supplemental enhancement information unit: where decoding may start, and the camera's time.
///
/// Specification: ITU-T H.264, 7.3.2.3.1 and D.1; ITU-T H.265, 7.3.5.
///
///     { payload_type (8, FF: + the next) | payload_size (8, FF: + the next) | payload } *
struct SupplementalInformation: Equatable, Sendable {
  private static let userDataUnregistered = 5
  private static let recoveryPoint = 6

  /// The pictures from here on come out right, at once or after some.
  var isRecoveryPoint = false
  /// Microseconds since 1970-01-01 UTC, as the camera says.
  var cameraTime_us: Int64?

  /// - Parameter payload: the unit without its header, emulation prevention removed. What is cut off is not read.
  init(_ payload: [UInt8]) {
    var rest = payload[...]
    // The last byte with a bit set is the trailing one (80).
    while rest.count > 2, let type = Self.number(&rest), let size = Self.number(&rest), size <= rest.count {
      let body = rest.prefix(size)
      rest = rest.dropFirst(size)
      if type == Self.recoveryPoint { isRecoveryPoint = true }
      if type == Self.userDataUnregistered, let time = PrecisionTimeStamp(body) { cameraTime_us = time.microseconds }
    }
  }

  private static func number(_ rest: inout ArraySlice<UInt8>) -> Int? {
    var value = 0
    while let byte = rest.popFirst() {
      value += Int(byte)
      if byte != 0xFF { return value }
    }
    return nil
  }
}
