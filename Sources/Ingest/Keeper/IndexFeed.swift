internal import Doctrine
internal import Footage
internal import Foundation
internal import Logging
internal import Seams
internal import Synchronization
internal import Vault

/// Turns what the writer has made durable into events for the index. Called on the writer's thread.
final class IndexFeed: Sendable {
  private struct Part {
    var opened: PartOpened?
    var recording: RecordingID
    var indexer: SegmentIndexer
    /// Chunks the index has already (after a restart).
    var skip: Int64
    var closing: IncidentClosed?
    var progress: PartProgress?
  }

  /// The heads of all open chains go into the journal this often (each minute, in as few entries as they fit).
  static let chainHeads_us: Int64 = 60_000_000
  /// Each is some 150 bytes of an entry of at most 64 KiB.
  static let headsPerEntry = 200

  private struct State {
    var parts: [String: Part] = [:]
    var failing: Set<String> = []
    /// Closes of incidents whose last file a disk did not take.
    var unended: [String: IncidentClosed] = [:]
    var lastHeads_us: Int64 = 0
    var worstLag_us: Int64 = 0
    var durability = DurabilityCounts()
  }

  private let state = Mutex(State())
  private let spool: EventSpool
  private let clock: @Sendable () -> UTCTime
  private let logger: Logger

  init(spool: EventSpool, clock: @escaping @Sendable () -> UTCTime, logger: Logger) {
    self.spool = spool
    self.clock = clock
    self.logger = logger
  }

  /// The longest time from a packet to its being durable since the last call, and what is not being written now.
  ///
  /// - Parameter oldest_us: arrival of the oldest packet that is being flushed: a flush that hangs is seen while it does.
  func takeStatus(oldest_us: Int64?) -> (worstLag_us: Int64, counts: DurabilityCounts, failing: [RecordingID]) {
    state.withLock { state in
      defer { state.worstLag_us = 0 }
      let hanging_us = oldest_us.map { clock().microseconds - $0 } ?? 0
      return (
        max(state.worstLag_us, hanging_us), state.durability, state.failing.compactMap { state.parts[$0]?.recording }
      )
    }
  }

  func register(_ part: PartOpened) {
    state.withLock {
      $0.parts[part.part.rawValue] = Part(
        opened: part, recording: part.recording,
        indexer: SegmentIndexer(part: part.part, recording: part.recording), skip: 0)
    }
  }

  /// Takes up a recovered part: chunks the index has are skipped, the others are told at once.
  ///
  /// - Parameter indexed: nil where nobody knows: what was found is left to the register, which reads it from the file.
  func resume(_ part: PartID, _ recording: RecordingID, chunks: [CommittedChunk], indexed: Int64?) {
    state.withLock {
      $0.parts[part.rawValue] = Part(
        opened: nil, recording: recording, indexer: SegmentIndexer(part: part, recording: recording),
        skip: indexed ?? chunks.last.map { Int64($0.header.index) + 1 } ?? 0)
    }
    committed(chunks, areNew: false)
  }

  /// Whether a part is being written.
  func knows(_ part: PartID) -> Bool { state.withLock { $0.parts[part.rawValue] != nil } }

  /// The close of an incident whose last file broke before it was durable; nil where there is none.
  func takeUnended(_ part: PartID) -> IncidentClosed? {
    state.withLock { $0.unended.removeValue(forKey: part.rawValue) }
  }

  /// The part is the last of its recording: its close is the incident's.
  func closesIncident(_ part: PartID, _ closing: IncidentClosed) {
    state.withLock { state in
      if state.parts[part.rawValue] == nil { state.unended[part.rawValue] = closing }
      state.parts[part.rawValue]?.closing = closing
    }
  }

  func take(_ outcome: FootageOutcome) {
    switch outcome {
    case .opened(let part, let path):
      if var opened = state.withLock({ $0.parts[part]?.opened }) {
        // Another disk may have taken it than the one that was chosen.
        opened.path = path
        spool.append(.partOpened(opened))
      }
    case .committed(let chunks):
      committed(chunks, areNew: true)
    case .closed(let part, let count, let head, let length):
      let ended = state.withLock { $0.parts.removeValue(forKey: part) }
      guard var ended else { return }
      if let segment = ended.indexer.finish() { spool.append(.segment(segment)) }
      spool.append(
        .partClosed(
          PartProgress(part: PartID(part), chunkCount: Int64(count), chainHead: head, file_bytes: length)))
      if let closing = ended.closing { spool.append(.incidentClosed(closing)) }
    case .failing(let part, let error):
      let first = state.withLock { $0.failing.insert(part).inserted }
      if first { logger.error("footage cannot be written", metadata: ["part": "\(part)", "error": "\(error)"]) }
    case .broken(let part, let error):
      state.withLock { state in
        state.failing.remove(part)
        // The incident ends with the file that goes on.
        if let closing = state.parts[part]?.closing {
          state.parts[part]?.closing = nil
          state.unended[part] = closing
        }
      }
      logger.critical(
        "a disk failed under a recording: it goes on in another file",
        metadata: ["part": "\(part)", "error": "\(error)"])
    case .mended(let part):
      state.withLock { _ = $0.failing.remove(part) }
      logger.notice("footage is written again", metadata: ["part": "\(part)"])
    }
  }

  private func committed(_ chunks: [CommittedChunk], areNew: Bool) {
    var events: [IngestEvent] = []
    let now_us = clock().microseconds
    state.withLock { state in
      for chunk in chunks {
        guard var part = state.parts[chunk.part] else { continue }
        let index = Int64(chunk.header.index)
        guard index >= part.skip else { continue }
        if areNew, chunk.header.kind == .media {
          let lag_us = max(0, now_us - chunk.header.firstArrival_us)
          state.worstLag_us = max(state.worstLag_us, lag_us)
          state.durability.add(lag_ms: lag_us / 1000)
        }
        if let segment = part.indexer.committed(
          chunk.header, fileOffset: chunk.fileOffset, head: chunk.head)
        {
          events.append(.segment(segment))
        }
        if chunk.header.kind == .gap, let note = chunk.note.flatMap(GapNote.decode),
          let cause = GapCause(rawValue: note.cause)
        {
          events.append(
            .gap(
              GapEntry(
                part: PartID(chunk.part), chunk: index, from: UTCTime(microseconds: note.from_us),
                to: UTCTime(microseconds: note.to_us), cause: cause, missing: Int64(chunk.header.packetCount))))
        }
        part.progress = PartProgress(
          part: PartID(chunk.part), chunkCount: index + 1, chainHead: chunk.head,
          file_bytes: chunk.fileOffset + Int64(chunk.header.chunkLength))
        state.parts[chunk.part] = part
        if chunk.header.lastArrival_us - state.lastHeads_us >= Self.chainHeads_us {
          state.lastHeads_us = chunk.header.lastArrival_us
          let heads = state.parts.values.compactMap(\.progress)
          for start in stride(from: 0, to: heads.count, by: Self.headsPerEntry) {
            events.append(.chainHeads(Array(heads[start..<min(start + Self.headsPerEntry, heads.count)])))
          }
        }
      }
    }
    for event in events { spool.append(event) }
  }
}
