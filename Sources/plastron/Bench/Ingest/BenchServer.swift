import AsyncHTTPClient
import Doctrine
import Foundation
import NIOCore
import Seams
import Synchronization

/// The server that is measured, and its viewers.
final class BenchServer {
  struct Processes {
    var ingest: pid_t
    var keeper: pid_t
    var console: pid_t
  }

  private struct Register: Decodable {
    struct Row: Decodable {
      var camera: String?
      var size_bytes: Int64?
      var state: String
    }
    var rows: [Row]
  }

  let world: DemoWorld
  private var viewers: [Task<Void, Never>] = []
  private var watched = 0
  /// An operator watches so many cameras at once, on one connection.
  private static let viewsPerSession = 40
  private var sessions: [APISession] = []
  /// Of the first camera's pictures.
  let delay = RelayDelay()

  init(_ world: DemoWorld) { self.world = world }

  /// Starts a server in an empty folder, measures it, ends it, and removes what it wrote; after a failure its log stays.
  ///
  /// - Parameter port: of three in a row: cameras, console, devices.
  static func with(folder: String, port: UInt16, _ measure: (BenchServer) async throws -> Void) async throws {
    try? FileManager.default.removeItem(atPath: folder)
    let world = try await DemoWorld(data: folder, ingestPort: port, consolePort: port + 1, devicePort: port + 2)
    do {
      try await world.start()
      try await measure(BenchServer(world))
    } catch {
      world.stop()
      throw error
    }
    world.stop()
    try? FileManager.default.removeItem(atPath: folder)
  }

  func pids() throws -> Processes {
    func pid(_ role: String) throws -> pid_t {
      let text = try String(contentsOfFile: world.settings.runFolder + "/\(role).pid", encoding: .utf8)
      guard let pid = pid_t(text.trimmingCharacters(in: .newlines)) else {
        throw Complaint(description: "no process of \(role)")
      }
      return pid
    }
    return Processes(ingest: try pid("ingest"), keeper: try pid("keeper"), console: try pid("console"))
  }

  /// The longest that a packet waited to be durable in the last minute, as the server tells its collector.
  func worstLag_ms() async throws -> Int64 {
    let client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup)
    do {
      let request = HTTPClientRequest(url: "http://127.0.0.1:\(world.settings.metricsPort)/metrics")
      let body = try await client.execute(request, timeout: .seconds(5)).body.collect(upTo: 1 << 20)
      try await client.shutdown()
      let line = String(buffer: body).split(separator: "\n").first { $0.hasPrefix("plastron_durability_lag_seconds") }
      return line?.split(separator: " ").last.flatMap { Double($0) }.map { Int64($0 * 1000) } ?? -1
    } catch {
      try? await client.shutdown()
      throw error
    }
  }

  // MARK: Live

  /// Declares a threat for so many incidents and watches each of them.
  func watch(_ count: Int) async throws {
    guard case .status(let wall, _, _) = try await AdministratorLink.call(world.settings, .status) else { return }
    let cards = wall.incidents.filter { $0.camera.rawValue.hasPrefix("B-") }.sorted {
      Self.number($0.camera.rawValue) < Self.number($1.camera.rawValue)
    }
    for card in cards.prefix(count).dropFirst(watched) {
      if viewers.count >= sessions.count * Self.viewsPerSession { sessions.append(try await world.logIn("operateur")) }
      let session = sessions[sessions.count - 1]
      try await session.send("POST", "/incidents/\(card.incident)/threat", ["ground": "agents", "reason": "mesure"])
      let isFirst = card.camera.rawValue == "B-0"
      let recording = card.recording
      viewers.append(
        Task { [delay] in
          try? await session.stream("GET", "/recordings/\(recording)/live", nil) { bytes in
            if isFirst { delay.received(bytes) }
          }
        })
    }
    watched = count
  }

  func endWatching() async {
    for viewer in viewers { viewer.cancel() }
    for viewer in viewers { await viewer.value }
    for session in sessions { await session.end() }
    sessions = []
  }

  private static func number(_ camera: String) -> Int { Int(camera.dropFirst(2)) ?? 0 }

  // MARK: Loss

  /// Closes every incident, and counts what the register has not of what was sent.
  func lost(of sent: [String: Int64]) async throws -> Int64 {
    if case .status(let wall, _, _) = try await AdministratorLink.call(world.settings, .status) {
      try await world.withSession("operateur") { session in
        for card in wall.incidents { try await session.send("POST", "/incidents/\(card.incident)/close", nil) }
      }
    }
    return try await world.withSession("auditeur") { auditor in
      var left = sent
      // A closed recording is whole in the register within the time that its last rows take.
      for _ in 0..<60 where !left.isEmpty {
        for (camera, bytes) in left where try await kept(of: camera, auditor) == bytes { left[camera] = nil }
        if !left.isEmpty { try await Task.sleep(for: .milliseconds(500)) }
      }
      var lost: Int64 = 0
      for (camera, bytes) in left { lost += abs(bytes - (try await kept(of: camera, auditor))) }
      return lost
    }
  }

  private func kept(of camera: String, _ auditor: APISession) async throws -> Int64 {
    let data = try await auditor.send("GET", "/register?camera=\(camera)", nil)
    let rows = try JSONDecoder().decode(Register.self, from: data).rows.filter { $0.camera == camera }
    return rows.reduce(0) { $0 + ($1.size_bytes ?? 0) }
  }
}
