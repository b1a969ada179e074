package import FragmentedMP4
internal import TransportStream

/// From ordered transport stream bytes to fragments, for one live camera. Pure.
package struct LivePipeline: Sendable {
  private var demuxer = Demuxer()
  private var muxer: FragmentMuxer
  /// Damage seen, by name.
  package private(set) var damage: [String: Int] = [:]

  /// - Parameter keepsSound: the regime's switch; otherwise sound is dropped here, before any relay memory (LIVE-8).
  package init(keepsSound: Bool) { muxer = FragmentMuxer(cut: .everyPicture, keepsSound: keepsSound) }

  package mutating func push(_ bytes: [UInt8]) -> [MuxerOutput] {
    var output: [MuxerOutput] = []
    for event in demuxer.push(bytes) {
      if case .damage(let found) = event { damage[found.name, default: 0] += 1 }
      output += muxer.push(event)
    }
    return output
  }
}
