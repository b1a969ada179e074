/// Packets of one connection that never came, as the chunks of a part tell it.
package struct SequenceHole: Equatable, Sendable {
  package var epoch: UInt32
  package var range: Range<UInt64>
  /// Arrival of the packets on both sides, µs since 1970.
  package var from_us: Int64
  package var to_us: Int64

  package init(epoch: UInt32, range: Range<UInt64>, from_us: Int64, to_us: Int64) {
    self.epoch = epoch
    self.range = range
    self.from_us = from_us
    self.to_us = to_us
  }

  /// Holes that no fill chunk fills and no gap chunk names: a stop came before they were told.
  ///
  /// Looks between the media chunks of an epoch only: what is before the first of them is known to nobody here.
  ///
  /// - Parameter headers: chunks that follow each other, without gaps of the encoder's (their packets are not the
  ///   transport's). A gap without packet numbers covers the holes of its time.
  package static func untold(in headers: [ChunkHeader]) -> [SequenceHole] {
    let epochs = Dictionary(grouping: headers.filter { $0.kind != .epoch && $0.kind != .close }, by: \.epoch)
    // Dropped for want of space: no numbers, but a time.
    let times = headers.filter { $0.kind == .gap && $0.firstSequence == 0 }
    return epochs.sorted { $0.key < $1.key }.flatMap { epoch, chunks in
      untold(in: epoch, chunks).filter { hole in
        !times.contains { $0.firstArrival_us < hole.to_us && hole.from_us < $0.lastArrival_us }
      }
    }
  }

  private static func untold(in epoch: UInt32, _ chunks: [ChunkHeader]) -> [SequenceHole] {
    guard let begin = chunks.filter({ $0.kind == .media }).map(\.firstSequence).min() else { return [] }
    var untold: [SequenceHole] = []
    var next = begin
    var last_us = Int64.min
    // Holes whose end has no time yet: a fill's arrival is long after its place.
    var open = 0
    for chunk in chunks.sorted(by: { $0.firstSequence < $1.firstSequence }) {
      guard chunk.packetCount > 0, chunk.firstSequence >= begin else { continue }
      let (end, isPast) = chunk.firstSequence.addingReportingOverflow(UInt64(chunk.packetCount))
      guard !isPast else { continue }
      if chunk.firstSequence > next {
        untold.append(
          SequenceHole(epoch: epoch, range: next..<chunk.firstSequence, from_us: last_us, to_us: last_us))
        open += 1
      }
      if chunk.kind == .media {
        for index in untold.indices.suffix(open) { untold[index].to_us = max(last_us, chunk.firstArrival_us) }
        open = 0
        last_us = chunk.lastArrival_us
      }
      next = max(next, end)
    }
    return untold
  }
}
