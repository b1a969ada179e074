/// The two times of the units of one picture stream, whatever the sender says of them.
///
/// A time stamp is unrolled by the program's one ``TimestampUnroller``, so that pictures and sound stay on one
/// line over a wrap. A unit without a stamp follows the one before by its duration. Where a sender reorders its
/// pictures and never says a decoding time, that time is found from the order of the presentation times.
struct StreamClock: Sendable {
  /// A decoder may hold a picture for ten seconds at most (ISO/IEC 13818-1, 2.4.2.6, for H.264).
  static let maximumReorder_90k: Int64 = 10 * MediaTime90k.ticksPerSecond
  /// 25 pictures a second, until two pictures tell.
  static let assumedStep_90k: Int64 = 3600

  private var order = DecodingOrder()
  private var saysDecoding = false
  private(set) var last: MediaTime90k?
  private var step_90k = StreamClock.assumedStep_90k

  struct Times: Equatable, Sendable {
    var presentation: MediaTime90k
    var decoding: MediaTime90k
  }

  /// The times of the unit that bears these stamps; nil while none has come at all.
  mutating func times(
    presentation: UInt64?, decoding: UInt64?, unroller: inout TimestampUnroller, pid: UInt16,
    damage: (TransportDamage) -> Void
  ) -> Times? {
    guard let shown = presentation ?? decoding else { return next() }
    if presentation != nil, let decoding {
      saysDecoding = true
      let d = unroller.unroll(decoding)
      // Unrolled from the decoding time, and not kept: a step back of a picture is no step of the clock.
      var side = unroller
      var p = side.unroll(shown)
      let reorder = p - d
      if reorder < 0 || reorder > Self.maximumReorder_90k {
        damage(TransportDamage(.timestampOrder(pid: pid, delta_90k: reorder), offset: 9))
      }
      if abs(reorder) > Self.maximumReorder_90k { p = d }
      return Times(presentation: p, decoding: d)
    }
    let p = unroller.unroll(shown)
    // One stamp stands for both (2.4.3.7), if the sender is one that gives both where they differ.
    if saysDecoding { return Times(presentation: p, decoding: p) }
    return Times(presentation: p, decoding: MediaTime90k(order.decoding(of: p.ticks)))
  }

  /// The times of a unit that has no stamp.
  func next() -> Times? {
    guard let last else { return nil }
    let time = MediaTime90k(last.ticks &+ step_90k)
    return Times(presentation: time, decoding: time)
  }

  /// A picture of these times was put out; tells of a clock that jumps or stands still.
  mutating func delivered(_ decoding: MediaTime90k, pid: UInt16, damage: (TransportDamage) -> Void) {
    if let last {
      let step = decoding - last
      if step == 0 {
        damage(TransportDamage(.timestampStill(pid: pid), offset: 9))
      } else if step < 0 || step > Demuxer.jumpThreshold_90k {
        damage(TransportDamage(.timestampJump(pid: pid, delta_90k: step), offset: 9))
      } else if step <= MediaTime90k.ticksPerSecond {
        step_90k = step
      }
    }
    last = decoding
  }
}
