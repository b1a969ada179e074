import Doctrine
import Logging
import Synchronization
import Vault

/// What all the threads of an ingest share. Nothing of it is touched for a packet.
struct ShardCommon: Sendable {
  let table: AdmissionTable
  let spool: EventSpool
  let feed: LiveFeed
  let index: IndexFeed
  let volumes: Volumes
  /// What waits for the disks, of all shards together.
  let backlog = FootageBacklog()
  let streaming = StreamingRecordings()
  /// Parts whose file is there already and cannot be read.
  let namesInTheWay = NamesInTheWay()
  let clocks: IngestClocks
  let logger: Logger
}

/// Names that no file can be made under.
final class NamesInTheWay: Sendable {
  private let names = Mutex<Set<String>>([])

  func add(_ more: [String]) { names.withLock { $0.formUnion(more) } }
  func contains(_ part: PartID) -> Bool { names.withLock { $0.contains(part.rawValue) } }
}

/// The recordings whose camera is connected now.
final class StreamingRecordings: Sendable {
  private let recordings = Mutex<Set<RecordingID>>([])

  var all: [RecordingID] { recordings.withLock { Array($0) } }

  func joined(_ recording: RecordingID) { recordings.withLock { _ = $0.insert(recording) } }
  func left(_ recording: RecordingID) { recordings.withLock { _ = $0.remove(recording) } }
}
