internal import FragmentedMP4
internal import TransportStream

/// An MP4 made from the master without re-encoding: a derived object, never a second master.
// INT-4, EXP-1.
package struct DerivedMP4: Sendable {
  private var demuxer = Demuxer()
  private var muxer = FragmentMuxer(cut: .everyGroup, keepsSound: true)

  package init() {}

  /// Takes the next bytes of the transport stream; returns the bytes of the file that they complete.
  package mutating func push(_ bytes: [UInt8]) -> [UInt8] { collect(demuxer.push(bytes)) }

  package mutating func finish() -> [UInt8] {
    collect(demuxer.finish()) + Self.bytes(of: muxer.finish())
  }

  private mutating func collect(_ events: [DemuxerEvent]) -> [UInt8] {
    var out: [UInt8] = []
    for event in events { out += Self.bytes(of: muxer.push(event)) }
    return out
  }

  private static func bytes(of outputs: [MuxerOutput]) -> [UInt8] {
    outputs.flatMap { output in
      switch output {
      case .initialization(let bytes, _): bytes
      case .fragment(let bytes, _): bytes
      }
    }
  }
}
