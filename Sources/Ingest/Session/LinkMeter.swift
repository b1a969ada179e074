import Doctrine
import SRT

/// Makes the figures of one link out of what the transport, the order and the stream's own clock say.
struct LinkMeter: Sendable {
  /// How often a link's figures are told.
  static let interval_us: Int64 = 10_000_000

  /// The counters as they were told last.
  private struct Told: Sendable {
    var packets: Int64 = 0
    var bytes: Int64 = 0
    var lost: Int64 = 0
    var retransmitted: Int64 = 0
    var duplicates: Int64 = 0
    var missing: Int64 = 0
    var clockRestarts: Int64 = 0
    var discontinuities: Int64 = 0
    var foreign: Int64 = 0
  }

  private let delivery: Delivery
  private let senderLatency_ms: Int
  private var told = Told()
  private var isNew = true
  private var from: UTCTime
  private(set) var due: MonotonicTime
  /// Bytes that came, since the connection began.
  var bytes: Int64 = 0
  /// What the transport said last: once a connection is over it says nothing any more.
  private(set) var figures: LinkStatistics?

  init(delivery: Delivery, senderLatency_ms: Int, at now: MonotonicTime, wall: UTCTime) {
    self.delivery = delivery
    self.senderLatency_ms = senderLatency_ms
    from = wall
    due = MonotonicTime(microseconds: now.microseconds + Self.interval_us)
  }

  /// The transport was asked; nil where it says nothing.
  mutating func looked(_ figures: LinkStatistics?) { if let figures { self.figures = figures } }

  /// The figures since the last call.
  mutating func read(
    _ camera: CameraID, _ recording: RecordingID, _ intake: PacketIntake, now: MonotonicTime, wall: UTCTime
  ) -> LinkHealth {
    let (reorderer, inspector) = (intake.reorderer, intake.assembler.inspector)
    var health = LinkHealth(camera: camera, recording: recording, from: from, to: wall, delivery: delivery)
    var current = told
    // What was handed over did come, whether or not the transport could be asked since.
    current.packets = max(figures?.packetsReceived ?? 0, intake.messages)
    if let figures {
      current.lost = Int64(figures.packetsLost)
      current.retransmitted = Int64(figures.packetsRetransmitted)
      health.roundTrip_ms = figures.roundTrip_ms
    }
    current.bytes = bytes
    current.duplicates = reorderer.duplicates
    current.missing = reorderer.gone
    current.clockRestarts = inspector.clock.restarts
    current.discontinuities = inspector.discontinuities
    current.foreign = inspector.foreign
    health.connections = isNew ? 1 : 0
    health.packets = current.packets - told.packets
    health.bytes = current.bytes - told.bytes
    health.lost = current.lost - told.lost
    health.retransmitted = current.retransmitted - told.retransmitted
    health.duplicates = current.duplicates - told.duplicates
    health.missing = current.missing - told.missing
    health.clockRestarts = current.clockRestarts - told.clockRestarts
    health.discontinuities = current.discontinuities - told.discontinuities
    health.foreign = current.foreign - told.foreign
    health.senderLatency_ms = senderLatency_ms
    health.lag_ms = inspector.clock.lag_us.map { $0 / 1000 }
    health.drift_ppm = inspector.clock.drift_ppm
    told = current
    isNew = false
    from = wall
    due = MonotonicTime(microseconds: now.microseconds + Self.interval_us)
    return health
  }
}
