internal import TransportStream

/// The sample entry that tells a decoder how a track is coded.
///
/// Specification: ISO/IEC 14496-12, 8.5.2; 14496-15, 5.3.3 (avcC), 8.3.3 (hvcC); 14496-14, 5.6 (esds); "Encapsulation of
/// Opus in ISO Base Media File Format", 4.3 (dOps).
///
///     avc1( avcC )  |  hvc1( hvcC )  |  mp4a( esds )  |  Opus( dOps )
enum SampleEntry {
  static func write(_ w: inout BoxWriter, _ configuration: TrackConfiguration) {
    switch configuration {
    case .h264(let c):
      w.box("avc1") { w in
        visualFields(&w, configuration)
        w.box("avcC") { h264(&$0, c) }
      }
    case .h265(let c):
      w.box("hvc1") { w in
        visualFields(&w, configuration)
        w.box("hvcC") { h265(&$0, c) }
      }
    case .aac(let c):
      w.box("mp4a") { w in
        soundFields(&w, channels: c.channels, rate_hz: c.samplingRate_hz)
        let specific = c.audioSpecificConfig
        w.fullBox("esds") { w in
          w.append([0x03, UInt8(23 + specific.count), 0, 0, 0, 0x04, UInt8(15 + specific.count), 0x40, 0x15, 0, 0, 0])
          w.zeros(8)
          w.append([0x05, UInt8(specific.count)])
          w.append(specific)
          w.append([0x06, 1, 2])
        }
      }
    case .opus(let c):
      w.box("Opus") { w in
        soundFields(&w, channels: c.channels, rate_hz: OpusConfiguration.samplingRate_hz)
        w.box("dOps") { w in
          w.u8(0)
          w.u8(c.channels)
          w.u16(0)  // a live stream is joined in its middle: nothing to skip
          w.u32(UInt32(OpusConfiguration.samplingRate_hz))
          w.u16(0)
          w.u8(0)
        }
      }
    }
  }

  /// A parameter set's count has five bits for sequences and eight for pictures.
  private static let maximumSets = 255

  private static func h264(_ w: inout BoxWriter, _ c: H264Configuration) {
    w.u8(1)
    w.append(c.sequenceParameterSet.dropFirst().prefix(3))
    w.u8(0xFF)
    w.u8(0xE1)
    set(&w, c.sequenceParameterSet)
    let pictures = c.pictureParameterSets.prefix(maximumSets)
    w.u8(UInt8(pictures.count))
    for unit in pictures { set(&w, unit) }
    guard c.isHighProfile else { return }
    w.u8(0xFC | c.chromaFormat)
    w.u8(0xF8 | (c.bitDepthLuma - 8))
    w.u8(0xF8 | (c.bitDepthChroma - 8))
    w.u8(0)
  }

  private static func h265(_ w: inout BoxWriter, _ c: H265Configuration) {
    w.u8(1)
    w.append(c.profileTierLevel)
    w.u16(0xF000)
    w.u8(0xFC)
    w.u8(0xFC | c.chromaFormat)
    w.u8(0xF8 | (c.bitDepthLuma - 8))
    w.u8(0xF8 | (c.bitDepthChroma - 8))
    w.u16(0)
    w.u8(0x0F)
    let arrays: [(UInt8, [[UInt8]])] = [
      (32, [c.videoParameterSet]), (33, [c.sequenceParameterSet]), (34, c.pictureParameterSets),
    ]
    w.u8(UInt8(arrays.count))
    for (type, units) in arrays {
      w.u8(0x80 | type)
      w.u16(UInt16(clamping: units.count))
      for unit in units { set(&w, unit) }
    }
  }

  private static func set(_ w: inout BoxWriter, _ unit: [UInt8]) {
    w.u16(UInt16(clamping: unit.count))
    w.append(unit)
  }

  private static func soundFields(_ w: inout BoxWriter, channels: UInt8, rate_hz: Int) {
    w.zeros(6)
    w.u16(1)
    w.zeros(8)
    w.u16(UInt16(channels))
    w.u16(16)
    w.zeros(4)
    w.u32(UInt32(rate_hz & 0xFFFF) << 16)
  }

  static func pictureSize(_ configuration: TrackConfiguration) -> (width: UInt16, height: UInt16) {
    switch configuration {
    case .h264(let c): (UInt16(clamping: c.width), UInt16(clamping: c.height))
    case .h265(let c): (UInt16(clamping: c.width), UInt16(clamping: c.height))
    case .aac, .opus: (0, 0)
    }
  }

  private static func visualFields(_ w: inout BoxWriter, _ configuration: TrackConfiguration) {
    let size = pictureSize(configuration)
    w.zeros(6)
    w.u16(1)
    w.zeros(16)
    w.u16(size.width)
    w.u16(size.height)
    w.u32(0x48_0000)
    w.u32(0x48_0000)
    w.u32(0)
    w.u16(1)
    w.zeros(32)
    w.u16(0x18)
    w.u16(0xFFFF)
  }
}
