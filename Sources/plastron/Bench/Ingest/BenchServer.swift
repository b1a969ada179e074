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
  private var tasks: [Task<Void, Never>] = []
  private(set) var viewers: [LiveViewer] = []
  /// An operator watches so many cameras at once, on one connection.
  private static let viewsPerSession = 40
  private var sessions: [APISession] = []

  init(_ world: DemoWorld) { self.world = world }

  /// Starts a server in an empty folder, measures it, ends it, and removes what it wrote; after a failure all of it stays.
  ///
  /// - Parameters:
  ///   - port: of three in a row: cameras, console, devices.
  ///   - measure: returns whether what is kept is what must be kept; where it is not, all of it stays.
  static func with(folder: String, port: UInt16, _ measure: (BenchServer) async throws -> Bool) async throws {
    await remove(folder)
    let world = try await DemoWorld(data: folder, ingestPort: port, consolePort: port + 1, devicePort: port + 2)
    let isWhole: Bool
    do {
      try await world.start()
      isWhole = try await measure(BenchServer(world))
    } catch {
      world.stop()
      throw error
    }
    world.stop()
    guard isWhole else { return print("kept for a look: \(folder)") }
    await remove(folder)
  }

  /// Deletes gigabytes, and waits until the disk is done with that: what is measured next shares it.
  private static func remove(_ folder: String) async {
    guard FileManager.default.fileExists(atPath: folder) else { return }
    try? FileManager.default.removeItem(atPath: folder)
    sync()
    try? await Task.sleep(for: .seconds(5))
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

  /// How long what was received waited to be durable, as the server tells its collector.
  struct Durability {
    /// The longest in the last minute.
    var worst_ms: Int64
    /// Since the start.
    var chunks: Int
    /// Of them, those that took more than the promised second.
    var late: Int
  }

  func durability() async throws -> Durability {
    let client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup)
    do {
      let request = HTTPClientRequest(url: "http://127.0.0.1:\(world.settings.metricsPort)/metrics")
      let body = try await client.execute(request, timeout: .seconds(5)).body.collect(upTo: 1 << 20)
      try await client.shutdown()
      return try Self.durability(in: String(buffer: body).split(separator: "\n"))
    } catch {
      try? await client.shutdown()
      throw error
    }
  }

  private static func durability(in lines: [Substring]) throws -> Durability {
    func value(_ name: String, _ label: String = "") throws -> Double {
      guard let line = lines.first(where: { $0.hasPrefix(name) && (label.isEmpty || $0.contains(label)) }),
        let value = line.split(separator: " ").last.flatMap({ Double($0) })
      else { throw Complaint(description: "the server does not tell \(name)") }
      return value
    }
    let chunks = try value("plastron_durability_seconds_count")
    let inTime = try value("plastron_durability_seconds_bucket", "le=\"1.0\"")
    return Durability(
      worst_ms: Int64(try value("plastron_durability_lag_seconds") * 1000), chunks: Int(chunks),
      late: Int(chunks - inTime))
  }

  /// Bytes of all the footage's files now.
  func footage_bytes() -> Int64 {
    let files = FileManager.default.enumerator(
      at: URL(fileURLWithPath: world.settings.footageFolder), includingPropertiesForKeys: [.fileSizeKey])
    var total: Int64 = 0
    while let file = files?.nextObject() as? URL {
      guard file.pathExtension == "plm" else { continue }
      total += Int64((try? URL(fileURLWithPath: file.path).resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0)
    }
    return total
  }

  /// The wall once the keeper has every incident: it journals their openings one after another, while the recordings run.
  ///
  /// - Parameter writing: also waits until every camera sends, and what it sends is written.
  func wall(of cameras: Int, writing: Bool = false) async throws -> WallState {
    for _ in 0..<120 {
      if case .status(let wall, _, _) = try await AdministratorLink.call(world.settings, .status),
        wall.incidents.count >= cameras, !writing || wall.incidents.allSatisfy({ $0.streaming && !$0.notRecorded })
      {
        return wall
      }
      try await Task.sleep(for: .milliseconds(500))
    }
    throw Complaint(description: "the keeper does not know of every camera's incident after a minute")
  }

  // MARK: Live

  /// Declares a threat for the incidents of these cameras and watches each, save those that are watched already; returns
  /// when something has come from all of them.
  ///
  /// - Parameter noting: cameras whose pictures are noted.
  func watch(_ cameras: [String], noting: Set<String>, of count: Int) async throws {
    let cards = Dictionary(try await wall(of: count).incidents.map { ($0.camera.rawValue, $0) }) { $1 }
    let known = Set(viewers.map(\.camera))
    for camera in cameras where !known.contains(camera) {
      guard let card = cards[camera] else { throw Complaint(description: "\(camera) is not on the wall") }
      if viewers.count >= sessions.count * Self.viewsPerSession { sessions.append(try await world.logIn("operateur")) }
      let session = sessions[sessions.count - 1]
      try await session.send("POST", "/incidents/\(card.incident)/threat", ["ground": "agents", "reason": "mesure"])
      let viewer = LiveViewer(camera, notesPictures: noting.contains(camera))
      viewers.append(viewer)
      let recording = card.recording
      tasks.append(
        Task {
          try? await session.stream("GET", "/recordings/\(recording)/live", nil) { viewer.received($0) }
          viewer.ended()
        })
    }
    for _ in 0..<300 {
      if viewers.allSatisfy({ $0.joined_us != nil }) { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw Complaint(description: "not every view had begun after half a minute")
  }

  func endWatching() async {
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
    for session in sessions { await session.end() }
    sessions = []
  }

  // MARK: Loss

  /// What was sent against what the register has, over all cameras.
  struct Kept: Encodable {
    var cameras = 0
    /// What the cameras sent.
    var sent_bytes: Int64 = 0
    /// Of it, what the transport had acknowledged, where a network was gone before all was; else the same.
    var acknowledged_bytes: Int64 = 0
    var kept_bytes: Int64 = 0
    /// Acknowledged and not kept.
    var lost_bytes: Int64 = 0
    /// Kept and not sent.
    var surplus_bytes: Int64 = 0
    /// Cameras of which something is lost or too many.
    var faulty: [String] = []

    /// Nothing is lost that was acknowledged, and nothing is too much.
    var isWhole: Bool { cameras > 0 && sent_bytes > 0 && lost_bytes == 0 && surplus_bytes == 0 }
    /// And all that was sent was acknowledged.
    var isAll: Bool { isWhole && acknowledged_bytes == sent_bytes }

    var words: String {
      "\(cameras) cameras: \(sent_bytes) bytes sent, \(acknowledged_bytes) acknowledged, \(kept_bytes) kept, \(lost_bytes) lost, \(surplus_bytes) too many \(faulty.prefix(5).joined(separator: " "))"
    }
  }

  /// Closes every incident, and compares.
  ///
  /// - Parameter bounds: by camera, what is acknowledged and what was sent: at least and at most so much is kept.
  func compare(_ bounds: [String: ClosedRange<Int64>]) async throws -> Kept {
    if case .status(let wall, _, _) = try await AdministratorLink.call(world.settings, .status) {
      try await world.withSession("operateur") { session in
        for card in wall.incidents { try await session.send("POST", "/incidents/\(card.incident)/close", nil) }
      }
    }
    return try await world.withSession("auditeur") { auditor in
      var kept: [String: Int64] = [:]
      // A closed recording is whole in the register within the time that its last rows take.
      for _ in 0..<60 where kept.count < bounds.count {
        for (camera, bound) in bounds where kept[camera] == nil {
          let bytes = try await self.kept(of: camera, auditor)
          if bound.contains(bytes) { kept[camera] = bytes }
        }
        if kept.count < bounds.count { try await Task.sleep(for: .milliseconds(500)) }
      }
      var result = Kept()
      for (camera, bound) in bounds {
        var bytes = kept[camera]
        if bytes == nil { bytes = try await self.kept(of: camera, auditor) }
        result.cameras += 1
        result.sent_bytes += bound.upperBound
        result.acknowledged_bytes += bound.lowerBound
        result.kept_bytes += bytes ?? 0
        result.lost_bytes += max(0, bound.lowerBound - (bytes ?? 0))
        result.surplus_bytes += max(0, (bytes ?? 0) - bound.upperBound)
        if !bound.contains(bytes ?? 0) { result.faulty.append(camera) }
      }
      return result
    }
  }

  private func kept(of camera: String, _ auditor: APISession) async throws -> Int64 {
    let data = try await auditor.send("GET", "/register?camera=\(camera)", nil)
    let rows = try JSONDecoder().decode(Register.self, from: data).rows.filter { $0.camera == camera }
    return rows.reduce(0) { $0 + ($1.size_bytes ?? 0) }
  }
}
