@testable import TransportStream

/// Makes transport streams that no encoder at hand makes: fields, parts, tables that change, broken clocks.
struct TransportStreamBuilder {
  private(set) var bytes: [UInt8] = []
  private var counters: [UInt16: UInt8] = [:]

  /// Appends bytes that are packets already.
  mutating func append(_ packets: [UInt8]) { bytes += packets }

  /// Packets of one payload; the last one is stuffed, as most muxers do.
  mutating func payload(_ data: [UInt8], pid: UInt16, randomAccess: Bool = false) {
    var rest = data[...]
    var first = true
    while !rest.isEmpty || first {
      let flags: [UInt8] = first && randomAccess ? [0x40] : []
      let room = 184 - (flags.isEmpty ? 0 : 2)
      let part = rest.prefix(room)
      rest = rest.dropFirst(part.count)
      let counter = (counters[pid, default: 15] &+ 1) & 0x0F
      counters[pid] = counter
      var packet: [UInt8] = [0x47, UInt8(pid >> 8) | (first ? 0x40 : 0), UInt8(truncatingIfNeeded: pid)]
      let field = 184 - part.count
      packet.append((field > 0 ? 0x30 : 0x10) | counter)
      if field == 1 {
        packet.append(0)
      } else if field > 1 {
        packet.append(UInt8(field - 1))
        packet.append(flags.first ?? 0)
        packet += [UInt8](repeating: 0xFF, count: field - 2)
      }
      bytes += packet + part
      first = false
    }
  }

  /// The next packet of this PID will seem to follow a lost one.
  mutating func lose(pid: UInt16) { counters[pid] = (counters[pid, default: 15] &+ 1) & 0x0F }

  mutating func association(_ programs: [(number: UInt16, mapPID: UInt16)], version: UInt8 = 0) {
    var body: [UInt8] = [0, 1, 0xC1 | version << 1, 0, 0]
    for program in programs {
      body += Self.u16(program.number) + Self.u16(0xE000 | program.mapPID)
    }
    table(Self.section(0, body), pid: 0)
  }

  mutating func map(
    _ streams: [(type: UInt8, pid: UInt16, descriptors: [UInt8])], program: UInt16 = 1, pid: UInt16 = 0x1000,
    version: UInt8 = 0
  ) {
    table(Self.mapSection(streams, program: program, version: version), pid: pid)
  }

  /// Sections in one payload, padded to the packet's end.
  mutating func table(_ sections: [UInt8], pid: UInt16) {
    var payload: [UInt8] = [0] + sections
    while payload.count % 184 != 0 { payload.append(0xFF) }
    self.payload(payload, pid: pid)
  }

  static func mapSection(
    _ streams: [(type: UInt8, pid: UInt16, descriptors: [UInt8])], program: UInt16, version: UInt8 = 0
  ) -> [UInt8] {
    var body = u16(program) + [0xC1 | version << 1, 0, 0] + u16(0xE000 | (streams.first?.pid ?? 0x1FFF)) + [0xF0, 0]
    for stream in streams {
      body += [stream.type] + u16(0xE000 | stream.pid) + u16(0xF000 | UInt16(stream.descriptors.count))
      body += stream.descriptors
    }
    return section(2, body)
  }

  static func section(_ table: UInt8, _ body: [UInt8]) -> [UInt8] {
    let section = [table] + u16(0xB000 | UInt16(body.count + 4)) + body
    let crc = CRC32.mpeg(section)
    return section + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: crc >> $0) }
  }

  static func packetized(
    _ data: [UInt8], stream: UInt8 = 0xE0, presentation: UInt64?, decoding: UInt64? = nil, declaresLength: Bool = false
  ) -> [UInt8] {
    var stamps: [UInt8] = []
    if let presentation { stamps += stamp(presentation, decoding == nil ? 2 : 3) }
    if let decoding { stamps += stamp(decoding, 1) }
    let flags: UInt8 = presentation == nil ? 0 : decoding == nil ? 0x80 : 0xC0
    let length = declaresLength ? UInt16(3 + stamps.count + data.count) : 0
    return [0, 0, 1, stream] + u16(length) + [0x80, flags, UInt8(stamps.count)] + stamps + data
  }

  mutating func unit(
    _ data: [UInt8], pid: UInt16, stream: UInt8 = 0xE0, presentation: UInt64?, decoding: UInt64? = nil,
    randomAccess: Bool = false
  ) {
    payload(
      Self.packetized(
        data, stream: stream, presentation: presentation, decoding: decoding, declaresLength: stream != 0xE0),
      pid: pid, randomAccess: randomAccess)
  }

  static func u16(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

  private static func stamp(_ value: UInt64, _ mark: UInt8) -> [UInt8] {
    [
      mark << 4 | UInt8(value >> 29 & 0x0E) | 1, UInt8(truncatingIfNeeded: value >> 22),
      UInt8(truncatingIfNeeded: value >> 14) | 1, UInt8(truncatingIfNeeded: value >> 7),
      UInt8(truncatingIfNeeded: value << 1) | 1,
    ]
  }
}

/// Writes bits, for headers of slices and parameter sets.
struct BitWriter {
  private var bits: [UInt8] = []

  mutating func u(_ value: Int, _ count: Int) {
    for shift in stride(from: count - 1, through: 0, by: -1) { bits.append(UInt8(value >> shift & 1)) }
  }

  mutating func ue(_ value: Int) {
    let code = value + 1
    let length = Int.bitWidth - code.leadingZeroBitCount
    u(0, length - 1)
    u(code, length)
  }

  /// The bytes, with a trailing one and zeros.
  var bytes: [UInt8] {
    var all = bits + [1]
    while all.count % 8 != 0 { all.append(0) }
    return stride(from: 0, to: all.count, by: 8).map { start in
      all[start..<(start + 8)].reduce(0) { $0 << 1 | $1 }
    }
  }
}

/// Units of an H.264 stream with true headers; what follows a slice's header is no picture.
enum H264Units {
  /// Baseline or main, order of pictures type 2, frame numbers of 4 bits.
  static func sequence(id: Int = 0, macroblocks: (Int, Int) = (10, 8), frameOnly: Bool = true) -> [UInt8] {
    var w = BitWriter()
    w.ue(id)
    w.ue(0)
    w.ue(2)
    w.ue(1)
    w.u(0, 1)
    w.ue(macroblocks.0 - 1)
    w.ue(macroblocks.1 / (frameOnly ? 1 : 2) - 1)
    w.u(frameOnly ? 1 : 0, 1)
    if !frameOnly { w.u(0, 1) }
    w.u(1, 1)
    w.u(0, 2)
    return [0, 0, 0, 1, 0x67, 77, 0, 30] + w.bytes
  }

  static func picture(id: Int = 0, sequence: Int = 0, extra: Int = 0) -> [UInt8] {
    var w = BitWriter()
    w.ue(id)
    w.ue(sequence)
    w.u(0, 2)
    w.ue(extra)
    return [0, 0, 0, 1, 0x68] + w.bytes
  }

  /// - Parameter field: nil for a frame; else frame number and whether it is the bottom one (needs `frameOnly` false).
  static func slice(
    key: Bool, first: Int = 0, type: Int? = nil, set: Int = 0, frame: Int = 0, field: Bool? = nil,
    interlaced: Bool = false, size: Int = 40
  ) -> [UInt8] {
    var w = BitWriter()
    w.ue(first)
    w.ue(type ?? (key ? 7 : 5))
    w.ue(set)
    w.u(frame, 4)
    if interlaced {
      w.u(field == nil ? 0 : 1, 1)
      if let field { w.u(field ? 1 : 0, 1) }
    }
    w.u(0xABC, 12)
    return [0, 0, 1, key ? 0x65 : 0x41] + w.bytes + [UInt8](repeating: 0x5A, count: size)
  }
}

/// All events of a stream given at once, or in pieces of `cut` bytes.
func demultiplex(_ bytes: [UInt8], cut: Int? = nil) -> [DemuxerEvent] {
  var demuxer = Demuxer()
  var events: [DemuxerEvent] = []
  for start in stride(from: 0, to: bytes.count, by: cut ?? max(1, bytes.count)) {
    events += demuxer.push(bytes[start..<min(start + (cut ?? bytes.count), bytes.count)])
  }
  return events + demuxer.finish()
}

extension [DemuxerEvent] {
  func units(_ pid: UInt16) -> [AccessUnit] {
    compactMap { if case .accessUnit(let unit) = $0, unit.pid == pid { unit } else { nil } }
  }
  var configurations: [TrackConfiguration] {
    compactMap { if case .configured(_, let configuration) = $0 { configuration } else { nil } }
  }
  var damage: [String] { compactMap { if case .damage(let damage) = $0 { damage.name } else { nil } } }
  var programs: [[UInt16]] { compactMap { if case .program(let pids) = $0 { pids } else { nil } } }
  var metadata: [CameraMetadata] { compactMap { if case .metadata(let found) = $0 { found } else { nil } } }
  var cameraTimes: [CameraTime] { compactMap { if case .cameraTime(let time) = $0 { time } else { nil } } }
}
