/// How an Opus stream is coded: its channels; it is always played at 48 kHz.
package struct OpusConfiguration: Equatable, Sendable {
  package static let samplingRate_hz = 48_000
  /// 1 or 2.
  package var channels: UInt8
}

/// Opus packets behind the control header they have in a transport stream.
///
/// Specification: the Xiph.Org Foundation's draft of Opus in MPEG-TS, 4.1 (control header); RFC 6716, 3.1 (TOC byte), 3.2.5.
///
///     | 3FF (11) | start trim (1) | end trim (1) | extension (1) | 00 | size (8, FF: + the next) * |
///     | [start trim (16)] | [end trim (16)] | [length (8) | extension] | TOC: mode (5) stereo (1) count (2) | ...
enum Opus {
  /// A packet of 120 ms at the highest rate stays under this.
  static let maximumPacket_bytes = 16_384

  static func scan(_ data: [UInt8], at index: Int, channels: UInt8) -> SoundScan {
    guard data[index] == 0x7F else { return .damaged(next: next(data, after: index)) }
    guard index + 3 <= data.count else { return .partial }
    let flags = data[index + 1]
    guard flags & 0xE0 == 0xE0 else { return .damaged(next: next(data, after: index)) }
    var cursor = index + 2
    var size = 0
    while true {
      guard cursor < data.count else { return .partial }
      let byte = data[cursor]
      size += Int(byte)
      cursor += 1
      guard size <= maximumPacket_bytes else { return .damaged(next: next(data, after: index)) }
      if byte != 0xFF { break }
    }
    if flags & 0x10 != 0 { cursor += 2 }
    if flags & 0x08 != 0 { cursor += 2 }
    if flags & 0x04 != 0 {
      guard cursor < data.count else { return .partial }
      cursor += 1 + Int(data[cursor])
    }
    guard cursor + size <= data.count else { return .partial }
    let packet = Array(data[cursor..<(cursor + size)])
    guard let samples = samples(packet) else { return .damaged(next: cursor + size) }
    let frame = SoundFrame(
      configuration: .opus(OpusConfiguration(channels: channels)), samples: samples,
      rate_hz: OpusConfiguration.samplingRate_hz, data: packet)
    return .found(frames: [frame], next: cursor + size)
  }

  /// Samples a packet lasts: 120 to 5760; nil where it cannot be.
  static func samples(_ packet: [UInt8]) -> Int? {
    guard let toc = packet.first else { return nil }
    let mode = Int(toc >> 3)
    let frame: Int
    switch mode {
    case 0..<12: frame = [480, 960, 1920, 2880][mode & 3]
    case 12..<16: frame = [480, 960][mode & 1]
    default: frame = [120, 240, 480, 960][mode & 3]
    }
    let count: Int
    switch toc & 3 {
    case 0: count = 1
    case 1, 2: count = 2
    default:
      guard packet.count > 1 else { return nil }
      count = Int(packet[1] & 0x3F)
    }
    return (1...5760).contains(frame * count) ? frame * count : nil
  }

  private static func next(_ data: [UInt8], after index: Int) -> Int {
    data[(index + 1)...].firstIndex(of: 0x7F) ?? data.count
  }
}
