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
      return "mp4a.40.\(c.replication?.objectType ?? c.objectType)"
    case .opus:
      return "opus"
    }
  }

  private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

/// The `ftyp` and `moov` boxes that start a fragmented file or stream.
///
/// Specification: ISO/IEC 14496-12, 8.2 and 8.8; ``SampleEntry`` for how each track is coded.
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
        let size = SampleEntry.pictureSize(track.configuration)
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
              SampleEntry.write(&w, track.configuration)
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
}
