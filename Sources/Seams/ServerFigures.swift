/// What the server measures of itself, for a collector: no names of persons or cameras.
package struct ServerFigures: Equatable, Sendable, Codable {
  package var node: String
  package var ingestConnected: Bool
  /// As the ingest last told; nil before it did.
  package var ingest: IngestStatus?
  /// The longest that a packet waited to be durable in the last minute (P5: within 1 s).
  package var durabilityLag_ms: Int64
  package var incidents: Int
  package var live: Int
  package var viewings: Int
  package var databaseAway: Bool
  package var writesWaiting: Int
  package var journalEntries: UInt64
  package var erasuresOverdue: Int
  package var sweeperStopped: Bool
  package var mastersAltered: Int
  package var keysCopyFailing: Bool
  package var links: LinkFigures

  package init(
    node: String, ingestConnected: Bool, ingest: IngestStatus?, durabilityLag_ms: Int64, incidents: Int, live: Int,
    viewings: Int, databaseAway: Bool, writesWaiting: Int, journalEntries: UInt64, erasuresOverdue: Int,
    sweeperStopped: Bool, mastersAltered: Int, keysCopyFailing: Bool, links: LinkFigures
  ) {
    self.node = node
    self.ingestConnected = ingestConnected
    self.ingest = ingest
    self.durabilityLag_ms = durabilityLag_ms
    self.incidents = incidents
    self.live = live
    self.viewings = viewings
    self.databaseAway = databaseAway
    self.writesWaiting = writesWaiting
    self.journalEntries = journalEntries
    self.erasuresOverdue = erasuresOverdue
    self.sweeperStopped = sweeperStopped
    self.mastersAltered = mastersAltered
    self.keysCopyFailing = keysCopyFailing
    self.links = links
  }
}
