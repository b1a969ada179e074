internal import CSRT
internal import Glibc

/// The library as a whole: started once a process, before any socket.
package enum SRTLibrary {
  /// Starts the library and silences its own log, which would print peers' addresses.
  package static func start() throws(SRTError) {
    guard srt_startup() >= 0 else { throw SRTError.last("srt_startup") }
    srt_setloglevel(LOG_CRIT)
  }

  package static func stop() { srt_cleanup() }

  package static var version: String {
    let v = srt_getversion()
    return "\(v >> 16 & 0xFF).\(v >> 8 & 0xFF).\(v & 0xFF)"
  }
}

/// An address and port of a peer, as text.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  package var host: String
  package var port: UInt16

  /// What one subscriber may choose from: the address of version 4, the first 64 bits of one of version 6.
  package private(set) var network: String

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  init(_ address: UnsafePointer<sockaddr>) {
    switch Int32(address.pointee.sa_family) {
    case AF_INET:
      self = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { v4 in
        var source = v4.pointee.sin_addr
        return Self(
          host: Self.text(AF_INET, &source, Int(INET_ADDRSTRLEN)), port: UInt16(bigEndian: v4.pointee.sin_port))
      }
    case AF_INET6:
      self = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { v6 in
        var source = v6.pointee.sin6_addr
        let host = Self.text(AF_INET6, &source, Int(INET6_ADDRSTRLEN))
        let port = UInt16(bigEndian: v6.pointee.sin6_port)
        // A call of version 4 on a socket of version 6.
        guard !host.hasPrefix("::ffff:") else { return Self(host: host, port: port) }
        withUnsafeMutableBytes(of: &source) { bytes in for index in 8..<16 { bytes[index] = 0 } }
        return Self(host: host, port: port, network: Self.text(AF_INET6, &source, Int(INET6_ADDRSTRLEN)))
      }
    default:
      self.init(host: "?", port: 0)
    }
  }

  private init(host: String, port: UInt16, network: String? = nil) {
    self.host = host
    self.port = port
    self.network = network ?? host
  }

  private static func text(_ family: Int32, _ source: UnsafeRawPointer, _ capacity: Int) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
      guard let base = buffer.baseAddress, inet_ntop(family, source, base, socklen_t(capacity)) != nil else {
        return "?"
      }
      return String(cString: base)
    }
  }
}

/// Resolves a numeric address or a name to socket addresses and hands the first to `body`.
func withSocketAddress<R>(
  host: String, port: UInt16, passive: Bool,
  _ body: (UnsafePointer<sockaddr>, Int32) throws(SRTError) -> R
) throws(SRTError) -> R {
  var hints = addrinfo()
  hints.ai_family = AF_UNSPEC
  hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
  hints.ai_flags = passive ? AI_PASSIVE : 0
  var list: UnsafeMutablePointer<addrinfo>?
  let status = getaddrinfo(host, String(port), &hints, &list)
  guard status == 0, let first = list, let address = first.pointee.ai_addr else {
    throw SRTError(operation: "resolve \(host)", code: status, message: String(cString: gai_strerror(status)))
  }
  defer { freeaddrinfo(list) }
  return try body(address, Int32(first.pointee.ai_addrlen))
}
