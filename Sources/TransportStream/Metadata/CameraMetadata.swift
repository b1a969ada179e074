/// One set of a camera's own metadata.
package struct CameraMetadata: Equatable, Sendable {
  package var pid: UInt16
  /// On the program's media clock, for a synchronous stream; nil for one that is sent as it comes.
  package var presentation: MediaTime90k?
  package var set: UASDatalinkSet
}

/// The time the camera's clock showed.
package struct CameraTime: Equatable, Sendable {
  package enum Source: Equatable, Sendable {
    /// MISB ST 0601.
    case metadata
    /// MISB ST 0604.
    case picture
  }

  package var pid: UInt16
  package var source: Source
  /// Since 1970-01-01 UTC.
  package var microseconds: Int64
}
