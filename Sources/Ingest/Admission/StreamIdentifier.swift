package import Doctrine

/// What a camera says of itself in the stream id of its call.
///
/// Specification: SRT Access Control, `#!::key=value,...`. Keys: `u` camera, `m` mode (`publish`), `r` resource
/// (`linktest`), `plastron_threat`, `plastron_ref`, `plastron_act`, `plastron_context` (`search`, `medical-secret`: the wearer says so). Keys it does not know are passed over.
/// ffmpeg sends `%23!::` undecoded, so a percent-encoded id is decoded first.
package struct StreamIdentifier: Equatable, Sendable {
  /// The protocol's own limit of a stream id.
  package static let maximum_bytes = 512
  package static let maximumValue_bytes = 128

  package var camera: CameraID
  package var isLinkTest: Bool
  package var threat: ThreatGround?
  package var reference: String?
  package var activation: String?
  /// What the wearer says is under way; `issued` where nothing is said.
  package var context: CameraStanding

  /// Why an id cannot be used, in a sentence.
  package struct Malformed: Error, Equatable, Sendable {
    package var sentence: String
  }

  package init(_ text: String) throws(Malformed) {
    guard text.utf8.count <= Self.maximum_bytes else {
      throw Malformed(sentence: "identifiant de flux de plus de \(Self.maximum_bytes) octets")
    }
    let plain: Substring
    if text.hasPrefix("#!::") {
      plain = text[...]
    } else if let decoded = Self.percentDecoded(text), decoded.hasPrefix("#!::") {
      plain = decoded[...]
    } else {
      throw Malformed(sentence: "identifiant de flux sans « #!:: » : réglez la caméra sur #!::u=<caméra>,m=publish")
    }
    var values: [Substring: String] = [:]
    for pair in plain.dropFirst(4).split(separator: ",", omittingEmptySubsequences: true) {
      guard let equals = pair.firstIndex(of: "=") else {
        throw Malformed(sentence: "identifiant de flux : un élément n'est pas de la forme clé=valeur")
      }
      let key = pair[..<equals]
      let value = String(pair[pair.index(after: equals)...])
      guard value.utf8.count <= Self.maximumValue_bytes,
        value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
      else { throw Malformed(sentence: "identifiant de flux : la valeur d'une clé est trop longue ou illisible") }
      guard values.updateValue(value, forKey: key) == nil else {
        throw Malformed(sentence: "identifiant de flux : une clé est donnée deux fois")
      }
    }
    guard let name = values["u"], Self.isCameraName(name) else {
      throw Malformed(sentence: "identifiant de flux sans nom de caméra valable (u=)")
    }
    guard (values["m"] ?? "publish") == "publish" else {
      throw Malformed(sentence: "mode refusé : une caméra envoie (m=publish), elle ne demande rien")
    }
    if let ground = values["plastron_threat"] {
      guard let known = ThreatGround(rawValue: ground) else {
        throw Malformed(sentence: "plastron_threat inconnu : agents, persons ou property")
      }
      threat = known
    }
    switch values["plastron_context"] {
    case nil: context = .issued
    case "search": context = .search
    case "medical-secret": context = .medicalSecret
    default: throw Malformed(sentence: "plastron_context inconnu : search ou medical-secret")
    }
    camera = CameraID(name)
    isLinkTest = values["r"] == "linktest"
    reference = values["plastron_ref"].flatMap { $0.isEmpty ? nil : $0 }
    activation = values["plastron_act"].flatMap { $0.isEmpty ? nil : $0 }
  }

  private static func isCameraName(_ name: String) -> Bool {
    let units = name.utf8
    guard (1...64).contains(units.count), let first = units.first, isAlphanumeric(first) else { return false }
    return units.allSatisfy {
      isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
    }
  }

  private static func isAlphanumeric(_ unit: UInt8) -> Bool {
    switch unit {
    case 48...57, 65...90, 97...122: true
    default: false
    }
  }

  /// RFC 3986, 2.1; nil for a broken escape or for bytes that are not UTF-8.
  private static func percentDecoded(_ text: String) -> String? {
    var out: [UInt8] = []
    var units = Array(text.utf8)[...]
    while let unit = units.popFirst() {
      guard unit == UInt8(ascii: "%") else {
        out.append(unit)
        continue
      }
      guard let high = units.popFirst(), let low = units.popFirst(),
        let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
      else { return nil }
      out.append(value)
    }
    return String(validating: out, as: UTF8.self)
  }
}
