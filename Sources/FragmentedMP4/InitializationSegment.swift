package import TransportStream

/// A track of a fragmented file: its number there and how it is coded.
package struct Track: Equatable, Sendable {
  /// Track number in the file, from 1.
  package var id: UInt32
  package var configuration: TrackConfiguration

  package init(id: UInt32, configuration: TrackConfiguration) {
    self.id = id
    self.configuration = configuration
  }

  /// The `codecs` parameter of a media type. RFC 6381; ISO/IEC 14496-15, Annex E.
  package var codec: String {
    switch configuration {
    case .h264(let c):
      return "avc1." + c.sequenceParameterSet.dropFirst().prefix(3).map(Self.hex).joined()
    case .h265(let c):
      let p = c.profileTierLevel
      let space = ["", "A", "B", "C"][Int(p[0] >> 6)]
      var compatibility: UInt32 = 0
      for bit in 0..<32 where p[1 + bit / 8] & (0x80 >> UInt8(bit % 8)) != 0 { compatibility |= 1 << UInt32(bit) }
      var constraints = Array(p[5..<11])
      while let last = constraints.last, last == 0 { constraints.removeLast() }
      let tier = p[0] & 0x20 == 0 ? "L" : "H"
      let head = "hvc1.\(space)\(p[0] & 0x1F).\(String(compatibility, radix: 16)).\(tier)\(p[11])"
      return ([head] + constraints.map { String($0, radix: 16) }).joined(separator: ".")
    case .aac(let c):
      return "mp4a.40.\(c.objectType)"
    }
  }

  private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

/// The `ftyp` and `moov` boxes that start a fragmented file or stream.
///
/// Specification: ISO/IEC 14496-12, 8.2 and 8.8; 14496-15 (avcC, hvcC); 14496-14 (esds).
///
///     ftyp
///     moov
///       mvhd
///       trak*  tkhd  mdia( mdhd hdlr minf( vmhd|smhd dinf stbl( stsd stts stsc stsz stco ) ) )
///       mvex   trex*
package struct InitializationSegment: Sendable {
  package var bytes: [UInt8]

  package init(tracks: [Track]) {
    var w = BoxWriter()
    w.box("ftyp") { w in
      w.text("iso6")
      w.u32(1)
      w.text("iso6")
      w.text("mp41")
    }
    w.box("moov") { w in
      Self.movieHeader(&w, nextTrack: UInt32(tracks.count + 1))
      for track in tracks { Self.track(&w, track) }
      w.box("mvex") { w in
        for track in tracks {
          w.fullBox("trex") { w in
            w.u32(track.id)
            w.u32(1)
            w.zeros(12)
          }
        }
      }
    }
    bytes = w.bytes
  }

  private static func matrix(_ w: inout BoxWriter) {
    for value: UInt32 in [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000] { w.u32(value) }
  }

  private static func movieHeader(_ w: inout BoxWriter, nextTrack: UInt32) {
    w.fullBox("mvhd") { w in
      w.zeros(8)
      w.u32(UInt32(MediaTime90k.ticksPerSecond))
      w.u32(0)
      w.u32(0x10000)
      w.u16(0x100)
      w.zeros(10)
      matrix(&w)
      w.zeros(24)
      w.u32(nextTrack)
    }
  }

  private static func track(_ w: inout BoxWriter, _ track: Track) {
    let video = track.configuration.isVideo
    w.box("trak") { w in
      w.fullBox("tkhd", flags: 3) { w in
        w.zeros(8)
        w.u32(track.id)
        w.zeros(16)
        w.u16(0)
        w.u16(0)
        w.u16(video ? 0 : 0x100)
        w.u16(0)
        matrix(&w)
        let size = pictureSize(track.configuration)
        w.u32(UInt32(size.width) << 16)
        w.u32(UInt32(size.height) << 16)
      }
      w.box("mdia") { w in
        w.fullBox("mdhd") { w in
          w.zeros(8)
          w.u32(UInt32(MediaTime90k.ticksPerSecond))
          w.u32(0)
          w.u16(0x55C4)  // "und"
          w.u16(0)
        }
        w.fullBox("hdlr") { w in
          w.u32(0)
          w.text(video ? "vide" : "soun")
          w.zeros(12)
          w.text("plastron\0")
        }
        w.box("minf") { w in
          if video {
            w.fullBox("vmhd", flags: 1) { $0.zeros(8) }
          } else {
            w.fullBox("smhd") { $0.zeros(4) }
          }
          w.box("dinf") { w in
            w.fullBox("dref") { w in
              w.u32(1)
              w.fullBox("url ", flags: 1) { _ in }
            }
          }
          w.box("stbl") { w in
            w.fullBox("stsd") { w in
              w.u32(1)
              sampleEntry(&w, track.configuration)
            }
            w.fullBox("stts") { $0.u32(0) }
            w.fullBox("stsc") { $0.u32(0) }
            w.fullBox("stsz") { $0.zeros(8) }
            w.fullBox("stco") { $0.u32(0) }
          }
        }
      }
    }
  }

  private static func pictureSize(_ configuration: TrackConfiguration) -> (width: UInt16, height: UInt16) {
    switch configuration {
    case .h264(let c): (UInt16(clamping: c.width), UInt16(clamping: c.height))
    case .h265(let c): (UInt16(clamping: c.width), UInt16(clamping: c.height))
    case .aac: (0, 0)
    }
  }

  private static func sampleEntry(_ w: inout BoxWriter, _ configuration: TrackConfiguration) {
    switch configuration {
    case .h264(let c):
      w.box("avc1") { w in
        visualFields(&w, configuration)
        w.box("avcC") { w in
          w.u8(1)
          w.append(c.sequenceParameterSet.dropFirst().prefix(3))
          w.u8(0xFF)
          w.u8(0xE1)
          w.u16(UInt16(clamping: c.sequenceParameterSet.count))
          w.append(c.sequenceParameterSet)
          w.u8(1)
          w.u16(UInt16(clamping: c.pictureParameterSet.count))
          w.append(c.pictureParameterSet)
        }
      }
    case .h265(let c):
      w.box("hvc1") { w in
        visualFields(&w, configuration)
        w.box("hvcC") { w in
          w.u8(1)
          w.append(c.profileTierLevel)
          w.u16(0xF000)
          w.u8(0xFC)
          w.u8(0xFC | c.chromaFormat)
          w.u8(0xF8 | (c.bitDepthLuma - 8))
          w.u8(0xF8 | (c.bitDepthChroma - 8))
          w.u16(0)
          w.u8(0x0F)
          let arrays: [(UInt8, [UInt8])] = [
            (32, c.videoParameterSet), (33, c.sequenceParameterSet), (34, c.pictureParameterSet),
          ]
          w.u8(UInt8(arrays.count))
          for (type, unit) in arrays {
            w.u8(0x80 | type)
            w.u16(1)
            w.u16(UInt16(clamping: unit.count))
            w.append(unit)
          }
        }
      }
    case .aac(let c):
      w.box("mp4a") { w in
        w.zeros(6)
        w.u16(1)
        w.zeros(8)
        w.u16(UInt16(c.channels))
        w.u16(16)
        w.zeros(4)
        w.u32(UInt32(c.samplingRate_hz & 0xFFFF) << 16)
        w.fullBox("esds") { w in
          w.append([0x03, 25, 0, 0, 0, 0x04, 17, 0x40, 0x15, 0, 0, 0])
          w.zeros(8)
          w.append([0x05, 2])
          w.append(c.audioSpecificConfig)
          w.append([0x06, 1, 2])
        }
      }
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
