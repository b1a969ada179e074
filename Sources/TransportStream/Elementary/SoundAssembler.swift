/// From the PES packets of one sound stream to its frames.
///
/// A packet holds several frames, and a frame may lie over several packets. A packet's time stamp is that of the
/// first frame that begins in it (ISO/IEC 13818-1, 2.4.3.7); the others follow by their length.
struct SoundAssembler: Sendable {
  enum Framing: Equatable, Sendable {
    case adts
    case latm
    case opus(channels: UInt8)
  }

  /// The start of one frame that goes on in the next packet: a LOAS or ADTS frame has 8191 bytes at most.
  static let maximumHeld_bytes = Opus.maximumPacket_bytes + 1024

  let pid: UInt16
  let framing: Framing
  private(set) var configuration: TrackConfiguration?
  private var latm = LATM()
  private var held: [UInt8] = []
  /// Start of the line that frames without a stamp of their own follow, and how far it has gone.
  private var base: MediaTime90k?
  private var elapsed_samples: Int64 = 0
  private var last: MediaTime90k?
  /// End of the last frame.
  private var end: MediaTime90k?

  init(pid: UInt16, framing: Framing) {
    self.pid = pid
    self.framing = framing
  }

  /// A packet of this PID is missing: a frame that was begun cannot be completed.
  mutating func abandon() { held = [] }

  mutating func push(_ unit: ElementaryUnit, unroller: inout TimestampUnroller, into events: inout [DemuxerEvent]) {
    let stamp = (unit.presentation ?? unit.decoding).map { unroller.unroll($0) }
    if let stamp, let last, abs(stamp - last) > Demuxer.jumpThreshold_90k {
      events.append(.damage(TransportDamage(.timestampJump(pid: pid, delta_90k: stamp - last), offset: 9)))
    }
    let data = held + unit.data
    var index = 0
    var unused = stamp
    var begins = held.count
    held = []
    var broken = false
    scan: while index < data.count {
      switch scan(data, at: index) {
      case .found(let frames, let next):
        if index >= begins { begin(at: &unused) }
        for frame in frames { deliver(frame, into: &events) }
        index = next
      case .partial:
        // It begins here, so the stamp is its own, though the next packet ends it.
        if index >= begins { begin(at: &unused) }
        if data.count - index <= Self.maximumHeld_bytes { held = Array(data[index...]) } else { broken = true }
        break scan
      case .damaged(let next):
        broken = true
        // A frame that was cut off does not keep the stamp from the one that is whole.
        if index < begins { begins = min(begins, next) }
        index = next
      }
    }
    if broken { events.append(.damage(TransportDamage(.soundMalformed(pid: pid), offset: index))) }
  }

  private mutating func begin(at stamp: inout MediaTime90k?) {
    guard let time = stamp else { return }
    base = time
    elapsed_samples = 0
    stamp = nil
  }

  private mutating func scan(_ data: [UInt8], at index: Int) -> SoundScan {
    switch framing {
    case .adts: ADTS.scan(data, at: index)
    case .latm: latm.scan(data, at: index)
    case .opus(let channels): Opus.scan(data, at: index, channels: channels)
    }
  }

  private mutating func deliver(_ frame: SoundFrame, into events: inout [DemuxerEvent]) {
    guard base != nil else {
      events.append(.damage(TransportDamage(.timestampMissing(pid: pid), offset: 7)))
      return
    }
    if configuration != frame.configuration {
      // Another rate counts from here.
      if elapsed_samples > 0 { base = end }
      elapsed_samples = 0
      configuration = frame.configuration
      events.append(.configured(pid: pid, frame.configuration))
    }
    let start = base ?? MediaTime90k(0)
    let time = MediaTime90k(
      start.ticks &+ elapsed_samples &* MediaTime90k.ticksPerSecond / Int64(frame.rate_hz))
    elapsed_samples &+= Int64(frame.samples)
    last = time
    end = MediaTime90k(time.ticks &+ Int64(frame.samples) &* MediaTime90k.ticksPerSecond / Int64(frame.rate_hz))
    events.append(
      .accessUnit(
        AccessUnit(
          pid: pid, presentation: time, decoding: time, isRandomAccess: true, data: frame.data,
          sound: AccessUnit.Length(samples: frame.samples, rate_hz: frame.rate_hz))))
  }
}
