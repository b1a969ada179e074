import ArgumentParser
import Foundation

/// How cameras' links do, now or minute by minute.
struct CamerasCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cameras", abstract: "Caméras et état de leurs liaisons (cameras and how their links do).",
    discussion: """
      Sans --camera : toutes celles du service, et ce qui ne va pas. Avec --camera : les minutes gardées (30 jours au plus).
      (With --camera: its minutes.)
      """)
  @OptionGroup var login: AccountOption
  @Option(help: "Les minutes de cette caméra (minutes of this camera)") var camera: String?
  @Option(help: "RFC 3339 ; une heure avant la fin si absent (from)") var from: String?
  @Option(help: "RFC 3339 ; maintenant si absent (to)") var to: String?
  @Flag(help: "JSON") var json = false

  private struct Diagnosis: Decodable {
    var severity: String
    var sentence: String

    var line: String {
      let severity =
        switch severity {
        case "alarm": "alarme (alarm)"
        case "warning": "avertissement (warning)"
        case "notice": "remarque (notice)"
        default: severity
        }
      return "  \(severity) : \(sentence)"
    }
  }

  private struct Link: Decodable {
    var rate_kbps: Int64
    var packets: Int64
    var lost: Int64
    var retransmitted: Int64
    var missing: Int64
    var roundTrip_ms: Double?
    var senderLatency_ms: Int
    var lag_ms: Int64?
    var drift_ppm: Double?
    var clockRestarts: Int64
    var discontinuities: Int64
    var foreign: Int64
    var clockOffset_ms: Int64?

    /// French first, English beside.
    var line: String {
      func decimal(_ value: Double) -> String { String(format: "%.1f", value) }
      var texts = [
        "\(rate_kbps) kbit/s", "aller-retour (rtt) \(roundTrip_ms.map { decimal($0) + " ms" } ?? "?")",
        "latence (latency) \(senderLatency_ms) ms", "paquets (packets) \(packets)", "perdus (lost) \(lost)",
        "répétés (retransmitted) \(retransmitted)", "manquants (missing) \(missing)",
      ]
      if let lag_ms { texts.append("retard (lag) \(lag_ms) ms") }
      if let drift_ppm { texts.append("dérive (drift) \(decimal(drift_ppm)) ppm") }
      if let clockOffset_ms { texts.append(CamerasCommand.clock(clockOffset_ms)) }
      for (name, count) in [
        ("horodatages recommencés (restarts)", clockRestarts), ("omissions (left out)", discontinuities),
        ("étrangers (foreign)", foreign),
      ] where count > 0 {
        texts.append("\(name) \(count)")
      }
      return texts.joined(separator: "  ")
    }
  }

  private struct Camera: Decodable {
    struct Clock: Decodable { var offset_ms: Int64 }

    var camera: String
    var enabled: Bool
    var issued: Bool
    var delivery: String
    var window_ms: Int?
    var maximumRate_kbps: Int
    var clock: Clock?
    var connected: Bool
    var link: Link?
    var diagnoses: [Diagnosis]
    var sentence: String

    var lines: [String] {
      let delivery =
        window_ms.map { "dans une fenêtre de (timely) \($0) ms" }
        ?? (delivery == "complete" ? "complète (complete)" : delivery)
      let clock = clock.map { CamerasCommand.clock($0.offset_ms) } ?? "horloge inconnue (clock unknown)"
      let state =
        connected
        ? "connectée (connected)"
        : enabled ? issued ? "absente (away)" : "non perçue (not issued)" : "retirée (disabled)"
      var lines = ["\(camera)  \(state)  \(delivery)  ≤ \(maximumRate_kbps) kbit/s  \(clock)"]
      if connected, let link { lines.append("  \(link.line)") }
      lines += diagnoses.isEmpty ? ["  \(sentence)"] : diagnoses.map(\.line)
      return lines
    }
  }

  private static func clock(_ offset_ms: Int64) -> String {
    "horloge (clock) \(offset_ms > 0 ? "+" : "")\(offset_ms) ms"
  }

  private struct Minutes: Decodable {
    struct Minute: Decodable {
      var minute: String
      var link: Link
      var diagnoses: [Diagnosis]
    }

    var minutes: [Minute]
    var next: String?
  }

  func validate() throws {
    guard camera != nil || from == nil && to == nil else { throw ValidationError("--from, --to: with --camera") }
  }

  func run() async throws {
    try await login.with { session in
      guard let camera else {
        let data = try await session.send("GET", "/cameras", nil)
        guard !json else {
          print(String(decoding: data, as: UTF8.self))
          return
        }
        for camera in try JSONDecoder().decode([Camera].self, from: data) { camera.lines.forEach { print($0) } }
        return
      }
      try await history(of: camera, session)
    }
  }

  private func history(of camera: String, _ session: APISession) async throws {
    let name =
      camera.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "._-"))) ?? camera
    var from = self.from
    // However many pages they come in, the minutes are one document.
    var all: [Any] = []
    repeat {
      var components = URLComponents()
      let items = [("from", from), ("to", to)].compactMap { name, value in
        value.map { URLQueryItem(name: name, value: $0) }
      }
      if !items.isEmpty { components.queryItems = items }
      let query = components.percentEncodedQuery.map { "?\($0.replacing("+", with: "%2B"))" } ?? ""
      let data = try await session.send("GET", "/cameras/\(name)/health\(query)", nil)
      let answer = try JSONDecoder().decode(Minutes.self, from: data)
      if json {
        let page = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        all += page?["minutes"] as? [Any] ?? []
      } else {
        for minute in answer.minutes {
          print("\(minute.minute)  \(minute.link.line)")
          for diagnosis in minute.diagnoses { print(diagnosis.line) }
        }
      }
      from = answer.next
    } while from != nil
    guard json else { return }
    let document = try JSONSerialization.data(
      withJSONObject: ["minutes": all], options: [.sortedKeys, .withoutEscapingSlashes])
    print(String(decoding: document, as: UTF8.self))
  }
}
