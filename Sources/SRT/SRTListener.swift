internal import CSRT

/// A caller's request to be admitted, as the handshake shows it: nothing of it is proven yet.
package struct AdmissionRequest: Sendable {
  /// The number the connection will have if it is accepted.
  package var socket: Int32
  package var peer: PeerAddress
  /// As sent; at most 512 bytes by the protocol.
  package var streamID: String
}

/// The answer to an admission request.
package enum AdmissionAnswer: Sendable {
  /// Go on with the key exchange under this passphrase. For a caller that shall fail, one it cannot know:
  /// a refusal then looks like any wrong passphrase.
  case exchangeKeys(passphrase: String)
  /// Refuse before any key derivation.
  case refuse
}

/// A listening socket. Admission is decided inside libsrt's handshake, on the library's thread: the closure
/// may look up memory and nothing else.
package struct SRTListener: ~Copyable {
  private final class Admission {
    let decide: @Sendable (AdmissionRequest) -> AdmissionAnswer
    init(_ decide: @escaping @Sendable (AdmissionRequest) -> AdmissionAnswer) { self.decide = decide }
  }

  private let socket: SRTSocket
  private let admission: Unmanaged<Admission>

  /// The UDP port that is bound.
  package let port: UInt16
  package var id: Int32 { socket.id }

  /// Receive buffer of a connection: 8 s of 4 Mbit/s, enough for what a retransmission may hold up.
  static let receiveBuffer_bytes: Int32 = 4 << 20
  /// UDP buffer asked of the kernel for all connections together.
  static let udpBuffer_bytes: Int32 = 8 << 20
  /// A camera that is silent for longer has lost its link.
  static let peerIdle_ms: Int32 = 5000

  /// Binds and listens; delivery is *complete*: no time-stamp based delivery, nothing dropped as too late.
  package init(
    host: String, port: UInt16, backlog: Int32 = 256,
    admit: @escaping @Sendable (AdmissionRequest) -> AdmissionAnswer
  ) throws(SRTError) {
    let id = srt_create_socket()
    guard id != SRT_INVALID_SOCK else { throw SRTError.last("srt_create_socket") }
    let socket = SRTSocket(adopting: id)
    try setOption(id, SRTO_TRANSTYPE, Int32(SRTT_LIVE.rawValue), "SRTO_TRANSTYPE")
    try setOption(id, SRTO_TSBPDMODE, Int32(0), "SRTO_TSBPDMODE")
    try setOption(id, SRTO_TLPKTDROP, Int32(0), "SRTO_TLPKTDROP")
    try setOption(id, SRTO_RCVSYN, Int32(0), "SRTO_RCVSYN")
    try setOption(id, SRTO_ENFORCEDENCRYPTION, Int32(1), "SRTO_ENFORCEDENCRYPTION")
    try setOption(id, SRTO_PEERIDLETIMEO, Self.peerIdle_ms, "SRTO_PEERIDLETIMEO")
    try setOption(id, SRTO_RCVBUF, Self.receiveBuffer_bytes, "SRTO_RCVBUF")
    try setOption(id, SRTO_UDP_RCVBUF, Self.udpBuffer_bytes, "SRTO_UDP_RCVBUF")
    // A stream id needs a peer of 1.3 or newer.
    try setOption(id, SRTO_MINVERSION, Int32(0x010300), "SRTO_MINVERSION")
    try withSocketAddress(host: host, port: port, passive: true) { (address, length) throws(SRTError) in
      guard srt_bind(id, address, length) >= 0 else { throw SRTError.last("bind \(host):\(port)") }
    }
    let admission = Unmanaged.passRetained(Admission(admit))
    let status = srt_listen_callback(
      id,
      { context, connection, _, peer, streamID in
        guard let context, let peer, let streamID else { return -1 }
        let request = AdmissionRequest(
          socket: connection, peer: PeerAddress(peer), streamID: String(cString: streamID))
        let answer = Unmanaged<Admission>.fromOpaque(context).takeUnretainedValue().decide(request)
        switch answer {
        case .refuse:
          return -1
        case .exchangeKeys(let passphrase):
          do throws(SRTError) {
            try setTextOption(connection, SRTO_PASSPHRASE, passphrase, "SRTO_PASSPHRASE")
            return 0
          } catch {
            return -1
          }
        }
      }, admission.toOpaque())
    guard status >= 0, srt_listen(id, backlog) >= 0 else {
      admission.release()
      throw SRTError.last("srt_listen")
    }
    self.port = Self.boundPort(id) ?? port
    self.socket = socket
    self.admission = admission
  }

  deinit {
    // The callback can no longer run once the listener is closed.
    srt_close(socket.id)
    admission.release()
  }

  /// Takes one connection whose key exchange is done; nil when none waits.
  package borrowing func accept() -> SRTSocket? {
    let accepted = srt_accept(socket.id, nil, nil)
    guard accepted != SRT_INVALID_SOCK else { return nil }
    return SRTSocket(adopting: accepted)
  }

  private static func boundPort(_ id: Int32) -> UInt16? {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        srt_getsockname(id, address, &length) >= 0 ? PeerAddress(address).port : nil
      }
    }
  }
}

/// Waits for sockets to become readable.
package struct SRTPoll: ~Copyable {
  private let id: Int32

  package init() throws(SRTError) {
    id = srt_epoll_create()
    guard id >= 0 else { throw SRTError.last("srt_epoll_create") }
    // An empty set is not an error here: the loop waits, and looks at its commands.
    srt_epoll_set(id, Int32(SRT_EPOLL_ENABLE_EMPTY.rawValue))
  }

  deinit { srt_epoll_release(id) }

  package borrowing func add(_ socket: Int32) throws(SRTError) {
    var events = Int32(SRT_EPOLL_IN.rawValue | SRT_EPOLL_ERR.rawValue)
    guard srt_epoll_add_usock(id, socket, &events) >= 0 else { throw SRTError.last("srt_epoll_add_usock") }
  }

  package borrowing func remove(_ socket: Int32) { srt_epoll_remove_usock(id, socket) }

  /// Waits until a socket has something to read, or for `timeout_ms`; returns whether any has.
  package borrowing func wait(timeout_ms: Int64) -> Bool {
    withUnsafeTemporaryAllocation(of: SRT_EPOLL_EVENT.self, capacity: 1) { events in
      srt_epoll_uwait(id, events.baseAddress, 1, timeout_ms) > 0
    }
  }
}
