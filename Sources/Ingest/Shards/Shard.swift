import Doctrine
import Foundation
import SRT
import Synchronization
import Vault

/// One thread of the ingest with its sockets, its cameras and its writer: shards share nothing for a packet.
///
/// It accepts, receives, orders, gates and hands chunks to its writer; nothing else runs on it and it waits for nothing but
/// the sockets. A tick rather than an event per packet: with few connections it waits for the sockets, with many it sleeps
/// a few milliseconds and drains them all.
///
/// A connection may come by any shard's listener, as the kernel spreads the peers; its camera belongs to one shard, chosen by
/// the camera's name (``owner(of:among:)``), and the socket goes there by message. So a camera that comes back by another
/// listener finds its recording where it left it: docs/decisions/0017-a-camera-has-one-thread.md.
final class Shard: Sendable {
  let number: Int
  let mailbox = ShardMailbox()
  let writer: FootageWriter
  private let stopping = Atomic<Bool>(false)
  private let started = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)

  init(_ number: Int, footageRoot: String, common: ShardCommon) {
    self.number = number
    let mailbox = self.mailbox
    let index = common.index
    writer = FootageWriter(root: footageRoot, volumes: common.volumes, backlog: common.backlog) { outcome in
      index.take(outcome)
      if case .broken(let part, _) = outcome { mailbox.post(.goOnElsewhere(PartID(part))) }
    }
  }

  /// The shard that a camera belongs to: the same as long as there are as many.
  static func owner(of camera: CameraID, among count: Int) -> Int {
    // FNV-1a: even, and the same in every run.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in camera.rawValue.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return Int(hash % UInt64(count))
  }

  /// Starts the thread, which alone uses the core from then on.
  func start(_ core: ShardCore) {
    started.store(true, ordering: .releasing)
    let handover = Handover(core)
    let thread = Thread { [self] in
      Thread.current.name = "ingest-\(number)"
      handover.core.run(messages: { mailbox.take() }, stopping: { stopping.load(ordering: .acquiring) })
      finished.signal()
    }
    thread.stackSize = 1 << 20
    thread.start()
  }

  /// Asks the thread to end; ``waitForEnd()`` waits for it.
  func stop() { stopping.store(true, ordering: .releasing) }

  /// What was received is sealed and flushed before this returns.
  func waitForEnd() {
    if started.load(ordering: .acquiring) { finished.wait() }
    writer.stop()
  }

  private final class Handover: @unchecked Sendable {
    let core: ShardCore
    init(_ core: ShardCore) { self.core = core }
  }
}
