import TransportStream

/// Some time of a looping clip as the messages that a camera would send, each with the instant at which it is due.
///
/// Made once and shared by all cameras of a load: sending costs nothing but the transport.
struct RenderedStream: Sendable {
  /// Packets of one message: seven make 1316 bytes, the usual payload.
  static let message_bytes = 7 * TransportPacket.size

  let bytes: [UInt8]
  /// Microseconds after the first message.
  let due_us: [Int64]

  var messageCount: Int { due_us.count }
  var rate_mbps: Double { Double(bytes.count) * 8 / Double(max(1, due_us.last ?? 1)) }

  /// - Parameters:
  ///   - seconds: how much of it, on the media clock; the clip loops with continuous time stamps.
  ///   - speed: how much faster than that clock it is sent.
  init(clip: [UInt8], seconds: Double, speed: Double = 1) throws {
    var loop = try LoopingClip(clip)
    var bytes: [UInt8] = []
    // Packets with a clock, and when they are due: those between are spread evenly.
    var known: [(packet: Int, due_90k: Int64)] = []
    var count = 0
    while Double(known.last?.due_90k ?? 0) < seconds * 90_000 || count % 7 != 0 {
      let (packet, due) = loop.next()
      bytes += packet
      if let due { known.append((count, due)) }
      count += 1
    }
    var due_us: [Int64] = []
    var index = 0
    for packet in stride(from: 0, to: count, by: 7) {
      while index + 1 < known.count, known[index + 1].packet <= packet { index += 1 }
      let (start, from) = known[index]
      let due_90k: Double
      if index + 1 < known.count, packet > start {
        let (end, to) = known[index + 1]
        due_90k = Double(from) + Double(to - from) * Double(packet - start) / Double(end - start)
      } else {
        due_90k = Double(from)
      }
      due_us.append(Int64(due_90k / 0.09 / speed))
    }
    self.bytes = bytes
    self.due_us = due_us
  }
}
