/// What an elementary stream carries, as its type and its descriptors say.
///
/// Specification: ISO/IEC 13818-1, Table 2-34 (stream types), 2.6.8 (registration descriptor), 2.6.90 (extension
/// descriptor); the Xiph.Org Foundation's draft of Opus in MPEG-TS (`Opus`); MISB ST 1402 (`KLVA`).
///
///     { descriptor_tag (8) | descriptor_length (8) | 05: format_identifier (32) .. | 7F: tag 80, channels (8) | .. } *
package enum StreamCoding: Equatable, Sendable {
  case h264
  case h265
  /// AAC with a header before each frame.
  case aacADTS
  /// AAC in LATM, with its LOAS synchronisation.
  case aacLATM
  /// `channels`: the channel configuration code, 1 or 2.
  case opus(channels: UInt8)
  /// KLV with its presentation time, in metadata access units.
  case klvSynchronous
  /// KLV as it comes, in private PES packets.
  case klvAsynchronous
  /// Somebody's own data, a stream of another kind than pictures and sound: passed over, no damage.
  case privateData
  /// Pictures or sound in a coding that no browser plays or that is not read here.
  case unsupported

  package var isPicture: Bool { self == .h264 || self == .h265 }

  package var isSound: Bool {
    switch self {
    case .aacADTS, .aacLATM, .opus: true
    default: false
    }
  }

  package init(type: UInt8, descriptors: ArraySlice<UInt8>) {
    switch type {
    case 0x1B: self = .h264
    case 0x24: self = .h265
    case 0x0F: self = .aacADTS
    case 0x11: self = .aacLATM
    case 0x15: self = .klvSynchronous
    case 0x06: self = Self.privateStream(descriptors)
    // Video of MPEG-1, -2, -4, scalable and later kinds; sound of MPEG-1 and -2, AC-3 and its kin.
    case 0x01...0x04, 0x10, 0x1C, 0x1E...0x23, 0x25...0x33, 0x81, 0x87: self = .unsupported
    default: self = .privateData
    }
  }

  private static func privateStream(_ descriptors: ArraySlice<UInt8>) -> StreamCoding {
    var format: [UInt8] = []
    var channels: UInt8 = 2
    var rest = descriptors
    while rest.count >= 2, let tag = rest.popFirst(), let length = rest.popFirst(), Int(length) <= rest.count {
      let body = Array(rest.prefix(Int(length)))
      rest = rest.dropFirst(Int(length))
      if tag == 0x05, body.count >= 4 { format = Array(body.prefix(4)) }
      if tag == 0x7F, body.count >= 2, body[0] == 0x80 { channels = body[1] }
    }
    switch format {
    case Array("KLVA".utf8): return .klvAsynchronous
    // More than two channels need a mapping that the relay does not write.
    case Array("Opus".utf8): return (1...2).contains(channels) ? .opus(channels: channels) : .unsupported
    case Array("HEVC".utf8): return .h265
    case Array("AC-3".utf8), Array("EAC3".utf8): return .unsupported
    default: return .privateData
    }
  }
}
