@testable import FragmentedMP4
@testable import TransportStream

/// The framings of sound: ADTS, LATM, Opus.
///
/// The first byte of the input chooses. Invariants: every look goes on, so that it ends; frames are never more
/// bytes than came; each has a length in time; a file can be begun with it.
enum SoundTarget {
  static func run(_ input: [UInt8]) throws {
    guard let first = input.first else { return }
    let data = Array(input.dropFirst())
    var multiplex = LATM()
    var index = 0
    var given = 0
    var last: TrackConfiguration?
    while index < data.count {
      let scan: SoundScan
      switch first % 3 {
      case 0: scan = ADTS.scan(data, at: index)
      case 1: scan = multiplex.scan(data, at: index)
      default: scan = Opus.scan(data, at: index, channels: (first >> 4 & 1) + 1)
      }
      switch scan {
      case .partial: return
      case .damaged(let next):
        try hold(next > index && next <= data.count, "from \(index) to \(next) of \(data.count)")
        index = next
      case .found(let frames, let next):
        try hold(next > index && next <= data.count, "from \(index) to \(next) of \(data.count)")
        for frame in frames {
          given += frame.data.count
          try hold(frame.samples > 0 && frame.rate_hz > 0, "a frame of \(frame.samples) samples at \(frame.rate_hz) Hz")
          if frame.configuration != last { try ParameterSetsTarget.start(frame.configuration) }
          last = frame.configuration
        }
        try hold(given <= data.count, "\(given) bytes of frames out of \(data.count)")
        index = next
      }
    }
  }
}
