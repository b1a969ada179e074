internal import Doctrine
internal import Foundation
internal import Seams

/// A page of the register as JSON or CSV.
struct PageShape {
  let page: RegisterPage
  let mark: JournalMark

  /// Rows as objects by column; a cell that is empty is left out.
  var json: Data {
    get throws {
      let rows = page.rows.map { row -> [String: Any] in
        var object: [String: Any] = [:]
        for (column, cell) in zip(page.columns, row) {
          object[column.name] = cell.flatMap { Self.value($0, column.kind) }
        }
        return object
      }
      var document: [String: Any] = [
        "journalSize": mark.size, "journalRoot": mark.root, "checkpoint": mark.checkpoint, "rows": rows,
      ]
      document["next"] = page.next
      return try JSONSerialization.data(withJSONObject: document, options: [.sortedKeys])
    }
  }

  private static func value(_ cell: String, _ kind: RegisterPage.Kind) -> Any? {
    switch kind {
    case .text, .day: cell
    case .integer: Int64(cell)
    case .boolean: cell == "t"
    case .time: Int64(cell).map { APITime.text(UTCTime(microseconds: $0)) }
    }
  }

  /// RFC 4180; a cell that a spreadsheet would take for a formula is quoted with an apostrophe.
  var csv: String {
    var lines = [page.columns.map(\.name).joined(separator: ",")]
    for row in page.rows {
      lines.append(
        zip(page.columns, row).map { column, cell in
          Self.cell(cell.flatMap { Self.value($0, column.kind).map { "\($0)" } } ?? "")
        }.joined(separator: ","))
    }
    lines.append("# journal,\(mark.size),\(mark.root)" + (page.next.map { ",next,\($0)" } ?? ""))
    return lines.joined(separator: "\r\n") + "\r\n"
  }

  private static func cell(_ text: String) -> String {
    // By scalar: to a reader a line feed is one, whatever it is combined with.
    let first = text.unicodeScalars.first { !$0.properties.isDefaultIgnorableCodePoint }
    let safe = first.map { "=+-@\t\r\n".unicodeScalars.contains($0) } ?? false ? "'" + text : text
    guard safe.unicodeScalars.contains(where: { $0 == "," || $0 == "\"" || $0 == "\r" || $0 == "\n" }) else {
      return safe
    }
    return "\"" + safe.replacing("\"", with: "\"\"") + "\""
  }
}
