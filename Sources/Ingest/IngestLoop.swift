package import Doctrine
internal import Footage
internal import Foundation
package import Logging
internal import SRT
package import Seams
internal import Synchronization
package import Vault

/// What the ingest's thread is told from outside.
package enum LoopCommand: Sendable {
  case close(IncidentID, cause: ClosingCause, by: String?)
  case live(RecordingID, open: Bool)
  case allLiveEnds
  /// Tells the keeper which recordings have a camera connected.
  case reportStreams
  case resume(ResumedRecording)
  /// The disk failed under a part: the recording goes on in another.
  case goOnElsewhere(PartID)
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

/// The thread that owns every camera from socket to chunk.
///
/// It accepts, receives, orders, gates and hands chunks to the writer; nothing else runs on it and it waits for
/// nothing but the sockets. A tick rather than an event per packet: with few connections it waits for the
/// sockets, with many it sleeps a few milliseconds and drains them all.
package final class IngestLoop: Sendable {
  /// Connections up to which the loop waits for events instead of ticking.
  static let eventDrivenConnections = 32
  static let tick_ms: UInt32 = 5
  static let wait_ms: Int64 = 10
  /// Messages read from one connection before the next has its turn.
  static let messagesPerTurn = 512

  /// What the thread is told, until its next turn.
  private final class Commands: Sendable {
    private let list = Mutex<[LoopCommand]>([])

    func post(_ command: LoopCommand) { list.withLock { $0.append(command) } }

    func take() -> [LoopCommand] {
      list.withLock { list in
        defer { list.removeAll() }
        return list
      }
    }
  }

  private let commands: Commands
  private let stopping = Atomic<Bool>(false)
  private let started = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)
  private let table: AdmissionTable
  private let spool: EventSpool
  private let feed: LiveFeed
  private let writer: FootageWriter
  private let index: IndexFeed
  private let clocks: IngestClocks
  private let logger: Logger

  package init(
    footageRoot: String, table: AdmissionTable, spool: EventSpool, feed: LiveFeed, clocks: IngestClocks,
    logger: Logger
  ) {
    self.table = table
    self.spool = spool
    self.feed = feed
    self.clocks = clocks
    self.logger = logger
    let index = IndexFeed(spool: spool, clock: clocks.wall, logger: logger)
    self.index = index
    let commands = Commands()
    self.commands = commands
    writer = FootageWriter(root: footageRoot) { outcome in
      index.take(outcome)
      if case .broken(let part, _) = outcome { commands.post(.goOnElsewhere(PartID(part))) }
    }
  }

  package func post(_ command: LoopCommand) { commands.post(command) }

  /// How the disks do; what is waiting is added by who knows.
  package func takeStatus() -> IngestStatus {
    let (lag_us, counts, failing) = index.takeStatus(oldest_us: writer.oldestUndurable_us)
    let (waiting, dropped) = spool.figures
    return IngestStatus(
      durabilityLag_ms: lag_us / 1000, durability: counts, waiting: waiting, dropped: dropped,
      volumes: writer.volumes.states.map {
        .init(
          prefix: $0.prefix, free_bytes: $0.free_bytes, total_bytes: $0.total_bytes, isHealthy: $0.isHealthy)
      }, failing: failing)
  }

  /// Whether a part is being written.
  package func isWriting(_ part: PartID) -> Bool { index.knows(part) }

  /// Recovered parts, before the listener opens.
  package func takeUp(_ answer: FoundPartAnswer, _ recovered: PartRecovery.Recovered) {
    let part = answer.grant.part
    index.resume(part, answer.recording, chunks: recovered.chunks, indexed: answer.indexed?.chunkCount)
    _ = writer.submit(
      .resume(part: part.rawValue, path: answer.path, chain: recovered.chain, key: answer.grant.symmetricKey))
  }

  /// A file that was closed before the index was told: tells it now.
  package func tellClosed(
    _ answer: FoundPartAnswer, _ recovered: PartRecovery.Recovered, incident: IncidentClosed?
  ) {
    let part = answer.grant.part
    index.resume(part, answer.recording, chunks: recovered.chunks, indexed: answer.indexed?.chunkCount)
    if let incident { index.closesIncident(part, incident) }
    index.take(
      .closed(
        part: part.rawValue, chunkCount: recovered.chain.nextIndex, head: recovered.chain.head,
        file_bytes: recovered.length))
  }

  /// Closes a recovered part whose incident is over.
  package func closeRecovered(_ part: PartID, lastArrival: UTCTime, lastEpoch: UInt32, incident: IncidentClosed?) {
    if let incident { index.closesIncident(part, incident) }
    _ = writer.submit(
      .close(
        part: part.rawValue,
        CloseNote.content(cause: ClosingCause.serverRestart.rawValue, at: lastArrival, epoch: lastEpoch)))
  }

  /// Binds and starts the thread; returns the bound port.
  package func start(host: String, port: UInt16) throws -> UInt16 {
    let table = self.table
    let listener = try SRTListener(host: host, port: port) { table.decide($0) }
    let bound = listener.port
    let core = IngestCore(
      listener: listener, table: table, spool: spool, feed: feed, writer: writer, index: index,
      clocks: clocks, logger: logger)
    started.store(true, ordering: .releasing)
    let handover = Handover(core)
    let thread = Thread { [self] in
      handover.core.run(
        commands: { self.commands.take() },
        stopping: { self.stopping.load(ordering: .acquiring) })
      finished.signal()
    }
    thread.name = "ingest-shard"
    thread.stackSize = 1 << 20
    thread.start()
    return bound
  }

  /// Ends the thread; what was received is sealed and flushed before this returns.
  package func stop() {
    stopping.store(true, ordering: .releasing)
    if started.load(ordering: .acquiring) { finished.wait() }
    writer.stop()
  }

  /// Carries the core to its thread, which alone uses it from then on.
  private final class Handover: @unchecked Sendable {
    let core: IngestCore
    init(_ core: IngestCore) { self.core = core }
  }
}
