internal import CSRT

/// A caller's request to be admitted, as the handshake shows it: nothing of it is proven yet.
package struct AdmissionRequest: Sendable {
  /// The number the connection will have if it is accepted.
  package var socket: Int32
  package var peer: PeerAddress
  /// As sent; at most 512 bytes by the protocol.
  package var streamID: String
}

/// How the transport hands over what it received.
package enum TransportDelivery: Equatable, Sendable {
  /// At once, and nothing is dropped as too late: no thread a connection, no waiting for an undisturbed packet. The sender
  /// may have so many packets under way. Not in timely delivery, whose packets count against a window until their time.
  case complete(window_packets: Int)
  /// By its time stamps (TSBPD), and what is later than the window is dropped (TLPKTDROP).
  case timely(window_ms: Int32)
}

/// The answer to an admission request.
package enum AdmissionAnswer: Sendable {
  /// Go on with the key exchange under this passphrase. For a caller that shall fail, one it cannot know:
  /// a refusal then looks like any wrong passphrase.
  case exchangeKeys(passphrase: String, TransportDelivery)
  /// Refuse before any key derivation.
  case refuse
}

/// A listening socket on a UDP socket of its own, and so with a receive thread of its own.
///
/// Several listen on one port: the first binds it, the others are given its number. Admission is decided inside libsrt's
/// handshake, on the library's thread: the closure may look up memory and nothing else.
///
/// Unchecked only for the reference to the closure, which is released once, with the socket.
package struct SRTListener: ~Copyable, @unchecked Sendable {
  private final class Admission: Sendable {
    let decide: @Sendable (AdmissionRequest) -> AdmissionAnswer
    init(_ decide: @escaping @Sendable (AdmissionRequest) -> AdmissionAnswer) { self.decide = decide }
  }

  private let socket: SRTSocket
  private let admission: Unmanaged<Admission>

  /// The UDP port that is bound.
  package let port: UInt16
  package var id: Int32 { socket.id }
  /// What the kernel keeps for all connections of this listener while nobody reads, in bytes.
  package let udpBuffer_bytes: Int

  /// Packets that a sender may have under way in complete delivery, one number for all: it stands in the answer to a caller
  /// that has proved nothing yet, and must not tell who is enrolled.
  ///
  /// A sender whose window is full sends nothing new and repeats only what it is asked for. Where everything under way was lost
  /// nobody knows what to ask for, and neither end ever says a word again: an outage must end before the window is full. A wider
  /// one lets a link that is too small repeat more in vain. The lower bound is what a long and lossy way needs; the upper one is
  /// below what a connection is ended at (`ShardCore.reach_packets`).
  package static let flightWindows_packets = 512...1792
  /// Four seconds of 2 Mbit/s, in packets of 1316 bytes.
  package static let usualFlightWindow_packets = 768
  /// Receive buffer of a connection: 8 s of 4 Mbit/s, enough for what a retransmission may hold up.
  static let receiveBuffer_bytes: Int32 = 4 << 20
  /// The same in packets: a payload of Ethernet's size and the library's header stand in each place.
  package static let receiveBuffer_packets = Int(receiveBuffer_bytes) / 1472
  /// UDP buffer asked of the kernel for all connections of a listener: a packet takes 2.3 KiB of it and of as much again that
  /// the kernel adds, so a pause of 0.7 s of a hundred cameras of 2 Mbit/s. What finds no room is asked for again by all at
  /// once, by a server that was short of a processor already.
  package static let wantedUDPBuffer_bytes: Int32 = 16 << 20
  /// A camera that is silent for longer has lost its link.
  static let peerIdle_ms: Int32 = 5000

  /// Binds and listens; delivery is complete where the admission does not say otherwise.
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
    try setOption(id, SRTO_UDP_RCVBUF, Self.wantedUDPBuffer_bytes, "SRTO_UDP_RCVBUF")
    // A stream id needs a peer of 1.3 or newer.
    try setOption(id, SRTO_MINVERSION, Int32(0x010300), "SRTO_MINVERSION")
    let given_bytes = try Self.acquire(id, host: host, port: port)
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
        case .exchangeKeys(let passphrase, let delivery):
          do throws(SRTError) {
            try setTextOption(connection, SRTO_PASSPHRASE, passphrase, "SRTO_PASSPHRASE")
            switch delivery {
            case .complete(let window_packets):
              try setOption(connection, SRTO_FC, Int32(clamping: window_packets), "SRTO_FC")
            case .timely(let window_ms):
              try setOption(connection, SRTO_TSBPDMODE, Int32(1), "SRTO_TSBPDMODE")
              try setOption(connection, SRTO_TLPKTDROP, Int32(1), "SRTO_TLPKTDROP")
              try setOption(connection, SRTO_RCVLATENCY, window_ms, "SRTO_RCVLATENCY")
            }
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
    udpBuffer_bytes = given_bytes
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

  /// Whether an address can be had: asked once, before the first of several listeners on it.
  ///
  /// - Throws: where another process, or a listener of this one, has it.
  package static func checkFree(host: String, port: UInt16) throws(SRTError) {
    try UDPPort.checkFree(host: host, port: port)
  }

  /// Gives the library a UDP socket of its own; returns the size of its receive buffer.
  private static func acquire(_ id: Int32, host: String, port: UInt16) throws(SRTError) -> Int {
    let udp = try UDPPort(host: host, port: port)
    guard srt_bind_acquire(id, udp.descriptor) >= 0 else { throw SRTError.last("srt_bind_acquire") }
    // After the library, which asks within the bound of the system.
    let given_bytes = udp.setReceiveBuffer(wantedUDPBuffer_bytes)
    // The library closes it with its last socket.
    _ = udp.release()
    return given_bytes
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
