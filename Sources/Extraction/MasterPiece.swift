/// One chunk of a master as the camera sent it, and when it arrived.
package struct MasterPiece: Equatable, Sendable {
  /// Slices of a chunk of 500 ms are some 30 ms.
  private static let slices = 16
  private static let packet_bytes = 188

  package var bytes: [UInt8]
  /// In microseconds since 1970 UTC, by the server's clock.
  package var firstArrival_us: Int64
  package var lastArrival_us: Int64

  package init(bytes: [UInt8], firstArrival_us: Int64, lastArrival_us: Int64) {
    self.bytes = bytes
    self.firstArrival_us = firstArrival_us
    self.lastArrival_us = lastArrival_us
  }

  /// The chunk cut between packets, each slice with the arrival of its end, as if the chunk had come evenly.
  ///
  /// A header has no arrival for each packet; of what came in bursts a slice is told at most a chunk's length too early or late.
  var slices: [(bytes: [UInt8], arrival_us: Int64)] {
    let packets = bytes.count / Self.packet_bytes
    let span_us = lastArrival_us.subtractingReportingOverflow(firstArrival_us)
    guard packets > 1, !span_us.overflow, span_us.partialValue > 0 else { return [(bytes, lastArrival_us)] }
    let step = max(1, packets / Self.slices) * Self.packet_bytes
    return stride(from: 0, to: bytes.count, by: step).map { start in
      let end = min(start + step, bytes.count)
      // Divided first: a chunk has at most 2 MiB, a span of years does not overflow.
      let arrival_us = firstArrival_us + Int64((Double(span_us.partialValue) * Double(end) / Double(bytes.count)))
      return (Array(bytes[start..<end]), arrival_us)
    }
  }
}
