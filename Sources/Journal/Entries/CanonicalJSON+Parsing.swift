extension CanonicalJSON {
  /// Values inside each other at the most; an entry has three.
  static let maximumDepth = 16

  /// Reads one value that is spelled canonically; nil for anything else.
  ///
  /// What it reads it would write with the same bytes: an entry with another spelling is not one.
  package init?(canonical bytes: some Sequence<UInt8>) {
    let units = Array(bytes)
    var parser = Parser(units: units)
    guard let value = parser.value(depth: 0), parser.isAtEnd, Array(value.text.utf8) == units else { return nil }
    self = value
  }

  package subscript(name: String) -> CanonicalJSON? {
    if case .object(let members) = self { members[name] } else { nil }
  }

  package var string: String? { if case .string(let text) = self { text } else { nil } }

  package var integer: Int64? { if case .integer(let number) = self { number } else { nil } }

  private struct Parser {
    let units: [UInt8]
    var index = 0

    init(units: [UInt8]) { self.units = units }

    var isAtEnd: Bool { index == units.count }
    private var next: UInt8? { index < units.count ? units[index] : nil }

    private mutating func take(_ unit: UInt8) -> Bool {
      guard next == unit else { return false }
      index += 1
      return true
    }

    private mutating func take(word: String) -> Bool {
      let wanted = Array(word.utf8)
      guard units[index...].starts(with: wanted) else { return false }
      index += wanted.count
      return true
    }

    mutating func value(depth: Int) -> CanonicalJSON? {
      guard depth < CanonicalJSON.maximumDepth, let unit = next else { return nil }
      switch unit {
      case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
      case UInt8(ascii: "t"): return take(word: "true") ? .bool(true) : nil
      case UInt8(ascii: "f"): return take(word: "false") ? .bool(false) : nil
      case UInt8(ascii: "\""): return text().map(CanonicalJSON.string)
      case UInt8(ascii: "["): return array(depth)
      case UInt8(ascii: "{"): return object(depth)
      default: return number()
      }
    }

    private mutating func array(_ depth: Int) -> CanonicalJSON? {
      index += 1
      var values: [CanonicalJSON] = []
      if take(UInt8(ascii: "]")) { return .array(values) }
      while let value = value(depth: depth + 1) {
        values.append(value)
        if take(UInt8(ascii: "]")) { return .array(values) }
        guard take(UInt8(ascii: ",")) else { return nil }
      }
      return nil
    }

    private mutating func object(_ depth: Int) -> CanonicalJSON? {
      index += 1
      var members: [String: CanonicalJSON] = [:]
      if take(UInt8(ascii: "}")) { return .object(members) }
      while let name = text(), take(UInt8(ascii: ":")), let value = value(depth: depth + 1) {
        guard members.updateValue(value, forKey: name) == nil else { return nil }
        if take(UInt8(ascii: "}")) { return .object(members) }
        guard take(UInt8(ascii: ",")) else { return nil }
      }
      return nil
    }

    private mutating func number() -> CanonicalJSON? {
      let start = index
      _ = take(UInt8(ascii: "-"))
      while let unit = next, (48...57).contains(unit) { index += 1 }
      return Int64(String(decoding: units[start..<index], as: UTF8.self)).map(CanonicalJSON.integer)
    }

    private mutating func text() -> String? {
      guard take(UInt8(ascii: "\"")) else { return nil }
      var out: [UInt8] = []
      while let unit = next {
        index += 1
        switch unit {
        case UInt8(ascii: "\""): return String(validating: out, as: UTF8.self)
        case UInt8(ascii: "\\"):
          guard let byte = escaped() else { return nil }
          out.append(byte)
        case 0..<0x20: return nil
        default: out.append(unit)
        }
      }
      return nil
    }

    /// Canonical JSON escapes the quotation mark, the backslash and control characters, and nothing else.
    private mutating func escaped() -> UInt8? {
      guard let unit = next else { return nil }
      index += 1
      switch unit {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): return unit
      case UInt8(ascii: "b"): return 8
      case UInt8(ascii: "t"): return 9
      case UInt8(ascii: "n"): return 10
      case UInt8(ascii: "f"): return 12
      case UInt8(ascii: "r"): return 13
      case UInt8(ascii: "u"):
        guard index + 4 <= units.count else { return nil }
        let digits = String(decoding: units[index..<(index + 4)], as: UTF8.self)
        index += 4
        return UInt8(digits, radix: 16).flatMap { $0 < 0x20 ? $0 : nil }
      default: return nil
      }
    }
  }
}
