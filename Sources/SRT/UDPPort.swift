internal import CSRT
internal import Glibc

/// A bound UDP socket that shares its port with others of this process (`SO_REUSEPORT`).
///
/// libsrt runs one receive thread a UDP socket. Several sockets on one port make several of them: the kernel spreads the
/// peers over the sockets by address and port, and a peer stays where it is.
///
/// Source: socket(7), `SO_REUSEPORT`; `srt_bind_acquire` of libsrt's API.
struct UDPPort: ~Copyable {
  let descriptor: Int32

  /// - Throws: with the system's error number; nothing is left open.
  init(host: String, port: UInt16) throws(SRTError) {
    descriptor = try withSocketAddress(host: host, port: port, passive: true) {
      (address, length) throws(SRTError) in
      let family = Int32(address.pointee.sa_family)
      let fd = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard fd >= 0 else { throw Self.error("socket") }
      do throws(SRTError) {
        try Self.set(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT")
        // An address of version 6 takes calls of both versions.
        if family == AF_INET6 { try Self.set(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0, "IPV6_V6ONLY") }
        guard bind(fd, address, socklen_t(length)) == 0 else { throw Self.error("bind \(host):\(port)") }
      } catch {
        close(fd)
        throw error
      }
      return fd
    }
  }

  deinit { close(descriptor) }

  /// Asks for a receive buffer: at most `net.core.rmem_max`, whatever is asked, where the process may not administer the
  /// network (capabilities(7), `CAP_NET_ADMIN`).
  ///
  /// - Returns: what the kernel gave, in bytes of payload and bookkeeping: twice what it took.
  borrowing func setReceiveBuffer(_ bytes: Int32) -> Int {
    var (wanted, given, size) = (bytes, Int32(0), socklen_t(MemoryLayout<Int32>.size))
    if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, size) != 0 {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &wanted, size)
    }
    getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &given, &size)
    return Int(given)
  }

  /// Whether nobody has the port: with `SO_REUSEPORT` a second server of the same user would get half of the calls, unseen.
  static func checkFree(host: String, port: UInt16) throws(SRTError) {
    try withSocketAddress(host: host, port: port, passive: true) { (address, length) throws(SRTError) in
      let fd = socket(Int32(address.pointee.sa_family), Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard fd >= 0 else { throw Self.error("socket") }
      defer { close(fd) }
      guard bind(fd, address, socklen_t(length)) == 0 else { throw Self.error("bind \(host):\(port)") }
    }
  }

  /// Hands the descriptor over: whoever took it closes it.
  consuming func release() -> Int32 {
    let fd = descriptor
    discard self
    return fd
  }

  private static func set(
    _ fd: Int32, _ level: Int32, _ option: Int32, _ value: Int32, _ name: String
  ) throws(SRTError) {
    var value = value
    guard setsockopt(fd, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else { throw error(name) }
  }

  private static func error(_ operation: String) -> SRTError {
    SRTError(operation: operation, code: errno, message: String(cString: strerror(errno)))
  }
}
