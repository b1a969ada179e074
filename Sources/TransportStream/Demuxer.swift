/// From transport stream bytes, cut anywhere, to access units.
///
/// Pure: bytes in, events out. Whatever the bytes are, it neither traps nor grows without bound: it holds one
/// picture stream, one sound stream and the program's metadata streams, each at most one unit of
/// ``ElementaryAssembler/maximumUnit_bytes`` and its parts; what is beyond a bound is counted as damage and dropped.
package struct Demuxer: Sendable {
  /// A step of the media clock larger than this, either way, is a jump and is reported.
  package static let jumpThreshold_90k: Int64 = 10 * MediaTime90k.ticksPerSecond

  private var remainder: [UInt8] = []
  private var continuity: [UInt16: ContinuityCheck] = [:]
  private var directory = ProgramDirectory()
  private var choice = ProgramChoice()
  private var streams: [UInt16: ElementaryStream] = [:]
  private var followed: [UInt16] = []
  /// The program's one clock.
  private var unroller = TimestampUnroller()
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
    for pid in streams.keys.sorted() { streams[pid]?.drain(unroller: &unroller, into: &events) }
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
    guard pid != TransportPacket.nullPID else {
      if packet.transportError { holeCame(into: &events) }
      return
    }
    guard !packet.transportError else {
      events.append(.damage(TransportDamage(.transportErrorIndicator(pid: pid), offset: 1)))
      streams[pid]?.abandon()
      directory.abandon(pid)
      return
    }
    let payload = remainder[(offset + packet.payloadStart)..<(offset + TransportPacket.size)]
    let isStream = streams.keys.contains(pid)
    let isTable =
      directory.carriesTables(pid) || !isStream && packet.payloadUnitStart && directory.looksLikeMap(payload)
    guard isStream || isTable || choice.isCandidate(pid), packet.hasPayload else { return }
    guard !packet.scrambled else {
      if isStream || isTable { events.append(.damage(TransportDamage(.scrambled(pid: pid), offset: 3))) }
      return
    }
    guard isStream || isTable else {
      if packet.payloadUnitStart, let left = choice.otherBegan(pid) {
        events.append(.damage(TransportDamage(.streamSilent(pid: left), offset: 0)))
        follow(into: &events)
      }
      return
    }
    guard isNew(packet, payload, into: &events) else { return }
    if isTable {
      var damage: [TransportDamage] = []
      let changed = directory.push(payload, pid: pid, unitStart: packet.payloadUnitStart) { damage.append($0) }
      events += damage.map { .damage($0) }
      if changed {
        _ = choice.programsChanged(directory.programs)
        follow(into: &events)
      }
    } else {
      if pid == choice.choice?.picture.pid { choice.pictureHeard() }
      streams[pid]?.push(payload, packet, unroller: &unroller, into: &events)
    }
  }

  /// What is held of any stream cannot be completed; counters start anew.
  private mutating func holeCame(into events: inout [DemuxerEvent]) {
    events.append(.damage(TransportDamage(.hole, offset: 1)))
    for pid in continuity.keys { directory.abandon(pid) }
    for pid in streams.keys { streams[pid]?.abandon() }
    continuity = [:]
  }

  /// Whether a packet is to be read; tells of the ones that are missing before it.
  private mutating func isNew(
    _ packet: TransportPacket, _ payload: ArraySlice<UInt8>, into events: inout [DemuxerEvent]
  ) -> Bool {
    let pid = packet.pid
    switch continuity[pid, default: ContinuityCheck()].next(packet, payload) {
    case .follows: return true
    case .duplicate: return false
    case .broken(let expected):
      let code = TransportDamage.Code.continuity(pid: pid, expected: expected, found: packet.continuityCounter)
      events.append(.damage(TransportDamage(code, offset: 3)))
      streams[pid]?.abandon()
      directory.abandon(pid)
      return true
    }
  }

  /// Follows the chosen program's picture, its first sound that is read, and its metadata.
  private mutating func follow(into events: inout [DemuxerEvent]) {
    let program = directory.programs.first { $0.number == choice.choice?.program }
    var wanted: [ProgramMapTable.Stream] = []
    if let picture = choice.choice?.picture { wanted.append(picture) }
    if let sound = (program?.streams ?? []).first(where: \.coding.isSound) { wanted.append(sound) }
    wanted += (program?.streams ?? []).filter { !$0.coding.isPicture && !$0.coding.isSound }
    var kept: [UInt16: ElementaryStream] = [:]
    for stream in wanted where kept[stream.pid] == nil && !directory.carriesTables(stream.pid) {
      if let known = streams.removeValue(forKey: stream.pid), known.coding == stream.coding {
        kept[stream.pid] = known
      } else {
        kept[stream.pid] = ElementaryStream(stream)
      }
    }
    for pid in streams.keys.sorted() { streams[pid]?.drain(unroller: &unroller, into: &events) }
    streams = kept
    continuity = continuity.filter { streams[$0.key] != nil || directory.carriesTables($0.key) }
    let pids = kept.filter { $0.value.coding.isPicture || $0.value.coding.isSound }.keys.sorted()
    if pids != followed {
      followed = pids
      events.append(.program(pids: pids))
    }
  }
}
