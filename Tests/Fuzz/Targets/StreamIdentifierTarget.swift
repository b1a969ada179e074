import Doctrine
import Ingest

/// The stream id of a call: the first text that an unknown peer gets the server to read.
///
/// Invariants: what is accepted has a camera's name of the allowed letters and values of bounded length without
/// control characters, and says the same percent-encoded.
enum StreamIdentifierTarget {
  static func run(_ input: [UInt8]) throws {
    guard let found = try? StreamIdentifier(String(decoding: input, as: UTF8.self)) else { return }
    let name = found.camera.rawValue.utf8
    try hold((1...64).contains(name.count), "a name of \(name.count) bytes")
    let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-".utf8)
    try hold(name.allSatisfy(allowed.contains), "a name with other letters")
    for value in [found.reference, found.activation].compactMap(\.self) {
      try hold((1...StreamIdentifier.maximumValue_bytes).contains(value.utf8.count), "a value of no length or too long")
      try hold(value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a control character in a value")
    }
    let digits = Array("0123456789ABCDEF".utf8)
    let encoded = input.flatMap { [UInt8(ascii: "%"), digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    // An id that begins in clear is taken as it is; this one is not UTF-8 where bytes were replaced.
    guard encoded.count <= StreamIdentifier.maximum_bytes, String(validating: input, as: UTF8.self) != nil,
      input.starts(with: "#!::".utf8)
    else { return }
    let again = try? StreamIdentifier(String(decoding: encoded, as: UTF8.self))
    try hold(again == found, "percent-encoded, the id says something else")
  }
}
