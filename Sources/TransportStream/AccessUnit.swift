/// How an elementary stream is coded, with all that a decoder needs to start.
package enum TrackConfiguration: Equatable, Sendable {
  case h264(H264Configuration)
  case h265(H265Configuration)
  case aac(AACConfiguration)

  package var isVideo: Bool {
    if case .aac = self { false } else { true }
  }
}

/// One picture or one frame of sound, as a file stores it: video units carry 4-byte lengths, AAC no header.
package struct AccessUnit: Equatable, Sendable {
  package var pid: UInt16
  package var presentation: MediaTime90k
  package var decoding: MediaTime90k
  /// A decoder can start here.
  package var isRandomAccess: Bool
  package var data: [UInt8]
}

/// What a demultiplexer tells of the bytes it was given, in order.
package enum DemuxerEvent: Equatable, Sendable {
  /// The program's streams that can be followed; their configurations come with their first units.
  case program(pids: [UInt16])
  /// A stream's configuration is known for the first time, or has changed: what follows needs a new start.
  case configured(pid: UInt16, TrackConfiguration)
  case accessUnit(AccessUnit)
  case damage(TransportDamage)
}
