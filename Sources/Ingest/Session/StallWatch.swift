import Doctrine

/// Tells a connection that the transport will never deliver from again from one that waits for a retransmission. Pure.
///
/// A packet that the sender gave up freezes a connection of libsrt 1.5 for ever: packets go on arriving and none is handed
/// over, until the sender's window is full and it sends nothing but signs of life. A link that is down is something else: then
/// the transport itself ends the connection.
///
/// A link that is too small is a third thing: what arrives is mostly sent again, and the packet that is waited for comes in
/// time. Such a connection is given longer.
struct StallWatch: Sendable {
  /// Time of arriving without delivering after which a connection is frozen.
  static let limit_us: Int64 = 3_000_000
  /// The same where the link is too small.
  static let stormLimit_us: Int64 = 10_000_000

  /// Time of nothing arriving while something waits for a packet before it: longer than the transport lets a silent link be.
  static let quietLimit_us: Int64 = 6_000_000

  private var received: Int64 = 0
  /// As they were when something was handed over last.
  private var start: (received: Int64, retransmitted: Int64)?
  private var arriving_us: Int64 = 0
  private var quiet_us: Int64 = 0

  /// Something was handed over.
  mutating func delivered() {
    arriving_us = 0
    quiet_us = 0
    start = nil
  }

  /// Looked at every so often while nothing is handed over.
  ///
  /// - Parameters:
  ///   - total: packets that came since the connection began; of them `again` by retransmission.
  ///   - isWaiting: something came that stands behind a packet that did not.
  ///   - patience_us: how long a healthy connection may hand nothing over besides: its window, a queue on its way.
  /// - Returns: whether the connection is frozen.
  mutating func looked(
    received total: Int64, retransmitted again: Int64, isWaiting: Bool, patience_us: Int64, elapsed_us: Int64
  ) -> Bool {
    if isWaiting {
      if total > received {
        arriving_us += elapsed_us
        quiet_us = 0
      } else {
        quiet_us += elapsed_us
      }
    }
    received = total
    if quiet_us >= Self.quietLimit_us + patience_us { return true }
    let first = start ?? (total, again)
    start = first
    let limit_us = Self.limit_us + patience_us
    guard arriving_us >= limit_us else { return false }
    let isStorm = Double(again - first.retransmitted) > Double(total - first.received) * LinkDiagnosis.stormShare
    return !isStorm || arriving_us >= max(limit_us, Self.stormLimit_us)
  }
}
