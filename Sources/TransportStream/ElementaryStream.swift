/// One followed stream of the program: its PES packets and what they become.
struct ElementaryStream: Sendable {
  let coding: StreamCoding
  private var packets: ElementaryAssembler
  private var picture: PictureAssembler?
  private var sound: SoundAssembler?
  private var metadata: MetadataAssembler?

  /// Nil for a stream that is not followed.
  init?(_ stream: ProgramMapTable.Stream) {
    coding = stream.coding
    let pid = stream.pid
    switch stream.coding {
    case .h264: picture = PictureAssembler(pid: pid, coding: .h264)
    case .h265: picture = PictureAssembler(pid: pid, coding: .h265)
    case .aacADTS: sound = SoundAssembler(pid: pid, framing: .adts)
    case .aacLATM: sound = SoundAssembler(pid: pid, framing: .latm)
    case .opus(let channels): sound = SoundAssembler(pid: pid, framing: .opus(channels: channels))
    case .klvSynchronous: metadata = MetadataAssembler(pid: pid, isSynchronous: true)
    case .klvAsynchronous: metadata = MetadataAssembler(pid: pid, isSynchronous: false)
    case .privateData, .unsupported: return nil
    }
    packets = ElementaryAssembler(
      pid: pid,
      limit_bytes: stream.coding.isPicture
        ? ElementaryAssembler.maximumUnit_bytes : ElementaryAssembler.maximumSmallUnit_bytes)
  }

  /// A packet of this PID is missing.
  mutating func abandon() {
    packets.abandon()
    picture?.abandon()
    sound?.abandon()
    metadata?.abandon()
  }

  mutating func push(
    _ payload: ArraySlice<UInt8>, _ packet: TransportPacket, unroller: inout TimestampUnroller,
    into events: inout [DemuxerEvent]
  ) {
    var found: TransportDamage?
    let units = packets.push(
      payload, unitStart: packet.payloadUnitStart, randomAccess: packet.randomAccessIndicator,
      stuffing_bytes: packet.stuffing_bytes
    ) { found = $0 }
    for unit in units { take(unit, &unroller, &events) }
    if let found {
      events.append(.damage(found))
      picture?.abandon()
      sound?.abandon()
      metadata?.abandon()
    }
  }

  /// The stream is over: what waits for its end has come to it.
  mutating func drain(unroller: inout TimestampUnroller, into events: inout [DemuxerEvent]) {
    if let unit = packets.drain() { take(unit, &unroller, &events) }
    picture?.drain(into: &events)
  }

  private mutating func take(
    _ unit: ElementaryUnit, _ unroller: inout TimestampUnroller, _ events: inout [DemuxerEvent]
  ) {
    picture?.push(unit, unroller: &unroller, into: &events)
    sound?.push(unit, unroller: &unroller, into: &events)
    metadata?.push(unit, unroller: &unroller, into: &events)
  }
}
