/// How an elementary stream is coded, with all that a decoder needs to start.
package enum TrackConfiguration: Equatable, Sendable {
  case h264(H264Configuration)
  case h265(H265Configuration)
  case aac(AACConfiguration)
  case opus(OpusConfiguration)

  package var isVideo: Bool {
    switch self {
    case .h264, .h265: true
    case .aac, .opus: false
    }
  }
}

/// One picture or one frame of sound, as a file stores it: video units carry 4-byte lengths, sound no header.
package struct AccessUnit: Equatable, Sendable {
  /// What a frame of sound lasts.
  package struct Length: Equatable, Sendable {
    package var samples: Int
    package var rate_hz: Int
  }

  package var pid: UInt16
  package var presentation: MediaTime90k
  package var decoding: MediaTime90k
  /// A decoder can start here.
  package var isRandomAccess: Bool
  package var data: [UInt8]
  /// Nil for a picture.
  package var sound: Length?
}

/// What a demultiplexer tells of the bytes it was given, in order.
package enum DemuxerEvent: Equatable, Sendable {
  /// The streams of picture and sound that are followed now; configurations come with their first units. What is
  /// not named any more has ended.
  case program(pids: [UInt16])
  /// A stream's configuration is known for the first time, or has changed: what follows needs a new start.
  case configured(pid: UInt16, TrackConfiguration)
  case accessUnit(AccessUnit)
  /// The camera's own metadata: its time, its place.
  case metadata(CameraMetadata)
  /// The camera's time, written into a picture or into metadata.
  case cameraTime(CameraTime)
  case damage(TransportDamage)
}
