import Doctrine
import Footage

/// Gathers ordered packets into chunks: at most 500 ms or 1 MiB each, consecutive sequences only. Pure.
struct ChunkAssembler: Sendable {
  static let maximumAge_us: Int64 = 500_000
  static let maximumSize_bytes = 1 << 20
  /// What a chunk reserves at first: a quarter of what 2 Mbit/s fill.
  static let firstReserve_bytes = 32 << 10

  private struct Building: Sendable {
    var content: ChunkContent
    var nextSequence: UInt64
    /// When its first packet was taken, on the clock that nobody sets.
    var since: MonotonicTime

    /// One copy: from the thread's buffer into the chunk.
    mutating func take(
      _ bytes: UnsafeRawBufferPointer, _ sequence: UInt64, _ arrival: UTCTime, _ now: MonotonicTime,
      _ inspector: inout StreamInspector, isInOrder: Bool
    ) {
      inspector.inspect(
        bytes, at: content.plaintext.count, arrival: arrival, now: now, isInOrder: isInOrder, into: &content)
      content.plaintext.append(contentsOf: bytes)
      content.packetCount += 1
      content.lastArrival_us = max(content.lastArrival_us, arrival.microseconds)
      nextSequence = sequence + 1
    }
  }

  private let epoch: UInt32
  private var current: Building?
  private var late: Building?
  private var finished: [ChunkContent] = []
  /// Size of the largest of the last chunks, slowly forgotten: what the next one reserves.
  private var reserve_bytes = ChunkAssembler.firstReserve_bytes
  private(set) var inspector = StreamInspector()
  /// Ordered bytes for the live feed; gathered only while `tapsLive`.
  var tapsLive = false {
    didSet { if tapsLive, !oldValue { live.holeCame() } }
  }
  private var live = LivePiece()

  init(epoch: UInt32) { self.epoch = epoch }

  /// - Parameter isForRelay: false where the relay has gone past it.
  mutating func append(
    sequence: UInt64, bytes: UnsafeRawBufferPointer, arrival: UTCTime, now: MonotonicTime, isForRelay: Bool
  ) {
    if current == nil {
      current = begin(.media, sequence, arrival, now)
    } else if isFull(current, sequence, bytes.count) {
      closeCurrent()
      current = begin(.media, sequence, arrival, now)
    }
    current?.take(bytes, sequence, arrival, now, &inspector, isInOrder: true)
    if isForRelay, tapsLive { live.append(bytes, endsUnit: inspector.lastEndsUnit, at: now) }
  }

  mutating func appendLate(sequence: UInt64, bytes: UnsafeRawBufferPointer, arrival: UTCTime, now: MonotonicTime) {
    if late == nil {
      late = begin(.fill, sequence, arrival, now)
    } else if isFull(late, sequence, bytes.count) {
      closeLate()
      late = begin(.fill, sequence, arrival, now)
    }
    late?.take(bytes, sequence, arrival, now, &inspector, isInOrder: false)
  }

  /// Bytes for the relay alone: the recorder still waits for what is before them.
  mutating func tap(_ bytes: UnsafeRawBufferPointer, at now: MonotonicTime) {
    if tapsLive { live.append(bytes, endsUnit: true, at: now) }
  }

  /// The relay goes on without what is missing before the next one.
  mutating func relaySkipped() {
    if tapsLive { live.holeCame() }
  }

  /// Packets are missing before the next one.
  mutating func holeCame() { inspector.holeCame() }

  /// Ends chunks that are old enough.
  mutating func timePassed(at now: MonotonicTime) {
    if let since = current?.since, now.since(since) >= Self.maximumAge_us { closeCurrent() }
    if let since = late?.since, now.since(since) >= Self.maximumAge_us { closeLate() }
  }

  /// Ends what is being gathered: the connection is over, or a part ends.
  mutating func close() {
    closeCurrent()
    closeLate()
  }

  mutating func takeFinished() -> [ChunkContent] {
    if finished.isEmpty { return [] }
    defer { finished.removeAll(keepingCapacity: true) }
    return finished
  }

  /// The live bytes, once a picture may be whole in them or they have waited long enough; empty before.
  mutating func takeLive(at now: MonotonicTime) -> [UInt8] { live.take(at: now) }

  /// What the camera's encoder left out, once it is known how much.
  mutating func takeOmission(at time: UTCTime, isOver: Bool = false) -> StreamInspector.Omission? {
    inspector.takeOmission(at: time, isOver: isOver)
  }

  private func begin(_ kind: ChunkKind, _ sequence: UInt64, _ arrival: UTCTime, _ now: MonotonicTime) -> Building {
    var content = ChunkContent(
      kind: kind, epoch: epoch, firstSequence: sequence, firstArrival_us: arrival.microseconds,
      lastArrival_us: arrival.microseconds, plaintext: [])
    content.plaintext.reserveCapacity(reserve_bytes)
    return Building(content: content, nextSequence: sequence, since: now)
  }

  private func isFull(_ building: Building?, _ sequence: UInt64, _ count: Int) -> Bool {
    guard let building else { return false }
    return building.nextSequence != sequence || building.content.plaintext.count + count > Self.maximumSize_bytes
  }

  private mutating func closeCurrent() {
    guard let building = current else { return }
    current = nil
    let size = building.content.plaintext.count
    // An eighth more than the last: growing in the middle of a chunk would copy it.
    reserve_bytes = max(size + size / 8, reserve_bytes - reserve_bytes / 8, Self.firstReserve_bytes / 4)
    finished.append(building.content)
  }

  private mutating func closeLate() {
    if let building = late { finished.append(building.content) }
    late = nil
  }
}
