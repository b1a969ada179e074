/// Base64 with padding. Specification: RFC 4648, 4.
package enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: some Collection<UInt8>) -> String {
    var out: [UInt8] = []
    var group: UInt32 = 0
    var held = 0
    for byte in bytes {
      group = group << 8 | UInt32(byte)
      held += 1
      if held == 3 {
        for shift: UInt32 in [18, 12, 6, 0] { out.append(alphabet[Int(group >> shift & 63)]) }
        group = 0
        held = 0
      }
    }
    if held > 0 {
      group <<= UInt32(8 * (3 - held))
      for index in 0...held { out.append(alphabet[Int(group >> UInt32(18 - 6 * index) & 63)]) }
      out.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - held))
    }
    return String(decoding: out, as: UTF8.self)
  }

  package static func decode(_ text: String) -> [UInt8]? {
    let units = Array(text.utf8)
    guard units.count % 4 == 0 else { return nil }
    var out: [UInt8] = []
    var group: UInt32 = 0
    var held = 0
    for (index, unit) in units.enumerated() {
      if unit == UInt8(ascii: "=") {
        guard index >= units.count - 2 else { return nil }
        continue
      }
      guard let value = alphabet.firstIndex(of: unit) else { return nil }
      group = group << 6 | UInt32(value)
      held += 1
      if held == 4 {
        for shift: UInt32 in [16, 8, 0] { out.append(UInt8(truncatingIfNeeded: group >> shift)) }
        group = 0
        held = 0
      }
    }
    switch held {
    case 0: break
    case 2: out.append(UInt8(truncatingIfNeeded: group >> 4))
    case 3:
      out.append(UInt8(truncatingIfNeeded: group >> 10))
      out.append(UInt8(truncatingIfNeeded: group >> 2))
    default: return nil
    }
    return out
  }
}
