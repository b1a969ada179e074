/// Tells a connection that the transport will never deliver from again from one that waits for a retransmission. Pure.
///
/// A packet that the sender gave up freezes a connection of libsrt 1.5 for ever: packets go on arriving and none is handed
/// over. A link that is down is something else: nothing arrives.
struct StallWatch: Equatable, Sendable {
  /// Time of arriving without delivering after which a connection is frozen.
  static let limit_us: Int64 = 3_000_000

  private var received: Int64 = 0
  private var arriving_us: Int64 = 0

  /// Something was handed over.
  mutating func delivered() { arriving_us = 0 }

  /// Looked at every so often while nothing is handed over.
  ///
  /// - Returns: whether the connection is frozen.
  mutating func looked(received total: Int64, waiting_bytes: Int, elapsed_us: Int64) -> Bool {
    if total > received, waiting_bytes > 0 { arriving_us += elapsed_us }
    received = total
    return arriving_us >= Self.limit_us
  }
}
