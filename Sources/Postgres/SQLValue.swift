/// A parameter of a statement. Values never become part of the statement's text.
package enum SQLValue: Equatable, Sendable {
  case null
  case text(String)
  case integer(Int64)
  case bool(Bool)
  case bytes([UInt8])
  case textArray([String])

  /// libpq's text format.
  var encoded: String? {
    switch self {
    case .null: return nil
    case .text(let value): return value
    case .integer(let value): return String(value)
    case .bool(let value): return value ? "t" : "f"
    case .bytes(let value): return "\\x" + Self.hex(value)
    case .textArray(let values):
      let quoted = values.map { value in
        // By scalar: a combining mark after a quotation mark makes another character of it.
        "\"" + value.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
      }
      return "{" + quoted.joined(separator: ",") + "}"
    }
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      out.append(digits[Int(byte >> 4)])
      out.append(digits[Int(byte & 15)])
    }
    return String(decoding: out, as: UTF8.self)
  }

  package static func optional(_ value: String?) -> SQLValue { value.map(SQLValue.text) ?? .null }
  package static func optional(_ value: Int64?) -> SQLValue { value.map(SQLValue.integer) ?? .null }
}

/// One row of a result: text cells by column name.
package struct Row: Sendable {
  let columns: [String: Int]
  let cells: [String?]

  /// Nil for SQL NULL and for a column that is not there.
  package func optionalText(_ column: String) -> String? {
    guard let index = columns[column] else { return nil }
    return cells[index]
  }

  package func text(_ column: String) throws(DatabaseError) -> String {
    guard let value = optionalText(column) else {
      throw DatabaseError(.unexpectedShape, "column \(column) is missing or null")
    }
    return value
  }

  package func integer(_ column: String) throws(DatabaseError) -> Int64 {
    guard let value = Int64(try text(column)) else {
      throw DatabaseError(.unexpectedShape, "column \(column) is not an integer")
    }
    return value
  }

  package func optionalInteger(_ column: String) -> Int64? { optionalText(column).flatMap(Int64.init) }

  package func bool(_ column: String) throws(DatabaseError) -> Bool { try text(column) == "t" }

  /// A bytea column in the server's hexadecimal output.
  package func bytes(_ column: String) throws(DatabaseError) -> [UInt8] {
    let value = Array(try text(column).utf8)
    guard value.count % 2 == 0, value.starts(with: Array("\\x".utf8)) else {
      throw DatabaseError(.unexpectedShape, "column \(column) is not bytea")
    }
    var out: [UInt8] = []
    out.reserveCapacity(value.count / 2)
    var index = 2
    while index < value.count {
      guard let high = Self.digit(value[index]), let low = Self.digit(value[index + 1]) else {
        throw DatabaseError(.unexpectedShape, "column \(column) is not bytea")
      }
      out.append(high << 4 | low)
      index += 2
    }
    return out
  }

  private static func digit(_ unit: UInt8) -> UInt8? {
    switch unit {
    case 48...57: unit - 48
    case 97...102: unit - 87
    default: nil
    }
  }
}
