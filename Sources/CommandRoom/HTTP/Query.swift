internal import Doctrine
internal import Foundation
internal import Hummingbird
internal import Seams

/// The parameters of a query, each asked for by name and kind; what nobody asked for is refused.
struct Query {
  /// Characters of one value at the most.
  static let maximumValue = 500

  private var values: [String: String] = [:]

  /// - Throws: where a name comes twice, or a value is too long or has control characters.
  init(_ request: Request, valuesUpTo limit: Int = Query.maximumValue) throws {
    for pair in (request.uri.query ?? "").split(separator: "&") {
      let fields = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      // A form writes a blank as a plus sign.
      let decoded = fields.map { $0.replacing("+", with: " ").removingPercentEncoding }
      guard let name = decoded[0], let text = decoded.count == 2 ? decoded[1] : "" else {
        throw Problem.badRequest("La requête n'est pas bien codée. (The query is not well encoded.)")
      }
      guard values.updateValue(text, forKey: name) == nil else {
        throw Problem.badRequest("« \(name.prefix(50)) » est donné deux fois. (Given twice.)")
      }
      guard text.utf8.count <= limit, !text.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
        throw Problem.badRequest(
          "« \(name.prefix(50)) » a plus de \(limit) octets ou des caractères de contrôle. (Too long, or control characters.)"
        )
      }
    }
  }

  mutating func text(_ name: String) -> String? { values.removeValue(forKey: name) }

  mutating func integer(_ name: String, _ range: ClosedRange<Int>) throws -> Int? {
    guard let text = text(name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw Problem.badRequest(
        "« \(name) » est un nombre de \(range.lowerBound) à \(range.upperBound). (A number from \(range.lowerBound) to \(range.upperBound).)"
      )
    }
    return number
  }

  mutating func time(_ name: String) throws -> UTCTime? {
    guard let text = text(name) else { return nil }
    guard let time = APITime.parse(text) else {
      throw Problem.badRequest("« \(name) » n'est pas une date RFC 3339. (Not an RFC 3339 time.)")
    }
    return time
  }

  mutating func day(_ name: String) throws -> LocalDate {
    guard let text = text(name), let day = LocalDate(text) else {
      throw Problem.badRequest("« \(name) » est un jour aaaa-mm-jj. (A day yyyy-mm-dd.)")
    }
    return day
  }

  mutating func choice<T: RawRepresentable & CaseIterable>(_ name: String, _: T.Type) throws -> T?
  where T.RawValue == String {
    guard let text = text(name) else { return nil }
    guard let value = T(rawValue: text) else {
      throw Problem.badRequest(
        "« \(name) » est l'un de : \(T.allCases.map(\.rawValue).joined(separator: ", ")). (One of these.)")
    }
    return value
  }

  /// - Throws: where something is left that has no meaning here.
  func finish() throws {
    guard let name = values.keys.sorted().first else { return }
    throw Problem.badRequest("« \(name.prefix(50)) » n'a pas de sens ici. (Unknown parameter.)")
  }
}
