package import Doctrine
internal import Footage
internal import Foundation
package import Logging
internal import SRT
package import Seams
package import Vault

/// An address and port that cameras call.
package struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The threads that own the cameras from socket to chunk: as many as asked, each with a listener of its own on every port.
package final class IngestShards: Sendable {
  private let shards: [Shard]
  private let common: ShardCommon

  /// - Parameter count: threads; 1 or more.
  package init(
    count: Int, footageRoot: String, table: AdmissionTable, spool: EventSpool, feed: LiveFeed, clocks: IngestClocks,
    logger: Logger
  ) {
    let common = ShardCommon(
      table: table, spool: spool, feed: feed, index: IndexFeed(spool: spool, clock: clocks.wall, logger: logger),
      volumes: Volumes(root: footageRoot), clocks: clocks, logger: logger)
    self.common = common
    shards = (0..<max(1, count)).map {
      Shard($0, footageRoot: footageRoot, common: common)
    }
  }

  /// Tells all of them: the camera's own acts, the others have nothing of it.
  package func post(_ command: ShardCommand) {
    for shard in shards { shard.mailbox.post(.command(command)) }
  }

  /// Tells the keeper which recordings have a camera connected.
  package func reportStreams() { common.spool.append(.streaming(common.streaming.all)) }

  /// How the disks do; what is waiting is added by who knows.
  package func takeStatus() -> IngestStatus {
    let (lag_us, counts, failing) = common.index.takeStatus(
      oldest_us: shards.compactMap(\.writer.oldestUndurable_us).min())
    let (waiting, dropped) = common.spool.figures
    return IngestStatus(
      durabilityLag_ms: lag_us / 1000, durability: counts, waiting: waiting, dropped: dropped,
      volumes: common.volumes.states.map {
        .init(
          prefix: $0.prefix, free_bytes: $0.free_bytes, total_bytes: $0.total_bytes, isHealthy: $0.isHealthy)
      }, failing: failing)
  }

  // MARK: What a stop left open

  /// Whether a part is being written.
  package func isWriting(_ part: PartID) -> Bool { common.index.knows(part) }

  /// A camera whose incident goes on: its calls wait until its part is taken up. Before ``start(_:)``, so that none is missed.
  package func expect(_ answer: FoundPartAnswer) {
    guard let camera = answer.resume?.camera else { return }
    owner(of: camera).mailbox.post(.expect(camera, answer.incident, answer.recording))
  }

  /// The part of a camera that was expected is told, or cannot be taken up: nobody waits for it any more.
  package func settled(_ answer: FoundPartAnswer) {
    guard let camera = answer.resume?.camera else { return }
    owner(of: camera).mailbox.post(.settled(camera, answer.incident))
  }

  /// Files that are in the way, and cannot be read: nothing is opened under their names.
  package func avoid(_ paths: [String]) {
    let names = paths.compactMap { $0.split(separator: "/").last?.split(separator: ".").first.map(String.init) }
    common.namesInTheWay.add(names)
  }

  /// Takes a recovered part up again: its camera may come back.
  package func takeUp(
    _ answer: FoundPartAnswer, _ recovered: PartRecovery.Recovered, _ resumed: ResumedRecording
  ) {
    let shard = owner(of: resumed.resumed.camera)
    writeOn(answer, recovered, in: shard)
    shard.mailbox.post(.resume(resumed))
  }

  /// Closes a recovered part whose incident is over.
  package func close(
    _ answer: FoundPartAnswer, _ recovered: PartRecovery.Recovered, lastArrival: UTCTime, incident: IncidentClosed?
  ) {
    let part = answer.grant.part
    let shard = answer.closing.map { owner(of: $0.camera) } ?? shards[0]
    writeOn(answer, recovered, in: shard)
    if let incident { common.index.closesIncident(part, incident) }
    shard.writer.submit(
      .close(
        part: part.rawValue,
        CloseNote.content(
          cause: ClosingCause.serverRestart.rawValue, at: lastArrival, epoch: recovered.lastEpoch)))
  }

  /// A file that was closed before the index was told: tells it now.
  package func tellClosed(
    _ answer: FoundPartAnswer, _ recovered: PartRecovery.Recovered, incident: IncidentClosed?
  ) {
    let part = answer.grant.part
    common.index.resume(
      part, answer.recording, chunks: recovered.chunks,
      indexed: recovered.reachesIndex ? answer.indexed?.chunkCount : nil)
    if let incident { common.index.closesIncident(part, incident) }
    common.index.take(
      .closed(
        part: part.rawValue, chunkCount: recovered.chain.nextIndex, head: recovered.chain.head,
        file_bytes: recovered.length))
  }

  private func writeOn(_ answer: FoundPartAnswer, _ recovered: PartRecovery.Recovered, in shard: Shard) {
    let part = answer.grant.part
    common.index.resume(
      part, answer.recording, chunks: recovered.chunks,
      indexed: recovered.reachesIndex ? answer.indexed?.chunkCount : nil)
    shard.writer.submit(
      .resume(part: part.rawValue, path: answer.path, chain: recovered.chain, key: answer.grant.symmetricKey))
    // What a stop kept from being told is a gap before anything else goes in (INT-6).
    for hole in recovered.holes {
      let note = GapNote(from_us: hole.from_us, to_us: hole.to_us, cause: GapCause.lostInTransport.rawValue)
      shard.writer.submit(
        .append(
          part: part.rawValue,
          ChunkContent(
            kind: .gap, epoch: hole.epoch, packetCount: UInt32(clamping: hole.range.count),
            firstSequence: hole.range.lowerBound, firstArrival_us: hole.from_us, lastArrival_us: hole.to_us,
            plaintext: note.encoded)))
    }
  }

  private func owner(of camera: CameraID) -> Shard { shards[Shard.owner(of: camera, among: shards.count)] }

  // MARK: Running

  /// Binds every address as often as there are threads, and starts them; returns the ports that were bound.
  package func start(_ addresses: [ListenAddress]) throws -> [UInt16] {
    var ports = addresses.map(\.port)
    let table = common.table
    let mailboxes = shards.map(\.mailbox)
    for address in addresses { try SRTListener.checkFree(host: address.host, port: address.port) }
    let cores = try shards.map { shard in
      let listeners = try addresses.indices.map { index in
        let listener = Listener(
          try SRTListener(host: addresses[index].host, port: ports[index]) { table.decide($0) })
        ports[index] = listener.listener.port
        return listener
      }
      return ShardCore(
        shard.number, listeners: listeners, mailboxes: mailboxes, writer: shard.writer, common: common)
    }
    sayIfBuffersAreSmall(cores)
    for (shard, core) in zip(shards, cores) { shard.start(core) }
    return ports
  }

  /// Ends the threads; what was received is sealed and flushed before this returns.
  package func stop() {
    for shard in shards { shard.stop() }
    for shard in shards { shard.waitForEnd() }
  }

  private func sayIfBuffersAreSmall(_ cores: [ShardCore]) {
    let wanted = Int(SRTListener.wantedUDPBuffer_bytes)
    // The kernel says twice what it was asked, for its own bookkeeping.
    guard let given = cores.flatMap(\.listeners).map({ $0.listener.udpBuffer_bytes }).min(), given < 2 * wanted else {
      return
    }
    common.logger.warning(
      "the kernel's receive buffer is small: a burst of a large fleet may be lost and sent again",
      metadata: [
        "bytes": "\(given / 2)", "wanted": "\(wanted)", "set": "sysctl -w net.core.rmem_max=\(wanted)",
      ])
  }
}

/// A listening socket that a thread's core holds.
final class Listener {
  let listener: SRTListener
  init(_ listener: consuming SRTListener) { self.listener = listener }
}
