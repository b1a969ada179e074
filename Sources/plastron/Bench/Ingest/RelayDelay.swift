import Foundation
import Synchronization
import TransportStream

/// From the sending of a picture's last packet to its fragment at a viewer, on one machine and one clock.
///
/// A picture is known again by its last bytes, which the relay does not touch. One viewer of one camera, measured under as
/// many views as are open at a time.
final class RelayDelay: Sendable {
  struct Figures: Encodable {
    var frames: Int
    var median_ms: Double
    var p99_ms: Double
  }

  private static let tail_bytes = 24

  private struct Arrival {
    var us: Int64
    var views: Int
    var tail: [UInt8]
  }

  private struct State {
    var views = 0
    var arrivals: [Arrival] = []
    var buffer: [UInt8] = []
  }

  private let state = Mutex(State())

  /// How many views are open from now on.
  func began(views: Int) { state.withLock { $0.views = views } }

  /// Bytes of the live answer: frames of kind, 32-bit length, payload.
  func received(_ bytes: [UInt8]) {
    let now = Int64(Date().timeIntervalSince1970 * 1e6)
    state.withLock { state in
      state.buffer += bytes
      var start = 0
      while state.buffer.count - start >= 5 {
        let length = state.buffer[(start + 1)..<(start + 5)].reduce(0) { $0 << 8 | Int($1) }
        let end = start + 5 + length
        guard state.buffer.count >= end else { break }
        if state.buffer[start] == 3, length > Self.tail_bytes {
          state.arrivals.append(
            Arrival(us: now, views: state.views, tail: Array(state.buffer[(end - Self.tail_bytes)..<end])))
        }
        start = end
      }
      state.buffer.removeFirst(start)
    }
  }

  /// - Parameter log: when each message left, microseconds since 1970, a line each.
  func figures(views: Int, log: String, clip: String, seconds: Double) throws -> Figures? {
    let left = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").compactMap { Int64($0) }
    let stream = try RenderedStream(clip: [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip))), seconds: seconds)
    let pictures = Self.pictures(in: stream.bytes)
    var delays: [Double] = []
    for arrival in state.withLock({ $0.arrivals }) where arrival.views == views {
      let us = arrival.us
      let sent = (pictures[arrival.tail] ?? []).lazy.compactMap { $0 < left.count ? left[$0] : nil }.filter { $0 <= us }
        .max()
      // The pictures that a viewer starts with are older than his coming.
      if let sent, us - sent < 2_000_000 { delays.append(Double(us - sent) / 1000) }
    }
    guard !delays.isEmpty else { return nil }
    delays.sort()
    return Figures(
      frames: delays.count, median_ms: delays[delays.count / 2],
      p99_ms: delays[min(delays.count - 1, delays.count * 99 / 100)])
  }

  /// The last bytes of each picture, and the messages that its last packets are in.
  private static func pictures(in bytes: [UInt8]) -> [[UInt8]: [Int]] {
    var found: [[UInt8]: [Int]] = [:]
    var video: UInt16?
    var payload: [UInt8] = []
    var last = 0
    for index in 0..<(bytes.count / TransportPacket.size) {
      let start = index * TransportPacket.size
      guard let packet = try? TransportPacket(bytes, at: start), packet.hasPayload else { continue }
      let content = bytes[(start + packet.payloadStart)..<(start + TransportPacket.size)]
      // The first elementary stream whose start is a video PES.
      if packet.payloadUnitStart, video == nil, content.starts(with: [0, 0, 1, 0xE0]) { video = packet.pid }
      guard packet.pid == video else { continue }
      if packet.payloadUnitStart {
        if payload.count > tail_bytes {
          found[Array(payload.suffix(tail_bytes)), default: []].append(
            last * TransportPacket.size / RenderedStream.message_bytes)
        }
        payload.removeAll(keepingCapacity: true)
      }
      payload += content
      last = index
    }
    return found
  }
}
