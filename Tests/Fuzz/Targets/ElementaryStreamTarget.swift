@testable import TransportStream

/// The assembler of PES packets, fed directly: packets of any length, starts and flags anywhere.
///
/// The input is a run of `| flags | length | payload |`; flag bits: 0 start, 1 random access, 2 packet missing,
/// 3 stuffing. Invariants: units are bounded, and are never more bytes than went in.
enum ElementaryStreamTarget {
  static func run(_ input: [UInt8]) throws {
    var assembler = ElementaryAssembler(pid: 0x100)
    var rest = input[...]
    var taken = 0
    var given = 0
    while let flags = rest.popFirst(), let length = rest.popFirst() {
      let payload = rest.prefix(min(Int(length), 184))
      rest = rest.dropFirst(payload.count)
      if flags & 4 != 0 { assembler.abandon() }
      taken += payload.count
      let units = assembler.push(
        payload, unitStart: flags & 1 != 0, randomAccess: flags & 2 != 0, stuffing_bytes: flags & 8 != 0 ? 1 : 0
      ) { _ in }
      given += size(units)
    }
    if let unit = assembler.drain() { given += unit.data.count }
    try hold(given <= taken, "\(given) bytes of units out of \(taken)")
    if let header = try? PacketizedElementaryHeader(input[...], pid: 0x100) {
      try hold(header.dataStart <= input.count, "data start at \(header.dataStart) of \(input.count)")
      try hold((header.dataLength ?? 0) >= 0, "a negative length")
      for stamp in [header.presentation, header.decoding] {
        try hold(stamp ?? 0 < 1 << 33, "a time stamp of more than 33 bits")
      }
    }
  }

  private static func size(_ units: [ElementaryUnit]) -> Int { units.reduce(0) { $0 + $1.data.count } }
}
