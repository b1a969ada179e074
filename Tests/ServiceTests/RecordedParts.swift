import Crypto
import Doctrine
import Footage
import Foundation
import Seams
import Synchronization
import Vault

@testable import Keeper

/// A recording of one part with a real file, and what the ingest would tell of it.
struct RecordedPart {
  let recording: RecordingID
  let incident: IncidentID
  let grant: PartGrant
  let path: String
  let events: [IngestEvent]
  let media: [UInt8]

  /// Writes `chunks` chunks of a few packets with the real writer, under a key of the keeper's own.
  static func write(
    _ world: KeeperWorld, service: ServiceID, camera: CameraID, agent: AgentID, at start: UTCTime, chunks: Int = 30
  ) async throws -> RecordedPart {
    let recording = RecordingID(UUID().uuidString.lowercased())
    let incident = IncidentID(UUID().uuidString.lowercased())
    let day = await world.keeper.calendar.day(of: start)
    let grant = try await world.keeper.partGrants(for: service, from: day)[0]
    let part = UUIDText.binary(grant.part.rawValue) ?? []
    let key = SymmetricKey(data: grant.key.bytes)
    let facts = "{\"agent\":\"\(agent)\",\"camera\":\"\(camera)\",\"regime\":\"pn-gn\",\"regimeVersion\":1}"
    let header = PartHeader(
      part: part, recording: UUIDText.binary(recording.rawValue) ?? [],
      incident: UUIDText.binary(incident.rawValue) ?? [], service: UUIDText.binary(service.rawValue) ?? [],
      localDay: UInt32(day.year * 10_000 + day.month * 100 + day.day), created_us: start.microseconds,
      previousHead: .init(repeating: 0, count: 32), wrappedKey: grant.wrappedKey.bytes,
      sealedFacts: try Sealing.seal(
        Array(facts.utf8), under: key, purpose: Sealing.factsPurpose, subject: part))
    let path =
      day.description.split(separator: "-").joined(separator: "/") + "/\(grant.part).plm"
    let told = Mutex<[IngestEvent]>([])
    let indexer = Mutex(SegmentIndexer(part: grant.part, recording: recording))
    let writer = FootageWriter(root: world.folder + "/footage") { outcome in
      switch outcome {
      case .committed(let chunks):
        for chunk in chunks {
          let row = indexer.withLock { $0.committed(chunk.header, fileOffset: chunk.fileOffset, head: chunk.head) }
          if let row { told.withLock { $0.append(.segment(row)) } }
          if let note = chunk.note.flatMap(GapNote.decode) {
            told.withLock {
              $0.append(
                .gap(
                  GapEntry(
                    part: grant.part, chunk: Int64(chunk.header.index), from: UTCTime(microseconds: note.from_us),
                    to: UTCTime(microseconds: note.to_us), cause: .linkLost)))
            }
          }
        }
      case .closed(_, let count, let head, let length):
        if let row = indexer.withLock({ $0.finish() }) { told.withLock { $0.append(.segment(row)) } }
        told.withLock {
          $0.append(
            .partClosed(
              PartProgress(part: grant.part, chunkCount: Int64(count), chainHead: head, file_bytes: length)))
        }
      default: break
      }
    }
    var media: [UInt8] = []
    writer.submit(.open(part: grant.part.rawValue, path: path, header: header, key: key, after: nil))
    func content(_ kind: ChunkKind, _ index: Int, _ bytes: [UInt8]) -> ChunkContent {
      let at = start.microseconds + Int64(index) * 1_000_000
      return ChunkContent(
        kind: kind, epoch: 1, packetCount: 1, firstSequence: UInt64(index), firstArrival_us: at, lastArrival_us: at,
        plaintext: bytes)
    }
    for index in 0..<chunks {
      let bytes = [0x47] + (0..<(188 * 7 - 1)).map { _ in UInt8.random(in: 0...255) }
      if index == chunks / 2 {
        writer.submit(
          .append(
            part: grant.part.rawValue,
            content(.gap, index, GapNote(from_us: 1, to_us: 2, cause: GapCause.linkLost.rawValue).encoded)))
      }
      media += bytes
      writer.submit(.append(part: grant.part.rawValue, content(.media, index, bytes)))
    }
    let end = start.adding(seconds: Int64(chunks))
    let note = "{\"cause\":\"\(ClosingCause.endedByWearer.rawValue)\",\"closed_us\":\(end.microseconds)}"
    writer.submit(.close(part: grant.part.rawValue, content(.close, chunks, Array(note.utf8))))
    writer.stop()
    let before: [IngestEvent] = [
      .incidentOpened(
        IncidentEntry(
          id: incident, recording: recording, service: service, camera: camera, agent: agent, reference: nil,
          activation: nil, openedAt: start), threat: nil, peer: "test"),
      .partOpened(
        PartOpened(
          part: grant.part, recording: recording, service: service, number: 1, localDay: grant.localDay,
          wrappedKey: grant.wrappedKey, path: path)),
    ]
    let after: [IngestEvent] = [
      .incidentClosed(
        IncidentClosed(
          incident: incident, recording: recording, camera: camera, at: end, cause: .endedByWearer, by: nil, damage: 0))
    ]
    return RecordedPart(
      recording: recording, incident: incident, grant: grant, path: path, events: before + told.withLock { $0 } + after,
      media: media)
  }

  /// Tells the keeper, as the ingest does, what passes `kept`.
  func tell(_ world: KeeperWorld, boot: String, _ kept: (IngestEvent) -> Bool = { _ in true }) async throws {
    let numbered = events.filter(kept).enumerated().map {
      NumberedEvent(number: UInt64($0.offset + 1), event: $0.element)
    }
    _ = try await world.keeper.answer(.events(boot: boot, oldest: 1, numbered))
  }
}
