import Doctrine

/// Tells a connection that the transport will never deliver from again from one that waits for a retransmission. Pure.
///
/// A packet that the sender gave up freezes a connection of libsrt 1.5 for ever: packets go on arriving and none is handed
/// over, until the sender's window is full and it sends nothing but signs of life. A link that is down is something else: then
/// the transport itself ends the connection.
///
/// A link that is too small is a third thing: what arrives is mostly sent again, and the packet that is waited for comes in
/// time. Such a connection is given longer.
///
/// A fourth: nothing is missing, as far as this end knows, and nothing comes, though the other end gives signs of life. Its
/// window is full and all that was under way was lost: it repeats only what it is asked for, and nobody knows what to ask for.
/// An encoder that is silent looks the same; a transport stream never is (ISO/IEC 13818-1, 2.7.2: a clock every 100 ms).
struct StallWatch: Sendable {
  /// Time of arriving without delivering after which a connection is frozen.
  static let limit_us: Int64 = 3_000_000
  /// The same where the link is too small.
  static let stormLimit_us: Int64 = 10_000_000

  /// Time of nothing arriving while something waits for a packet before it: longer than the transport lets a silent link be.
  static let quietLimit_us: Int64 = 6_000_000

  /// Time of nothing arriving though nothing is known to be missing.
  static let silenceLimit_us: Int64 = 10_000_000
  /// The same where the receive buffer was full while nothing was read: what came then found no room.
  static let afterFullLimit_us: Int64 = 2_000_000

  private var received: Int64 = 0
  private var silent_us: Int64 = 0
  /// Packets that had come when the receive buffer was last seen full; nil once more came.
  private var fullAt: Int64?
  /// As they were when something was handed over last.
  private var start: (received: Int64, retransmitted: Int64)?
  private var arriving_us: Int64 = 0
  private var quiet_us: Int64 = 0

  /// Something was handed over.
  mutating func delivered() {
    arriving_us = 0
    quiet_us = 0
    silent_us = 0
    start = nil
  }

  /// Nothing is read now, and the receive buffer takes nothing more.
  mutating func wasFull(received total: Int64) { fullAt = total }

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
    if let full = fullAt, total > full { fullAt = nil }
    if isWaiting {
      silent_us = 0
      if total > received {
        arriving_us += elapsed_us
        quiet_us = 0
      } else {
        quiet_us += elapsed_us
      }
    }
    if !isWaiting { silent_us = total > 0 && total == received ? silent_us + elapsed_us : 0 }
    received = total
    if silent_us >= (fullAt == nil ? Self.silenceLimit_us : Self.afterFullLimit_us) + patience_us { return true }
    if quiet_us >= Self.quietLimit_us + patience_us { return true }
    let first = start ?? (total, again)
    start = first
    let limit_us = Self.limit_us + patience_us
    guard arriving_us >= limit_us else { return false }
    let isStorm = Double(again - first.retransmitted) > Double(total - first.received) * LinkDiagnosis.stormShare
    return !isStorm || arriving_us >= max(limit_us, Self.stormLimit_us)
  }
}
