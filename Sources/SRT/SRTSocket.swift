internal import CSRT

/// What reading a socket once gave.
package enum ReceiveOutcome: Equatable, Sendable {
  /// `length` bytes lie at the start of the buffer; `sequence` is the 31-bit packet number.
  case message(length: Int, sequence: UInt32)
  /// Nothing to read now.
  case nothing
  /// The connection is over.
  case ended
}

/// Link figures of one connection, since it began.
package struct LinkStatistics: Equatable, Sendable {
  package var packetsReceived: Int64
  /// Noticed missing, whether or not they came later.
  package var packetsLost: Int
  /// Came by retransmission.
  package var packetsRetransmitted: Int
  package var roundTrip_ms: Double
  package var rate_mbps: Double
  package var receiveBuffer_bytes: Int
  /// What the receive buffer still takes.
  package var receiveRoom_packets: Int
}

/// One libsrt socket; closed when it goes out of scope. The library's calls on it may come from any thread.
package struct SRTSocket: ~Copyable, Sendable {
  /// The library's number for it, valid while this value lives.
  package let id: Int32

  init(adopting id: Int32) { self.id = id }

  deinit { srt_close(id) }

  /// Reads one message (at most one packet of the transport) without waiting.
  package borrowing func receive(into buffer: UnsafeMutableRawBufferPointer) -> ReceiveOutcome {
    var control = SRT_MSGCTRL()
    srt_msgctrl_init(&control)
    let target = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
    let length = srt_recvmsg2(id, target, Int32(buffer.count), &control)
    if length > 0 { return .message(length: Int(length), sequence: UInt32(bitPattern: control.pktseq)) }
    if length == 0 { return .ended }
    let code = srt_getlasterror(nil)
    return code == SRT_EASYNCRCV.rawValue ? .nothing : .ended
  }

  /// Sends one message of at most 1456 bytes, waiting while the send buffer is full. Of a call that was made to wait.
  package borrowing func send(
    _ bytes: UnsafeRawBufferPointer, inOrder: Bool, timeToLive_ms: Int32? = nil
  ) throws(SRTError) {
    _ = try offer(bytes, inOrder: inOrder, timeToLive_ms: timeToLive_ms)
  }

  /// Sends one message of at most 1456 bytes; false where the send buffer is full and the call was made so that nothing waits.
  ///
  /// - Parameters:
  ///   - inOrder: asks the receiver to hold back what comes after a loss, as ffmpeg does.
  ///   - timeToLive_ms: the sender gives the message up when it could not be delivered by then; nil never does.
  package borrowing func offer(
    _ bytes: UnsafeRawBufferPointer, inOrder: Bool, timeToLive_ms: Int32? = nil
  ) throws(SRTError) -> Bool {
    var control = SRT_MSGCTRL()
    srt_msgctrl_init(&control)
    control.inorder = inOrder ? 1 : 0
    if let timeToLive_ms { control.msgttl = timeToLive_ms }
    let source = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    guard srt_sendmsg2(id, source, Int32(bytes.count), &control) >= 0 else {
      if srt_getlasterror(nil) == SRT_EASYNCSND.rawValue { return false }
      throw SRTError.last("srt_sendmsg2")
    }
    return true
  }

  /// Bytes that the peer has not acknowledged yet; nil where the connection is gone and nobody knows.
  package borrowing func unacknowledged_bytes() -> Int? {
    var blocks = 0
    var bytes = 0
    return srt_getsndbuffer(id, &blocks, &bytes) >= 0 && isConnected() ? bytes : nil
  }

  /// The number of the first packet that the other end sends, agreed on in the handshake: 31 bits.
  package borrowing func firstSequence() -> UInt32 {
    var first: Int32 = 0
    var size = Int32(MemoryLayout<Int32>.size)
    return srt_getsockflag(id, SRTO_ISN, &first, &size) >= 0 ? UInt32(bitPattern: first) : 0
  }

  /// Packets that are whole and in order, and can be read at once. What is behind a hole may be readable and is not counted.
  package borrowing func readable() -> Int {
    var count: Int32 = 0
    var size = Int32(MemoryLayout<Int32>.size)
    return srt_getsockflag(id, SRTO_RCVDATA, &count, &size) >= 0 ? Int(count) : 0
  }

  /// The window in which this end hands over in timely delivery: its own or the sender's wish, whichever is longer.
  package borrowing func window_ms() -> Int { latency_ms(SRTO_RCVLATENCY) }

  /// The latency that the sender was set to.
  package borrowing func senderLatency_ms() -> Int { latency_ms(SRTO_PEERLATENCY) }

  private borrowing func latency_ms(_ option: SRT_SOCKOPT) -> Int {
    var latency: Int32 = 0
    var size = Int32(MemoryLayout<Int32>.size)
    return srt_getsockflag(id, option, &latency, &size) >= 0 ? Int(latency) : 0
  }

  /// Whether the other end is still there, as far as the transport knows.
  package borrowing func isConnected() -> Bool { srt_getsockstate(id) == SRTS_CONNECTED }

  package borrowing func statistics() -> LinkStatistics? {
    var s = CBytePerfMon()
    guard srt_bistats(id, &s, 0, 1) == 0 else { return nil }
    return LinkStatistics(
      packetsReceived: s.pktRecvTotal, packetsLost: Int(s.pktRcvLossTotal),
      packetsRetransmitted: Int(s.pktRcvRetrans), roundTrip_ms: s.msRTT,
      rate_mbps: s.mbpsRecvRate,
      receiveBuffer_bytes: Int(s.byteRcvBuf), receiveRoom_packets: Int(s.byteAvailRcvBuf / max(1, s.byteMSS)))
  }
}

/// How a camera calls: for simulators and tests.
package struct CallOptions: Sendable {
  package var host: String
  package var port: UInt16
  package var streamID: String
  /// Nil calls in clear, to see it refused.
  package var passphrase: String?
  package var latency_ms: Int32
  package var timeout_ms: Int32
  /// Limit of what is sent, retransmissions included; nil leaves the library's own.
  package var maximumBandwidth_bytesPerSecond: Int64?
  /// The UDP port to call from, shared by all calls that name it; nil takes one of its own.
  package var localPort: UInt16?
  /// With a limit of 0: how much more than the stream itself may be sent, 5 to 100.
  package var overhead_percent: Int32?
  /// Whether sending waits while the send buffer is full.
  package var waitsForRoom: Bool

  package init(
    host: String, port: UInt16, streamID: String, passphrase: String?, latency_ms: Int32 = 120,
    timeout_ms: Int32 = 3000, maximumBandwidth_bytesPerSecond: Int64? = nil, localPort: UInt16? = nil,
    overhead_percent: Int32? = nil, waitsForRoom: Bool = true
  ) {
    self.host = host
    self.port = port
    self.streamID = streamID
    self.passphrase = passphrase
    self.latency_ms = latency_ms
    self.timeout_ms = timeout_ms
    self.maximumBandwidth_bytesPerSecond = maximumBandwidth_bytesPerSecond
    self.localPort = localPort
    self.overhead_percent = overhead_percent
    self.waitsForRoom = waitsForRoom
  }
}

extension SRTSocket {
  /// Connects to a listener and waits until it has admitted or refused the call.
  package static func call(_ options: CallOptions) throws(SRTError) -> SRTSocket {
    let id = srt_create_socket()
    guard id != SRT_INVALID_SOCK else { throw SRTError.last("srt_create_socket") }
    let socket = SRTSocket(adopting: id)
    try setOption(id, SRTO_TRANSTYPE, Int32(SRTT_LIVE.rawValue), "SRTO_TRANSTYPE")
    try setOption(id, SRTO_SENDER, Int32(1), "SRTO_SENDER")
    try setOption(id, SRTO_LATENCY, options.latency_ms, "SRTO_LATENCY")
    try setOption(id, SRTO_CONNTIMEO, options.timeout_ms, "SRTO_CONNTIMEO")
    try setTextOption(id, SRTO_STREAMID, options.streamID, "SRTO_STREAMID")
    if let passphrase = options.passphrase {
      try setTextOption(id, SRTO_PASSPHRASE, passphrase, "SRTO_PASSPHRASE")
    }
    if let limit = options.maximumBandwidth_bytesPerSecond {
      try setOption(id, SRTO_MAXBW, limit, "SRTO_MAXBW")
    }
    if let overhead = options.overhead_percent {
      try setOption(id, SRTO_OHEADBW, overhead, "SRTO_OHEADBW")
    }
    if !options.waitsForRoom { try setOption(id, SRTO_SNDSYN, Int32(0), "SRTO_SNDSYN") }
    if let localPort = options.localPort {
      try withSocketAddress(host: options.host == "127.0.0.1" ? "127.0.0.1" : "0.0.0.0", port: localPort, passive: true)
      {
        (address, length) throws(SRTError) in
        guard srt_bind(id, address, length) >= 0 else { throw SRTError.last("bind the local port \(localPort)") }
      }
    }
    try withSocketAddress(host: options.host, port: options.port, passive: false) {
      (address, length) throws(SRTError) in
      guard srt_connect(id, address, length) >= 0 else {
        let reason = srt_getrejectreason(id)
        throw SRTError(
          operation: "connect", code: reason, message: String(cString: srt_rejectreason_str(reason)))
      }
    }
    return socket
  }
}

func setOption<T: BitwiseCopyable>(
  _ id: Int32, _ option: SRT_SOCKOPT, _ value: T, _ name: String
) throws(SRTError) {
  let status = withUnsafePointer(to: value) {
    srt_setsockflag(id, option, $0, Int32(MemoryLayout<T>.size))
  }
  guard status >= 0 else { throw SRTError.last(name) }
}

func setTextOption(_ id: Int32, _ option: SRT_SOCKOPT, _ value: String, _ name: String) throws(SRTError) {
  let bytes = Array(value.utf8)
  let status = bytes.withUnsafeBytes { srt_setsockflag(id, option, $0.baseAddress, Int32($0.count)) }
  guard status >= 0 else { throw SRTError.last(name) }
}
