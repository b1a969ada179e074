package import Doctrine
package import Seams

/// What the ingest's threads are told from outside.
package enum ShardCommand: Sendable {
  case close(IncidentID, cause: ClosingCause, by: String?)
  case live(RecordingID, open: Bool)
  case allLiveEnds
}

/// A recording taken up after a restart.
package struct ResumedRecording: Sendable {
  package var incident: IncidentID
  package var recording: RecordingID
  package var service: ServiceID
  package var current: PartGrant
  package var resumed: ResumedIncident
  /// Opened from the file's header: the parts that follow carry the same.
  package var facts: [UInt8]
  package var lastArrival: UTCTime
  package var lastEpoch: UInt32
}

/// What comes to one thread.
enum ShardMessage: Sendable {
  case command(ShardCommand)
  /// A connection that another thread's listener took, of a camera that is this one's.
  case accepted(AcceptedSocket, PendingAttempt)
  /// A recording that goes on, and whose part is being read.
  case expect(CameraID, IncidentID, RecordingID)
  case resume(ResumedRecording)
  /// The part that was read is told, or cannot be taken up.
  case settled(CameraID, IncidentID)
  /// The disk failed under a part: the recording goes on in another.
  case goOnElsewhere(PartID)
}
