import Doctrine
import SRT

/// A socket of the transport on its way to the thread that owns its camera.
final class AcceptedSocket: Sendable {
  let socket: SRTSocket
  init(_ socket: consuming SRTSocket) { self.socket = socket }
}

/// One SRT connection whose passphrase is proven. Belongs to one thread.
final class Connection {
  /// How much later than its window a packet may be handed over.
  private static let margin_us: Int64 = 100_000

  let accepted: AcceptedSocket
  /// The library's number of the socket.
  let id: Int32
  let peer: String
  let state: CameraState
  let camera: CameraID
  let acceptedAt: MonotonicTime
  let isLinkTest: Bool
  let epoch: UInt32
  var lastPacket: MonotonicTime
  /// When it was last read without having said that there is something.
  var lastLook: MonotonicTime
  var intake: PacketIntake
  var meter: LinkMeter
  /// When the transport was asked for its figures.
  var figuresAt = MonotonicTime(microseconds: 0)
  var ended = false
  /// Why this end ended it; nil where the other did.
  var endCause: GapCause?
  /// Since when the transport says that it is over. In timely delivery what waits for its time is still handed over.
  var endedSince: MonotonicTime?
  let lastWindow_us: Int64
  var isPolled = false
  var stall = StallWatch()

  init(
    _ accepted: AcceptedSocket, _ state: CameraState, _ camera: CameraID, peer: String, at now: MonotonicTime,
    isLinkTest: Bool, epoch: UInt32, reception: ReceptionSettings, wall: UTCTime
  ) {
    self.accepted = accepted
    id = accepted.socket.id
    self.state = state
    self.camera = camera
    self.peer = peer
    acceptedAt = now
    lastPacket = now
    lastLook = now
    self.isLinkTest = isLinkTest
    self.epoch = epoch
    var holeLimit_us = Int64(ReceptionSettings.holeLimit_ms) * 1000
    var delivery = reception.delivery
    if case .timely = delivery {
      // What the transport does not hand over in order by then, it has dropped.
      holeLimit_us = 0
      let window_ms = accepted.socket.window_ms()
      lastWindow_us = Int64(window_ms) * 1000 + Self.margin_us
      delivery = .timely(window_ms: window_ms)
    } else {
      lastWindow_us = 0
    }
    intake = PacketIntake(
      reorderer: Reorderer(
        first: accepted.socket.firstSequence(), begunAt: wall, holeLimit_us: holeLimit_us,
        relayBudget_us: Int64(reception.relayBudget_ms) * 1000),
      assembler: ChunkAssembler(epoch: epoch))
    meter = LinkMeter(
      delivery: delivery, senderLatency_ms: accepted.socket.senderLatency_ms(), at: now, wall: wall)
  }
}
