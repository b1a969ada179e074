/// Network abstraction layer units of an Annex B byte stream.
enum ByteStream {
  /// A picture of the highest level has 600 slices; more units than this in one PES packet are an attack or a fault.
  static let maximumUnits = 4096

  /// The first ``maximumUnits`` units between start codes (00 00 01), without trailing zero bytes. ITU-T H.264, Annex B.
  static func units(_ data: [UInt8]) -> [ArraySlice<UInt8>] {
    var result: [ArraySlice<UInt8>] = []
    var start: Int?
    var index = 0
    let count = data.count
    while index + 2 < count, result.count < maximumUnits {
      if data[index + 2] > 1 {
        index += 3
      } else if data[index] == 0, data[index + 1] == 0, data[index + 2] == 1 {
        if let begin = start { append(data[begin..<index], to: &result) }
        start = index + 3
        index += 3
      } else {
        index += 1
      }
    }
    if let begin = start, result.count < maximumUnits { append(data[begin..<count], to: &result) }
    return result
  }

  private static func append(_ slice: ArraySlice<UInt8>, to result: inout [ArraySlice<UInt8>]) {
    var unit = slice
    while unit.last == 0 { unit.removeLast() }
    if !unit.isEmpty { result.append(unit) }
  }

  /// Removes the emulation prevention bytes (00 00 03) of a unit. ITU-T H.264, 7.4.1.
  static func rawPayload(_ unit: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(unit.count)
    var zeros = 0
    for byte in unit {
      if zeros >= 2, byte == 3 {
        zeros = 0
        continue
      }
      zeros = byte == 0 ? zeros + 1 : 0
      result.append(byte)
    }
    return result
  }
}
