import Doctrine
import Footage

/// Gathers ordered packets into chunks: at most 500 ms or 1 MiB each, consecutive sequences only.
///
/// Looks at nothing but the 188-byte frames of the transport stream and their adaptation flags: it parses no
/// media. Whatever does not look like a transport stream is counted and kept all the same.
struct ChunkAssembler: Sendable {
  static let maximumAge_us: Int64 = 500_000
  static let maximumSize_bytes = 1 << 20

  private struct Building: Sendable {
    var content: ChunkContent
    var nextSequence: UInt64
    /// When its first packet was taken, on the clock that nobody sets.
    var since: MonotonicTime
  }

  private let epoch: UInt32
  private var current: Building?
  private var late: Building?
  private(set) var finished: [ChunkContent] = []
  /// Packets of the transport that were not whole transport stream packets.
  private(set) var damage: Int64 = 0
  /// Ordered bytes for the live feed; gathered only while `tapsLive`.
  var tapsLive = false
  private(set) var live: [UInt8] = []

  init(epoch: UInt32) { self.epoch = epoch }

  mutating func append(sequence: UInt64, bytes: UnsafeRawBufferPointer, arrival: UTCTime, now: MonotonicTime) {
    if let building = current, isFull(building, sequence, bytes.count) { closeCurrent() }
    Self.add(bytes, sequence, arrival, now, to: &current, kind: .media, epoch: epoch, damage: &damage)
    if tapsLive { live.append(contentsOf: bytes) }
  }

  mutating func appendLate(sequence: UInt64, bytes: UnsafeRawBufferPointer, arrival: UTCTime, now: MonotonicTime) {
    if let building = late, isFull(building, sequence, bytes.count) { closeLate() }
    Self.add(bytes, sequence, arrival, now, to: &late, kind: .fill, epoch: epoch, damage: &damage)
  }

  /// Ends chunks that are old enough.
  mutating func timePassed(at now: MonotonicTime) {
    if let building = current, now.since(building.since) >= Self.maximumAge_us { closeCurrent() }
    if let building = late, now.since(building.since) >= Self.maximumAge_us { closeLate() }
  }

  private func isFull(_ building: Building, _ sequence: UInt64, _ count: Int) -> Bool {
    building.nextSequence != sequence || building.content.plaintext.count + count > Self.maximumSize_bytes
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

  mutating func takeLive() -> [UInt8] {
    if live.isEmpty { return [] }
    defer { live = [] }
    return live
  }

  private mutating func closeCurrent() {
    if let building = current { finished.append(building.content) }
    current = nil
  }

  private mutating func closeLate() {
    if let building = late { finished.append(building.content) }
    late = nil
  }

  private static func add(
    _ bytes: UnsafeRawBufferPointer, _ sequence: UInt64, _ arrival: UTCTime, _ now: MonotonicTime,
    to target: inout Building?,
    kind: ChunkKind, epoch: UInt32, damage: inout Int64
  ) {
    var building: Building
    if let known = target {
      building = known
      // Released before it grows, so that the growth is in place.
      target = nil
    } else {
      var content = ChunkContent(
        kind: kind, epoch: epoch, firstSequence: sequence, firstArrival_us: arrival.microseconds,
        lastArrival_us: arrival.microseconds, plaintext: [])
      content.plaintext.reserveCapacity(160 << 10)
      building = Building(content: content, nextSequence: sequence, since: now)
    }
    let offset = building.content.plaintext.count
    inspect(bytes, at: offset, &building.content, damage: &damage)
    building.content.plaintext.append(contentsOf: bytes)
    building.content.packetCount += 1
    building.content.lastArrival_us = max(building.content.lastArrival_us, arrival.microseconds)
    building.nextSequence = sequence + 1
    target = building
  }

  /// Notes random-access points and the first clock, from the adaptation fields.
  ///
  /// Specification: ISO/IEC 13818-1, 2.4.3.4.
  private static func inspect(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, _ content: inout ChunkContent, damage: inout Int64
  ) {
    guard bytes.count % 188 == 0 else {
      damage += 1
      return
    }
    var start = 0
    while start < bytes.count {
      guard bytes[start] == 0x47 else {
        damage += 1
        return
      }
      if bytes[start + 3] & 0x20 != 0, bytes[start + 4] > 0 {
        let flags = bytes[start + 5]
        if flags & 0x40 != 0, content.marks.count < ChunkHeader.maximumMarks {
          content.marks.append(UInt32(offset + start))
        }
        if flags & 0x10 != 0, bytes[start + 4] >= 7, content.firstClock == ChunkHeader.noClock {
          var base: UInt64 = 0
          for index in 6..<10 { base = base << 8 | UInt64(bytes[start + index]) }
          content.firstClock = base << 1 | UInt64(bytes[start + 10] >> 7)
        }
      }
      start += 188
    }
  }
}
