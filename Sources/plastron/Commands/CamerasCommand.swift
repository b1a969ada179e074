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
  }

  private struct Link: Decodable {
    var rate_kbps: Int64
    var packets: Int64
    var lost: Int64
    var retransmitted: Int64
    var missing: Int64
    var roundTrip_ms: Double
    var senderLatency_ms: Int
    var lag_ms: Int64?
    var drift_ppm: Double?
    var clockRestarts: Int64
    var discontinuities: Int64
    var foreign: Int64

    var line: String {
      func decimal(_ value: Double) -> String { String(format: "%.1f", value) }
      var texts = [
        "\(rate_kbps) kbit/s", "rtt \(decimal(roundTrip_ms)) ms", "latency \(senderLatency_ms) ms",
        "packets \(packets)", "lost \(lost)", "retransmitted \(retransmitted)", "missing \(missing)",
      ]
      if let lag_ms { texts.append("lag \(lag_ms) ms") }
      if let drift_ppm { texts.append("drift \(decimal(drift_ppm)) ppm") }
      for (name, count) in [("restarts", clockRestarts), ("left-out", discontinuities), ("foreign", foreign)]
      where count > 0 {
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
      let delivery = delivery + (window_ms.map { " \($0) ms" } ?? "")
      let clock = clock.map { "clock \($0.offset_ms > 0 ? "+" : "")\($0.offset_ms) ms" } ?? "clock unknown"
      let state = connected ? "connected" : enabled ? issued ? "away" : "not issued" : "disabled"
      var lines = ["\(camera)  \(state)  \(delivery)  ≤ \(maximumRate_kbps) kbit/s  \(clock)"]
      if connected, let link { lines.append("  \(link.line)") }
      lines += diagnoses.isEmpty ? ["  \(sentence)"] : diagnoses.map { "  \($0.severity): \($0.sentence)" }
      return lines
    }
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
        print(String(decoding: data, as: UTF8.self))
      } else {
        for minute in answer.minutes {
          print("\(minute.minute)  \(minute.link.line)")
          for diagnosis in minute.diagnoses { print("  \(diagnosis.severity): \(diagnosis.sentence)") }
        }
      }
      from = answer.next
    } while from != nil
  }
}
