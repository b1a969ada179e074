import TransportStream

/// What a hostile camera sends inside a connection that was properly admitted. Seeded: the same again for the same seed.
///
/// An endless run of messages; ``next()`` gives one of at most 1316 bytes.
struct HostileStream {
  enum Kind: String, CaseIterable {
    /// Random bytes in messages of every size.
    case rubbish
    /// A clip with bits turned, bytes set, packets lost, doubled and swapped.
    case mutated
    /// A picture that begins and never ends.
    case endlessUnit = "endless-unit"
    /// Every PID there is, and tables that name another PID each time.
    case everyPID = "every-pid"
    /// Pictures of one unit of ten mebibytes, and pictures of millions of units.
    case giantUnits = "giant-units"
    /// Tables whose lengths, pointers and checksums lie.
    case sections
    /// Adaptation fields whose lengths lie.
    case adaptation
    /// Time stamps from one end of 33 bits to the other.
    case clocks
  }

  private static let packetsPerMessage = 7
  /// The payload of a live transport's message.
  static let maximumMessage_bytes = 1316
  private static let mapPID: UInt16 = 0x1000
  private static let picturePID: UInt16 = 0x100
  // A baseline sequence of a small picture, so that what follows is taken for pictures. ITU-T H.264, 7.3.2.1.
  private static let parameterSets: [UInt8] =
    [0, 0, 0, 1] + [
      0x67, 0x42, 0xC0, 0x0B, 0xDA, 0x0A, 0x11, 0xF9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00,
      0x32, 0x8F, 0x14, 0x2A, 0xA0,
    ] + [0, 0, 0, 1] + [0x68, 0xCE, 0x3C, 0x80]

  private let kind: Kind
  private let clip: [UInt8]
  private var random: SeededGenerator
  private var counters: [UInt16: UInt8] = [:]
  private var number = 0
  private var waiting: [UInt8] = []
  /// Bytes of the present picture still to come.
  private var left = 0
  private var clock: UInt64 = 0

  /// - Parameter clip: whole packets; only the kind `mutated` uses them.
  init(_ kind: Kind, clip: [UInt8], seed: UInt64) {
    self.kind = kind
    self.clip = clip
    random = SeededGenerator(state: seed)
  }

  mutating func next() -> [UInt8] {
    if kind == .rubbish {
      number += 1
      return bytes((number - 1) % Self.maximumMessage_bytes + 1)
    }
    while waiting.count < Self.packetsPerMessage * TransportPacket.size {
      waiting += piece()
      number += 1
    }
    let message = Array(waiting.prefix(Self.packetsPerMessage * TransportPacket.size))
    waiting.removeFirst(message.count)
    return message
  }

  private mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
  }

  private mutating func piece() -> [UInt8] {
    // A live view that joins needs the tables from time to time.
    let tables = number % 400 == 0 ? self.tables(map: Self.mapPID) : []
    switch kind {
    case .rubbish: return []
    case .mutated: return mutated()
    case .endlessUnit:
      if number == 0 { return tables + picture(start: true, Self.parameterSets + [0, 0, 0, 1, 0x65]) }
      return tables + picture(start: false, bytes(184))
    case .everyPID: return tables + everyPID()
    case .giantUnits: return tables + giantUnits()
    case .sections: return tables + brokenSection()
    case .adaptation: return tables + brokenAdaptation()
    case .clocks:
      clock = UInt64.random(in: 0..<(1 << 33), using: &random)
      return tables + picture(start: true, Self.parameterSets + [0, 0, 0, 1, 0x65, 0x88, 0x84])
    }
  }

  // MARK: Well formed

  private mutating func packet(_ pid: UInt16, start: Bool, _ payload: [UInt8], stuffing: UInt8 = 0xFF) -> [UInt8] {
    let counter = counters[pid].map { ($0 + 1) & 15 } ?? 0
    counters[pid] = counter
    let content = payload.prefix(184)
    var out: [UInt8] = [
      TransportPacket.syncByte, (start ? 0x40 : 0) | UInt8(pid >> 8 & 0x1F), UInt8(pid & 0xFF),
      (content.count < 184 ? 0x30 : 0x10) | counter,
    ]
    if content.count < 184 {
      let length = 183 - content.count
      out.append(UInt8(length))
      if length > 0 { out.append(0) }
      out += [UInt8](repeating: stuffing, count: max(0, length - 1))
    }
    return out + content
  }

  private mutating func section(_ pid: UInt16, _ table: UInt8, _ body: [UInt8]) -> [UInt8] {
    let length = 5 + body.count + 4
    var section: [UInt8] = [table, 0xB0 | UInt8(length >> 8 & 15), UInt8(length & 0xFF), 0, 1, 0xC1, 0, 0] + body
    let checksum = CRC32.mpeg(section)
    for shift: UInt32 in [24, 16, 8, 0] { section.append(UInt8(truncatingIfNeeded: checksum >> shift)) }
    return packets(pid, [0] + section)
  }

  /// A section over as many packets as it takes, the last filled with 0xFF.
  private mutating func packets(_ pid: UInt16, _ content: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    for at in stride(from: 0, to: content.count, by: 184) {
      let part = Array(content[at..<min(at + 184, content.count)])
      out += packet(pid, start: at == 0, part + [UInt8](repeating: 0xFF, count: 184 - part.count))
    }
    return out
  }

  private mutating func tables(map pid: UInt16) -> [UInt8] {
    section(0, 0, [0, 1, 0xE0 | UInt8(pid >> 8), UInt8(pid & 0xFF)])
      + section(pid, 2, Self.map(1, of: 0x1B, from: Self.picturePID))
  }

  /// The body of a program map: `count` streams of one type on consecutive PIDs. ISO/IEC 13818-1, 2.4.4.8.
  private static func map(_ count: UInt16, of type: UInt8, from first: UInt16) -> [UInt8] {
    var body: [UInt8] = Self.pid(first) + [0xF0, 0]
    for index in 0..<count {
      body.append(type)
      body += Self.pid(first &+ index)
      body += [0xF0, 0]
    }
    return body
  }

  private static func pid(_ pid: UInt16) -> [UInt8] { [0xE0 | UInt8(pid >> 8 & 0x1F), UInt8(pid & 0xFF)] }

  /// A PES packet of no declared length, or its continuation.
  private mutating func picture(start: Bool, _ data: [UInt8]) -> [UInt8] {
    guard start else { return packet(Self.picturePID, start: false, data) }
    let t = clock
    clock = (clock + 3600) & 0x1_FFFF_FFFF
    let stamp: [UInt8] = [
      0x21 | UInt8(t >> 30 & 7) << 1, UInt8(t >> 22 & 0xFF), UInt8(t >> 15 & 0x7F) << 1 | 1, UInt8(t >> 7 & 0xFF),
      UInt8(t & 0x7F) << 1 | 1,
    ]
    return packet(Self.picturePID, start: true, [0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5] + stamp + data)
  }

  // MARK: Hostile

  private mutating func everyPID() -> [UInt8] {
    let pid = UInt16(number % 8192)
    switch number % 5 {
    case 0: return tables(map: pid)
    case 1:
      // A map of two hundred streams.
      return section(Self.mapPID, 2, Self.map(200, of: 0x1B, from: pid))
    case 2:
      // Sixteen that are taken, other ones each time.
      return section(Self.mapPID, 2, Self.map(16, of: 0x24, from: pid))
    default: return packet(pid, start: number % 2 == 0, [0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0] + bytes(175))
    }
  }

  private mutating func giantUnits() -> [UInt8] {
    guard left > 0 else {
      // Under the bound of one picture and over it, by turns.
      left = [7 << 20, 10 << 20].randomElement(using: &random) ?? 0
      return picture(start: true, Self.parameterSets + [0, 0, 0, 1, 0x65])
    }
    left -= 184
    let many = left / (1 << 20) % 2 == 0
    return picture(
      start: false, many ? (0..<46).flatMap { _ in [0, 0, 1, 0x65] as [UInt8] } : [UInt8](repeating: 0x55, count: 184))
  }

  private mutating func brokenSection() -> [UInt8] {
    let pid: UInt16 = [0, Self.mapPID].randomElement(using: &random) ?? 0
    var content: [UInt8] = [UInt8.random(in: .min ... .max, using: &random)] + bytes(183)
    if Bool.random(using: &random) { content[0] = 0 }
    if Bool.random(using: &random) { content[1] = pid == 0 ? 0 : 2 }
    if number % 3 == 0 {
      // A right checksum over a wrong body: the parser behind it is reached.
      return section(pid, pid == 0 ? 0 : 2, bytes(Int.random(in: 0...1000, using: &random)))
    }
    return packet(pid, start: number % 4 != 0, content)
  }

  private mutating func brokenAdaptation() -> [UInt8] {
    let pid: UInt16 = [0, Self.mapPID, Self.picturePID].randomElement(using: &random) ?? 0
    var out = packet(pid, start: Bool.random(using: &random), bytes(184))
    out[3] = out[3] & 0x0F | UInt8.random(in: 0...3, using: &random) << 4
    out[4] = UInt8(number & 0xFF)
    out[5] = UInt8.random(in: .min ... .max, using: &random)
    return out
  }

  private mutating func mutated() -> [UInt8] {
    let count = clip.count / TransportPacket.size
    var at = number % count * TransportPacket.size
    if Int.random(in: 0..<50, using: &random) == 0 {
      at = Int.random(in: 0..<count, using: &random) * TransportPacket.size
    }
    var out = Array(clip[at..<(at + TransportPacket.size)])
    guard Int.random(in: 0..<4, using: &random) == 0 else { return out }
    // Mostly behind the sync byte, so that more than the first check is tried.
    let place = Int.random(in: Int.random(in: 0..<10, using: &random) == 0 ? 0..<1 : 1..<188, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: out[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: out[place] = UInt8.random(in: .min ... .max, using: &random)
    case 2: for index in place..<min(188, place + 4) { out[index] = 0xFF }
    case 3: out += out
    case 4: out.removeSubrange(place..<min(188, place + 20))
    default: return []
    }
    return out
  }
}

/// A small generator that repeats itself for a seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
