/// One complete PES packet of one PID.
struct ElementaryUnit: Equatable, Sendable {
  var presentation: UInt64?
  var decoding: UInt64?
  var randomAccess: Bool
  var data: [UInt8]
}

/// Gathers the PES packets of one PID.
///
/// A unit ends at its declared length, at a last packet that is stuffed (most muxers declare no length for
/// video and stuff the last packet), or at the next start. A sender that stuffs in the middle of a unit is
/// noticed by the payload that follows, and its stuffing is not taken for an end again.
struct ElementaryAssembler: Sendable {
  /// A 4K key frame stays under 4 MiB; a unit longer than this is an attack or a fault.
  static let maximumUnit_bytes = 8 << 20
  /// Sound and metadata declare their length in 16 bits; with its header a unit is just over 64 KiB.
  static let maximumSmallUnit_bytes = 66_000

  let pid: UInt16
  /// ``maximumUnit_bytes`` or ``maximumSmallUnit_bytes``: what is longer is damage and dropped.
  let limit_bytes: Int
  private var buffer: [UInt8] = []
  private var header: PacketizedElementaryHeader?
  private var active = false
  private var randomAccess = false
  private var endedByStuffing = false
  private var trustsStuffing = true
  /// This sender has ended a unit with a stuffed packet, so one that does not end so was cut off.
  private var stuffsEnds = false

  init(pid: UInt16, limit_bytes: Int = ElementaryAssembler.maximumUnit_bytes) {
    self.pid = pid
    self.limit_bytes = limit_bytes
  }

  mutating func push(
    _ payload: ArraySlice<UInt8>, unitStart: Bool, randomAccess flag: Bool, stuffing_bytes: Int,
    damage: (TransportDamage) -> Void
  ) -> [ElementaryUnit] {
    var finished: [ElementaryUnit] = []
    if unitStart {
      if let unit = finish() { finished.append(unit) }
      active = true
      randomAccess = flag
      endedByStuffing = false
    } else if !active {
      // The end of a unit whose start was lost, or the tail of one that stuffing seemed to end.
      if endedByStuffing, !payload.isEmpty {
        endedByStuffing = false
        trustsStuffing = false
        damage(TransportDamage(.accessUnitTruncated(pid: pid), offset: 0))
      }
      return finished
    }
    guard buffer.count + payload.count <= limit_bytes else {
      abandon()
      damage(TransportDamage(.accessUnitTooLarge(pid: pid, limit_bytes: limit_bytes), offset: 0))
      return finished
    }
    buffer.append(contentsOf: payload)
    if header == nil {
      do throws(TransportDamage) {
        header = try PacketizedElementaryHeader(buffer[...], pid: pid)
      } catch {
        abandon()
        damage(error)
        return finished
      }
    }
    if let header {
      if let length = header.dataLength {
        if buffer.count >= header.dataStart + length, let unit = finish() { finished.append(unit) }
      } else if stuffing_bytes > 0, trustsStuffing, buffer.count > header.dataStart, let unit = finish() {
        finished.append(unit)
        endedByStuffing = true
        stuffsEnds = true
      }
    }
    return finished
  }

  /// Drops what was gathered: a packet of this PID is missing.
  mutating func abandon() {
    buffer.removeAll(keepingCapacity: true)
    header = nil
    active = false
    endedByStuffing = false
  }

  /// The unit that waits for the next start, if it is whole as far as can be told.
  mutating func drain() -> ElementaryUnit? {
    guard header?.dataLength == nil, !(stuffsEnds && trustsStuffing) else { return nil }
    return finish()
  }

  private mutating func finish() -> ElementaryUnit? {
    defer { abandon() }
    guard active, let header, buffer.count > header.dataStart else { return nil }
    let available = buffer.count - header.dataStart
    let length = min(header.dataLength ?? available, available)
    return ElementaryUnit(
      presentation: header.presentation, decoding: header.decoding, randomAccess: randomAccess,
      data: Array(buffer[header.dataStart..<(header.dataStart + length)]))
  }
}
