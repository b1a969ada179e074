import Foundation
import Glibc

/// One UDP socket on loopback with a port of its own; closed when it goes out of scope.
struct LoopbackDatagrams: ~Copyable {
  private let descriptor: Int32

  /// - Parameter port: the port everything is sent to, at 127.0.0.1.
  init(to port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { throw Complaint(description: "socket: \(String(cString: strerror(errno)))") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Complaint(description: "connect: \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// Sends, and lets go what the kernel has no room for.
  borrowing func send(_ bytes: [UInt8]) {
    _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
  }

  /// The next datagram, waited for at most `wait_ms`.
  borrowing func receive(wait_ms: Int32) -> [UInt8]? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, wait_ms) > 0 else { return nil }
    var buffer = [UInt8](repeating: 0, count: 2048)
    let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
    return count > 0 ? Array(buffer.prefix(count)) : nil
  }
}

/// The handshake of the transport, written by hand, so that it can be left half done or be wrong.
///
/// Specification: draft-sharabi-srt-01, 3.2.1 (handshake) and 4.3.1 (caller and listener).
///
///     | 1 | type (15) | subtype (16) | information (32) | time stamp (32) | destination (32) |
///     | version (32) | encryption (16) | extension (16) | sequence (32) | MTU (32) | window (32) |
///     | kind (32) | socket (32) | cookie (32) | peer (128) | extensions: type (16), words (16), content
struct HandshakeDatagram {
  static let cookieOffset = 16 + 28
  var version: UInt32 = 4
  var extensionField: UInt16 = 2
  var kind: UInt32 = 1
  var socket: UInt32
  var cookie: UInt32 = 0
  var extensions: [UInt8] = []

  var bytes: [UInt8] {
    var out: [UInt8] = [0x80, 0, 0, 0] + [UInt8](repeating: 0, count: 12)
    func put(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.bigEndian) { out += $0 } }
    put(version)
    put(UInt16(0))
    put(extensionField)
    for word: UInt32 in [1, 1500, 8192, kind, socket, cookie, 0x0100_007F, 0, 0, 0] { put(word) }
    return out + extensions
  }

  /// The second step, asking for a stream, without the key material that is due.
  static func conclusion(socket: UInt32, cookie: UInt32, streamID: String) -> HandshakeDatagram {
    // HSREQ: version 1.5.1, flags, latencies. SID: words with their bytes turned round.
    var extensions: [UInt8] = [0, 1, 0, 3, 0, 1, 5, 1, 0, 0, 0, 0xBF, 0, 120, 0, 120]
    var text = Array(streamID.utf8)
    text += [UInt8](repeating: 0, count: (4 - text.count % 4) % 4)
    extensions += [0, 5, UInt8((text.count / 4) >> 8), UInt8((text.count / 4) & 0xFF)]
    for at in stride(from: 0, to: text.count, by: 4) { extensions += text[at..<(at + 4)].reversed() }
    return HandshakeDatagram(
      version: 5, extensionField: 5, kind: 0xFFFF_FFFF, socket: socket, cookie: cookie, extensions: extensions)
  }
}

/// What an attacker without any credential sends to the port: datagrams that are not, or not quite, the transport's.
struct HostileDatagrams {
  enum Kind: String, CaseIterable {
    /// Handshakes begun from many ports and left half open.
    case halfOpen = "half-open"
    /// Random bytes of every length.
    case datagrams
    /// Control packets of every type, cut short; data packets for sockets that may or may not exist.
    case control
  }

  let kind: Kind
  let port: UInt16
  let streamID: String
  var random: SeededGenerator
  private(set) var sent = 0
  private(set) var answers = 0
  /// Handshakes that lie half open at one time, each from a port of its own.
  private static let halfOpenPorts = 200

  init(_ kind: Kind, port: UInt16, streamID: String, seed: UInt64) {
    self.kind = kind
    self.port = port
    self.streamID = streamID
    random = SeededGenerator(state: seed)
  }

  /// Sends some, in some milliseconds.
  mutating func round() throws {
    switch kind {
    case .halfOpen: for _ in 0..<Self.halfOpenPorts / 10 { try halfOpen() }
    case .datagrams:
      let socket = try LoopbackDatagrams(to: port)
      for _ in 0..<50 {
        let length = Int.random(in: 0...1500, using: &random)
        socket.send((0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) })
      }
      sent += 50
    case .control:
      let socket = try LoopbackDatagrams(to: port)
      for _ in 0..<50 { socket.send(control()) }
      sent += 50
    }
    usleep(20_000)
  }

  private mutating func halfOpen() throws {
    let socket = try LoopbackDatagrams(to: port)
    let number = UInt32.random(in: 1...0x3FFF_FFFF, using: &random)
    socket.send(HandshakeDatagram(socket: number).bytes)
    sent += 1
    // Some never listen to the answer.
    guard Int.random(in: 0..<4, using: &random) > 0, let answer = socket.receive(wait_ms: 20),
      answer.count >= HandshakeDatagram.cookieOffset + 4
    else { return }
    answers += 1
    let cookie = answer[HandshakeDatagram.cookieOffset..<(HandshakeDatagram.cookieOffset + 4)].reduce(0) {
      $0 << 8 | UInt32($1)
    }
    var conclusion = HandshakeDatagram.conclusion(socket: number, cookie: cookie, streamID: streamID)
    switch Int.random(in: 0..<5, using: &random) {
    case 0: conclusion.cookie ^= 1
    case 1: conclusion.extensions.removeLast(Int.random(in: 1...conclusion.extensions.count, using: &random))
    case 2:
      // The length of an extension that goes past the end.
      conclusion.extensions[2] = UInt8.random(in: .min ... .max, using: &random)
      conclusion.extensions[3] = 0xFF
    case 3:
      // Key material that is none.
      conclusion.extensionField |= 2
      let words = UInt8.random(in: 0...30, using: &random)
      conclusion.extensions += [0, 3, 0, words]
      for _ in 0..<Int(words) * 4 { conclusion.extensions.append(UInt8.random(in: .min ... .max, using: &random)) }
    default: break
    }
    // In pieces of time, as a slow peer would, and never the last one.
    socket.send(conclusion.bytes)
    socket.send(Array(conclusion.bytes.prefix(Int.random(in: 16...64, using: &random))))
    sent += 2
  }

  private mutating func control() -> [UInt8] {
    var out: [UInt8] = []
    let isControl = Int.random(in: 0..<4, using: &random) > 0
    let type = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7FFF].randomElement(using: &random) ?? 0
    func put(_ value: UInt32) { withUnsafeBytes(of: value.bigEndian) { out += $0 } }
    put(isControl ? 0x8000_0000 | UInt32(type) << 16 : UInt32.random(in: 0...0x7FFF_FFFF, using: &random))
    put(UInt32.random(in: .min ... .max, using: &random))
    put(UInt32.random(in: .min ... .max, using: &random))
    // The listener, or a number near those that the library gives out.
    put(Bool.random(using: &random) ? 0 : UInt32.random(in: 1...0x3FFF_FFFF, using: &random))
    for _ in 0..<Int.random(in: 0...64, using: &random) { out.append(UInt8.random(in: .min ... .max, using: &random)) }
    return Array(out.prefix(Int.random(in: 1...out.count, using: &random)))
  }
}
