import TransportStream

/// The pictures of a rendered stream, in their order.
struct SentPictures {
  struct Picture {
    /// Messages that its first and its last packet are in.
    var first: Int
    var last: Int
    /// Its last packet is full: that it is the last, only the next picture's start tells.
    var isToldByNext: Bool
  }

  static let tail_bytes = 24

  private(set) var list: [Picture] = []
  /// A picture is known again by its last bytes, which the relay does not touch. A clip that loops has the same ones again.
  private(set) var byTail: [[UInt8]: [Int]] = [:]

  init(in bytes: [UInt8]) {
    var video: UInt16?
    var payload: [UInt8] = []
    var current: Picture?
    for index in 0..<(bytes.count / TransportPacket.size) {
      let start = index * TransportPacket.size
      guard let packet = try? TransportPacket(bytes, at: start), packet.hasPayload else { continue }
      let content = bytes[(start + packet.payloadStart)..<(start + TransportPacket.size)]
      // The first elementary stream whose start is a video PES.
      if packet.payloadUnitStart, video == nil, content.starts(with: [0, 0, 1, 0xE0]) { video = packet.pid }
      guard packet.pid == video else { continue }
      let message = index * TransportPacket.size / RenderedStream.message_bytes
      if packet.payloadUnitStart {
        if let current { take(current, payload) }
        payload.removeAll(keepingCapacity: true)
        current = Picture(first: message, last: message, isToldByNext: false)
      }
      payload += content
      current?.last = message
      current?.isToldByNext = packet.stuffing_bytes == 0
    }
  }

  private mutating func take(_ picture: Picture, _ payload: [UInt8]) {
    guard payload.count > Self.tail_bytes else { return }
    byTail[Array(payload.suffix(Self.tail_bytes)), default: []].append(list.count)
    list.append(picture)
  }
}
