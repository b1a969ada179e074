import Foundation
import SRT
import Synchronization

/// A simulated camera of a load.
struct SimulatedCamera: ~Copyable {
  struct Identity: Sendable {
    var id: String
    var passphrase: String
  }

  let identity: Identity
  var socket: SRTSocket?
  /// When it calls, or called, in microseconds of the monotonic clock.
  var begins_us: Int64
  var next = 0
  var sent: Int64 = 0
  /// Of it, what the server has for certain, as of the last survey.
  var acknowledged: Int64 = 0
  /// Of it, what was under way when a connection broke: the server may have it or not.
  var inDoubt: Int64 = 0
  /// When each message was handed over, microseconds since 1970; nil where nobody asks.
  var times: [Int64]?

  /// Looks at what is acknowledged now.
  mutating func survey() {
    guard let waiting = socket?.unacknowledged_bytes() else { return }
    acknowledged = max(acknowledged, sent - inDoubt - Int64(waiting))
  }

  /// Its connection is gone.
  mutating func lostConnection() {
    inDoubt = sent - acknowledged
    socket = nil
  }
}

/// One thread of a load: its cameras, one after another, as their messages are due.
final class LoadShift: Sendable {
  /// Cameras that share a UDP port: some, so that the server's listeners share them, and few ports, as each has two threads.
  private static let camerasPerPort = 3
  private static let portsPerShift = 24

  private let shift: Int
  /// Of its own for each load: two on one machine do not share ports.
  private let firstPort = 20_000 + UInt16(getpid() % 100) * 100
  private let identities: [SimulatedCamera.Identity]
  private let stream: RenderedStream
  private let port: UInt16
  private let spread_us: Int64
  private let logged: Set<String>
  private let state: LoadState
  private let result = Mutex<[End]?>(nil)
  private let surveyed_bytes = Atomic<Int64>(0)
  private static let survey_us: Int64 = 250_000
  private static let tick_us: Int64 = 2000
  private static let emptying_us: Int64 = 60_000_000

  /// What became of a camera.
  struct End: Sendable {
    var camera: String
    var sent: Int64
    var acknowledged: Int64
    var times: [Int64]?
  }

  init(
    _ shift: Int, cameras: [SimulatedCamera.Identity], stream: RenderedStream, port: UInt16, spread_us: Int64,
    logged: Set<String>, state: LoadState
  ) {
    self.shift = shift
    identities = cameras
    self.stream = stream
    self.port = port
    self.spread_us = spread_us
    self.logged = logged
    self.state = state
  }

  var isFinished: Bool { result.withLock { $0 != nil } }
  var ends: [End] { result.withLock { $0 ?? [] } }
  /// Of all its cameras, as of the last survey.
  var acknowledged: Int64 { surveyed_bytes.load(ordering: .relaxed) }

  func start() { Thread.detachNewThread { [self] in run() } }

  private static func now_us() -> Int64 { Int64(DispatchTime.now().uptimeNanoseconds / 1000) }

  private func run() {
    var cameras = SimulatedCameras(identities.count)
    let began = Self.now_us()
    for (number, identity) in identities.enumerated() {
      var camera = SimulatedCamera(
        identity: identity, begins_us: began + spread_us * Int64(number) / Int64(identities.count))
      if logged.contains(identity.id) { camera.times = [] }
      cameras.append(camera)
    }
    var surveyed = began
    while !state.isOver.load(ordering: .relaxed), !state.isGone.load(ordering: .relaxed) {
      var earliest = Self.now_us() + 5000
      for number in 0..<cameras.count { serve(&cameras[number], number, &earliest) }
      if Self.now_us() - surveyed >= Self.survey_us {
        surveyed = Self.now_us()
        survey(&cameras)
      }
      // A hundred cameras have something due at any time: without a rest the load would take whole processors from the server.
      usleep(UInt32(max(Self.tick_us, min(earliest - Self.now_us(), 5000))))
    }
    if !state.isGone.load(ordering: .relaxed) {
      let until = Self.now_us() + Self.emptying_us
      for number in 0..<cameras.count {
        cameras[number].sent += letRunEmpty(cameras[number], until: until)
      }
    }
    survey(&cameras)
    var ends: [End] = []
    for number in 0..<cameras.count {
      ends.append(
        End(
          camera: cameras[number].identity.id, sent: cameras[number].sent, acknowledged: cameras[number].acknowledged,
          times: cameras[number].times))
    }
    result.withLock { $0 = ends }
    // Gone without a word: closed sockets would tell the server.
    while state.isGone.load(ordering: .relaxed), !state.isOver.load(ordering: .relaxed) { usleep(10_000) }
  }

  private func survey(_ cameras: inout SimulatedCameras) {
    var total: Int64 = 0
    for number in 0..<cameras.count {
      cameras[number].survey()
      total += cameras[number].acknowledged
    }
    surveyed_bytes.store(total, ordering: .relaxed)
  }

  /// Waits until all is acknowledged, a minute at the most. What was lost at the very end nobody asks for: null packets after
  /// it show that it is missing. Returns the bytes of these. ISO/IEC 13818-1, 2.4.3.3.
  private func letRunEmpty(_ camera: borrowing SimulatedCamera, until: Int64) -> Int64 {
    var sent: Int64 = 0
    var turn = 0
    while Self.now_us() < until, (camera.socket?.unacknowledged_bytes() ?? 0) > 0 {
      usleep(20_000)
      turn += 1
      guard turn % 10 == 0 else { continue }
      let isSent = Self.stuffing.withUnsafeBytes { bytes in
        do throws(SRTError) { return try camera.socket?.offer(bytes, inOrder: false) == true } catch { return false }
      }
      if isSent { sent += Int64(Self.stuffing.count) }
    }
    return sent
  }

  private static let stuffing: [UInt8] = (0..<7).flatMap { _ in
    [0x47, 0x1F, 0xFF, 0x10] + [UInt8](repeating: 0xFF, count: 184)
  }

  /// Calls, or sends what is due.
  private func serve(_ camera: inout SimulatedCamera, _ number: Int, _ earliest: inout Int64) {
    let now = Self.now_us()
    if camera.socket == nil {
      guard now >= camera.begins_us else { return }
      do throws(SRTError) {
        let local =
          firstPort + UInt16((shift * Self.portsPerShift + number / Self.camerasPerPort % Self.portsPerShift))
        camera.socket = try SRTSocket.call(
          CallOptions(
            host: "127.0.0.1", port: port, streamID: "#!::u=\(camera.identity.id),m=publish",
            passphrase: camera.identity.passphrase, localPort: local, waitsForRoom: false))
        state.connected.add(1, ordering: .relaxed)
        // It goes on where it was, at once: a camera that came back is not silent for as long as it had been sending.
        camera.begins_us = Self.now_us() - (camera.next < stream.messageCount ? stream.due_us[camera.next] : 0)
      } catch {
        state.failed.add(1, ordering: .relaxed)
        camera.begins_us = now + 1_000_000
      }
      return
    }
    while camera.next < stream.messageCount {
      let due = camera.begins_us + stream.due_us[camera.next]
      guard due <= now else {
        earliest = min(earliest, due)
        return
      }
      if now - due > state.late_us.load(ordering: .relaxed) { state.late_us.store(now - due, ordering: .relaxed) }
      let start = camera.next * RenderedStream.message_bytes
      let handed_us = camera.times == nil ? 0 : Int64(Date().timeIntervalSince1970 * 1e6)
      do {
        let isTaken = try stream.bytes.withUnsafeBytes { all in
          try camera.socket?.offer(
            UnsafeRawBufferPointer(rebasing: all[start..<(start + RenderedStream.message_bytes)]), inOrder: false)
        }
        // A camera that the server takes nothing from holds no other one up.
        guard isTaken == true else { return }
      } catch {
        state.connected.subtract(1, ordering: .relaxed)
        state.failed.add(1, ordering: .relaxed)
        camera.lostConnection()
        camera.begins_us = now + 500_000
        return
      }
      camera.times?.append(handed_us)
      camera.next += 1
      camera.sent += Int64(RenderedStream.message_bytes)
      state.bytes.add(Int64(RenderedStream.message_bytes), ordering: .relaxed)
    }
  }
}

/// A list of cameras, which cannot be copied.
struct SimulatedCameras: ~Copyable {
  private let places: UnsafeMutablePointer<SimulatedCamera>
  private(set) var count = 0
  private let capacity: Int

  init(_ capacity: Int) {
    places = .allocate(capacity: max(1, capacity))
    self.capacity = capacity
  }

  deinit {
    places.deinitialize(count: count)
    places.deallocate()
  }

  mutating func append(_ camera: consuming SimulatedCamera) {
    precondition(count < capacity)
    (places + count).initialize(to: camera)
    count += 1
  }

  subscript(_ index: Int) -> SimulatedCamera {
    _read {
      precondition(index < count)
      yield places[index]
    }
    _modify {
      precondition(index < count)
      yield &places[index]
    }
  }
}
