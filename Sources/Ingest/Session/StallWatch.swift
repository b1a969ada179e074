import Doctrine

/// Tells a connection over which nothing will come any more from one that waits for a retransmission. Pure.
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
/// An encoder that is silent looks the same; a transport stream never is (ISO/IEC 13818-1, 2.7.2: a clock every 100 ms). In
/// timely delivery a sender gives up what is late, and goes on.
struct StallWatch: Sendable {
  /// Time of arriving without delivering after which a connection is frozen.
  static let limit_us: Int64 = 3_000_000
  /// The same where the link is too small.
  static let stormLimit_us: Int64 = 10_000_000
  /// Time of nothing arriving while something waits for a packet before it: longer than a link is silent as a rule before the
  /// transport ends it.
  static let quietLimit_us: Int64 = 6_000_000
  /// Time of nothing arriving though nothing is known to be missing.
  static let silenceLimit_us: Int64 = 10_000_000
  /// The same where the receive buffer was full while nothing was read: what came then found no room.
  static let afterFullLimit_us: Int64 = 2_000_000
  /// Packets that a sender may still send where the receive buffer is full; they count as received, and find no room.
  private static let sentWithoutRoom: Int64 = 2

  private var received: Int64 = 0
  /// As they were when something was handed over last.
  private var start: (received: Int64, retransmitted: Int64)?
  private var arriving_us: Int64 = 0
  private var quiet_us: Int64 = 0
  private var silent_us: Int64 = 0
  /// The receive buffer was full while nothing was read: packets that had come, and since when.
  private var full: (received: Int64, since: UTCTime)?

  /// Since when the receive buffer took nothing, where nothing came since; nil otherwise.
  var fullSince: UTCTime? { full?.since }

  /// Something was handed over.
  mutating func delivered() {
    arriving_us = 0
    quiet_us = 0
    silent_us = 0
    start = nil
  }

  /// Nothing is read now, and the receive buffer takes nothing more.
  mutating func wasFull(received total: Int64, at time: UTCTime) {
    came(received: total)
    full = (total, full?.since ?? time)
  }

  /// Where more came than a sender may send without room, the buffer took something again.
  mutating func came(received total: Int64) {
    if let known = full, total > known.received + Self.sentWithoutRoom { full = nil }
  }

  /// Looked at every so often while nothing is handed over, though everything that comes is read.
  ///
  /// - Parameters:
  ///   - total: packets that came since the connection began; of them `again` by retransmission.
  ///   - isWaiting: something came that stands behind a packet that did not.
  ///   - isComplete: the sender gives nothing up by itself.
  ///   - patience_us: how long a healthy connection may hand nothing over besides: its window, a queue on its way.
  /// - Returns: why the connection is over; nil where it is not.
  mutating func looked(
    received total: Int64, retransmitted again: Int64, isWaiting: Bool, isComplete: Bool, patience_us: Int64,
    elapsed_us: Int64
  ) -> GapCause? {
    let isQuiet = total == received
    received = total
    came(received: total)
    guard isWaiting else {
      silent_us = isComplete && isQuiet && total > 0 ? silent_us + elapsed_us : 0
      if full != nil { return silent_us >= Self.afterFullLimit_us + patience_us ? .notDeliverable : nil }
      return silent_us >= Self.silenceLimit_us + patience_us ? .silent : nil
    }
    silent_us = 0
    if isQuiet {
      quiet_us += elapsed_us
    } else {
      arriving_us += elapsed_us
      quiet_us = 0
    }
    if quiet_us >= Self.quietLimit_us + patience_us { return .notDeliverable }
    let first = start ?? (total, again)
    start = first
    let limit_us = Self.limit_us + patience_us
    guard arriving_us >= limit_us else { return nil }
    let isStorm = Double(again - first.retransmitted) > Double(total - first.received) * LinkDiagnosis.stormShare
    return !isStorm || arriving_us >= max(limit_us, Self.stormLimit_us) ? .notDeliverable : nil
  }
}
