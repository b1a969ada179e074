/// From transport stream bytes, cut anywhere, to access units.
///
/// Pure: bytes in, events out. Whatever the bytes are, it neither traps nor grows without bound: a unit is
/// at most ``ElementaryAssembler/maximumUnit_bytes``, a program has at most
/// ``ProgramMapTable/maximumStreams`` streams, and one program, the first, is followed.
package struct Demuxer: Sendable {
  private enum StreamKind { case h264, h265, aac }

  private struct StreamState {
    var kind: StreamKind
    var assembler: ElementaryAssembler
    var clock = TimestampUnroller()
    var lastDecoding: MediaTime90k?
    var configuration: TrackConfiguration?
    var parameterSets: [UInt8: [UInt8]] = [:]
  }

  /// A step of the media clock larger than this, either way, is a jump and is reported.
  package static let jumpThreshold_90k: Int64 = 10 * MediaTime90k.ticksPerSecond

  private var remainder: [UInt8] = []
  private var continuity: [UInt16: UInt8] = [:]
  private var association = SectionAssembler()
  private var mapSection = SectionAssembler()
  private var mapPID: UInt16?
  private var streams: [UInt16: StreamState] = [:]
  private var unsupported: Set<UInt8> = []
  /// Packets seen, null packets included.
  package private(set) var packetCount = 0

  package init() {}

  /// Takes the next bytes of the stream and returns what they complete.
  package mutating func push(_ bytes: some Collection<UInt8>) -> [DemuxerEvent] {
    remainder.append(contentsOf: bytes)
    var events: [DemuxerEvent] = []
    var offset = 0
    while remainder.count - offset >= TransportPacket.size {
      if remainder[offset] != TransportPacket.syncByte {
        events.append(.damage(TransportDamage(.syncLost, offset: offset)))
        offset = resynchronise(from: offset + 1)
        continue
      }
      consume(at: offset, into: &events)
      offset += TransportPacket.size
    }
    remainder.removeFirst(min(offset, remainder.count))
    return events
  }

  /// Delivers the units still waiting for the next start to end them: the stream is over.
  package mutating func finish() -> [DemuxerEvent] {
    var events: [DemuxerEvent] = []
    for pid in streams.keys.sorted() {
      if let unit = streams[pid]?.assembler.drain() { deliver(unit, pid: pid, into: &events) }
    }
    return events
  }

  /// The next offset that looks like a packet start: a sync byte followed by another one packet later.
  private func resynchronise(from start: Int) -> Int {
    var index = start
    while index < remainder.count {
      let next = index + TransportPacket.size
      if remainder[index] == TransportPacket.syncByte,
        next >= remainder.count || remainder[next] == TransportPacket.syncByte
      {
        return index
      }
      index += 1
    }
    return index
  }

  private mutating func consume(at offset: Int, into events: inout [DemuxerEvent]) {
    packetCount += 1
    let packet: TransportPacket
    do throws(TransportDamage) {
      packet = try TransportPacket(remainder, at: offset)
    } catch {
      events.append(.damage(error))
      return
    }
    let pid = packet.pid
    guard pid != TransportPacket.nullPID else { return }
    guard !packet.transportError else {
      events.append(.damage(TransportDamage(.transportErrorIndicator(pid: pid), offset: 1)))
      streams[pid]?.assembler.abandon()
      return
    }
    let known = pid == ProgramAssociationTable.pid || pid == mapPID || streams[pid] != nil
    guard known, packet.hasPayload else { return }
    guard !packet.scrambled else {
      events.append(.damage(TransportDamage(.scrambled(pid: pid), offset: 3)))
      return
    }
    if let last = continuity[pid], !packet.discontinuityIndicator {
      if packet.continuityCounter == last { return }  // a duplicate, allowed once by 2.4.3.3
      let expected = (last + 1) & 0x0F
      if packet.continuityCounter != expected {
        events.append(
          .damage(
            TransportDamage(
              .continuity(pid: pid, expected: expected, found: packet.continuityCounter), offset: 3)))
        streams[pid]?.assembler.abandon()
      }
    }
    continuity[pid] = packet.continuityCounter
    let payload = remainder[(offset + packet.payloadStart)..<(offset + TransportPacket.size)]
    do throws(TransportDamage) {
      if pid == ProgramAssociationTable.pid {
        if let section = try association.push(payload, unitStart: packet.payloadUnitStart) {
          let table = try ProgramAssociationTable(section: section)
          if table.programMapPID != mapPID {
            mapPID = table.programMapPID
            mapSection = SectionAssembler()
          }
        }
      } else if pid == mapPID {
        if let section = try mapSection.push(payload, unitStart: packet.payloadUnitStart) {
          adopt(try ProgramMapTable(section: section), into: &events)
        }
      } else {
        let units =
          try streams[pid]?.assembler.push(
            payload, unitStart: packet.payloadUnitStart, randomAccess: packet.randomAccessIndicator,
            stuffing_bytes: packet.stuffing_bytes) ?? []
        for unit in units { deliver(unit, pid: pid, into: &events) }
      }
    } catch {
      events.append(.damage(error))
    }
  }

  private mutating func adopt(_ map: ProgramMapTable, into events: inout [DemuxerEvent]) {
    var kept: [UInt16: StreamState] = [:]
    for stream in map.streams {
      let kind: StreamKind
      switch stream.type {
      case 0x1B: kind = .h264
      case 0x24: kind = .h265
      case 0x0F: kind = .aac
      default:
        // Counted once a type: sound in another coding, KLV and private data stay in the master only.
        if unsupported.insert(stream.type).inserted {
          events.append(.damage(TransportDamage(.unsupportedStreamType(stream.type), offset: 0)))
        }
        continue
      }
      if let state = streams[stream.pid], state.kind == kind {
        kept[stream.pid] = state
      } else {
        kept[stream.pid] = StreamState(kind: kind, assembler: ElementaryAssembler(pid: stream.pid))
      }
    }
    if Set(kept.keys) != Set(streams.keys) { events.append(.program(pids: kept.keys.sorted())) }
    streams = kept
  }

  private mutating func deliver(_ unit: ElementaryUnit, pid: UInt16, into events: inout [DemuxerEvent]) {
    guard var state = streams[pid] else { return }
    defer { streams[pid] = state }
    let previous = state.lastDecoding
    let decoding: MediaTime90k
    let presentation: MediaTime90k
    if let stamp = unit.decoding ?? unit.presentation {
      decoding = state.clock.unroll(stamp)
      // The presentation time lies at most seconds from the decoding time: unrolled from there, not kept.
      var side = state.clock
      presentation = unit.presentation.map { side.unroll($0) } ?? decoding
    } else if let previous {
      decoding = previous
      presentation = previous
    } else {
      events.append(.damage(TransportDamage(.packetizedStreamMalformed(pid: pid), offset: 7)))
      return
    }
    if let previous, abs(decoding - previous) > Self.jumpThreshold_90k {
      events.append(
        .damage(TransportDamage(.timestampJump(pid: pid, delta_90k: decoding - previous), offset: 9)))
    }
    state.lastDecoding = decoding
    switch state.kind {
    case .aac:
      deliverSound(unit, pid: pid, at: presentation, state: &state, into: &events)
    case .h264, .h265:
      let picture =
        state.kind == .h264 ? splitH264(unit, pid, &state, &events) : splitH265(unit, pid, &state, &events)
      guard !picture.data.isEmpty, state.configuration != nil else { return }
      events.append(
        .accessUnit(
          AccessUnit(
            pid: pid, presentation: presentation, decoding: decoding, isRandomAccess: picture.starts,
            data: picture.data)))
    }
  }

  private func deliverSound(
    _ unit: ElementaryUnit, pid: UInt16, at start: MediaTime90k, state: inout StreamState,
    into events: inout [DemuxerEvent]
  ) {
    let (frames, damaged) = AACConfiguration.frames(unit.data)
    if damaged { events.append(.damage(TransportDamage(.accessUnitTruncated(pid: pid), offset: 0))) }
    for (index, (configuration, frame)) in frames.enumerated() {
      if state.configuration != .aac(configuration) {
        state.configuration = .aac(configuration)
        events.append(.configured(pid: pid, .aac(configuration)))
      }
      let elapsed =
        Int64(index * AACConfiguration.samplesPerFrame) * MediaTime90k.ticksPerSecond
        / Int64(configuration.samplingRate_hz)
      let time = MediaTime90k(start.ticks &+ elapsed)
      events.append(
        .accessUnit(
          AccessUnit(
            pid: pid, presentation: time, decoding: time, isRandomAccess: true, data: Array(frame))))
    }
  }

  private func splitH264(
    _ unit: ElementaryUnit, _ pid: UInt16, _ state: inout StreamState, _ events: inout [DemuxerEvent]
  ) -> (data: [UInt8], starts: Bool) {
    var data: [UInt8] = []
    data.reserveCapacity(unit.data.count + 16)
    var starts = false
    for nal in ByteStream.units(unit.data) {
      guard let first = nal.first else { continue }
      let type = first & 0x1F
      switch type {
      case H264Configuration.unitSPS, H264Configuration.unitPPS: state.parameterSets[type] = Array(nal)
      case H264Configuration.unitAUD, H264Configuration.unitFiller: break
      default:
        if type == H264Configuration.unitIDR { starts = true }
        appendLengthPrefixed(nal, to: &data)
      }
    }
    if unit.randomAccess { starts = true }
    if let sps = state.parameterSets[H264Configuration.unitSPS],
      let pps = state.parameterSets[H264Configuration.unitPPS]
    {
      if case .h264(let known)? = state.configuration, known.sequenceParameterSet == sps,
        known.pictureParameterSet == pps
      {
        return (data, starts)
      }
      guard let size = H264Configuration.pictureSize(sps[...]) else {
        events.append(.damage(TransportDamage(.parameterSetMalformed(pid: pid), offset: 0)))
        state.parameterSets = [:]
        return (data, starts)
      }
      let configuration = TrackConfiguration.h264(
        H264Configuration(
          sequenceParameterSet: sps, pictureParameterSet: pps, width: size.width, height: size.height))
      state.configuration = configuration
      events.append(.configured(pid: pid, configuration))
    }
    return (data, starts)
  }

  private func splitH265(
    _ unit: ElementaryUnit, _ pid: UInt16, _ state: inout StreamState, _ events: inout [DemuxerEvent]
  ) -> (data: [UInt8], starts: Bool) {
    var data: [UInt8] = []
    data.reserveCapacity(unit.data.count + 16)
    var starts = false
    for nal in ByteStream.units(unit.data) {
      guard nal.count > 2, let first = nal.first else { continue }
      let type = first >> 1 & 0x3F
      switch type {
      case H265Configuration.unitVPS, H265Configuration.unitSPS, H265Configuration.unitPPS:
        state.parameterSets[type] = Array(nal)
      case H265Configuration.unitAUD, H265Configuration.unitFiller: break
      default:
        if H265Configuration.unitsIRAP.contains(type) { starts = true }
        appendLengthPrefixed(nal, to: &data)
      }
    }
    if let vps = state.parameterSets[H265Configuration.unitVPS],
      let sps = state.parameterSets[H265Configuration.unitSPS],
      let pps = state.parameterSets[H265Configuration.unitPPS]
    {
      if case .h265(let known)? = state.configuration, known.sequenceParameterSet == sps,
        known.pictureParameterSet == pps, known.videoParameterSet == vps
      {
        return (data, starts)
      }
      guard let facts = H265Configuration.sequenceFacts(sps[...]) else {
        events.append(.damage(TransportDamage(.parameterSetMalformed(pid: pid), offset: 0)))
        state.parameterSets = [:]
        return (data, starts)
      }
      let configuration = TrackConfiguration.h265(
        H265Configuration(
          videoParameterSet: vps, sequenceParameterSet: sps, pictureParameterSet: pps, width: facts.width,
          height: facts.height, profileTierLevel: facts.profileTierLevel,
          chromaFormat: facts.chromaFormat, bitDepthLuma: facts.bitDepthLuma,
          bitDepthChroma: facts.bitDepthChroma))
      state.configuration = configuration
      events.append(.configured(pid: pid, configuration))
    }
    return (data, starts)
  }

  private func appendLengthPrefixed(_ nal: ArraySlice<UInt8>, to data: inout [UInt8]) {
    let length = UInt32(nal.count)
    for shift: UInt32 in [24, 16, 8, 0] { data.append(UInt8(truncatingIfNeeded: length >> shift)) }
    data.append(contentsOf: nal)
  }
}
