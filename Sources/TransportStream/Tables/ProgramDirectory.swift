/// The programs of a transport stream, as its tables tell them, and the PIDs that carry those tables.
///
/// A table that is damaged or stays away changes nothing: the last one that was whole goes on. Where no
/// association table has come yet, a map that is found by itself is taken; the association corrects it later.
/// Bounded: ``maximumPrograms`` programs of ``ProgramMapTable/maximumStreams`` streams.
struct ProgramDirectory: Sendable {
  /// A camera sends one program, an encoder with several heads a few. Each costs one table of a kilobyte.
  static let maximumPrograms = 16

  struct Program: Equatable, Sendable {
    var number: UInt16
    var mapPID: UInt16
    var streams: [ProgramMapTable.Stream] = []
  }

  /// In the association table's order.
  private(set) var programs: [Program] = []
  private var association = SectionAssembler()
  private var maps: [UInt16: SectionAssembler] = [:]
  private var version: UInt8?
  private var sections: [UInt8: [ProgramAssociationTable.Program]] = [:]
  private var told: Set<UInt8> = []

  init() {}

  func carriesTables(_ pid: UInt16) -> Bool { pid == ProgramAssociationTable.pid || maps.keys.contains(pid) }

  /// Whether a payload begins like a program map and no association says where the maps are.
  func looksLikeMap(_ payload: ArraySlice<UInt8>) -> Bool {
    guard sections.isEmpty, maps.count < Self.maximumPrograms, payload.count >= 4 else { return false }
    let start = payload.startIndex
    return payload[start] == 0 && payload[start + 1] == ProgramMapTable.tableID && payload[start + 2] & 0xFC == 0xB0
  }

  /// A packet of this PID is missing.
  mutating func abandon(_ pid: UInt16) {
    if pid == ProgramAssociationTable.pid { association.abandon() } else { maps[pid]?.abandon() }
  }

  /// Takes a packet of a table's PID; returns whether the programs changed.
  mutating func push(
    _ payload: ArraySlice<UInt8>, pid: UInt16, unitStart: Bool, damage: (TransportDamage) -> Void
  ) -> Bool {
    let before = programs
    var found: [Result<[UInt8], TransportDamage>] = []
    if pid == ProgramAssociationTable.pid {
      association.push(payload, unitStart: unitStart) { found.append($0) }
    } else {
      maps[pid, default: SectionAssembler()].push(payload, unitStart: unitStart) { found.append($0) }
    }
    for result in found {
      do throws(TransportDamage) {
        let section = try result.get()
        if pid == ProgramAssociationTable.pid {
          try adoptAssociation(section, damage)
        } else if section[0] == ProgramMapTable.tableID {
          try adoptMap(section, pid: pid, damage)
        }  // Other tables may share a map's PID (2.4.4.9): not ours.
      } catch {
        damage(error)
      }
    }
    // What only looked like a map is forgotten.
    if !found.isEmpty, !programs.contains(where: { $0.mapPID == pid }) { maps[pid] = nil }
    return programs != before
  }

  private mutating func adoptAssociation(
    _ section: [UInt8], _ damage: (TransportDamage) -> Void
  ) throws(TransportDamage) {
    let table = try ProgramAssociationTable(section: section)
    guard table.isCurrent else { return }
    if version != table.version { sections = [:] }
    guard version != table.version || sections[table.sectionNumber] != table.programs else { return }
    version = table.version
    sections[table.sectionNumber] = Array(table.programs.prefix(Self.maximumPrograms))
    let listed = sections.keys.sorted().flatMap { sections[$0] ?? [] }
    if table.programs.count > Self.maximumPrograms || listed.count > Self.maximumPrograms {
      let count = max(table.programs.count, listed.count)
      damage(TransportDamage(.tooManyPrograms(count: count, limit: Self.maximumPrograms), offset: 8))
    }
    // More sections than programs are allowed: none beyond the limit is kept.
    while sections.count > Self.maximumPrograms, let last = sections.keys.max() { sections[last] = nil }
    let known = programs
    programs = listed.prefix(Self.maximumPrograms).map { entry in
      known.first { $0.number == entry.number && $0.mapPID == entry.mapPID }
        ?? Program(number: entry.number, mapPID: entry.mapPID)
    }
    let carried = Set(programs.map(\.mapPID))
    maps = maps.filter { carried.contains($0.key) }
    for pid in carried where maps[pid] == nil { maps[pid] = SectionAssembler() }
  }

  private mutating func adoptMap(
    _ section: [UInt8], pid: UInt16, _ damage: (TransportDamage) -> Void
  ) throws(TransportDamage) {
    let map = try ProgramMapTable(section: section)
    guard map.isCurrent else { return }
    let index: Int
    if let known = programs.firstIndex(where: { $0.number == map.programNumber && $0.mapPID == pid }) {
      index = known
    } else if sections.isEmpty, programs.count < Self.maximumPrograms {
      index = programs.count
      programs.append(Program(number: map.programNumber, mapPID: pid))
    } else {
      return  // a map of a program that the association does not name
    }
    guard programs[index].streams != map.streams else { return }
    programs[index].streams = map.streams
    if map.dropped > 0 {
      let count = map.streams.count + map.dropped
      damage(TransportDamage(.tooManyStreams(count: count, limit: ProgramMapTable.maximumStreams), offset: 12))
    }
    for stream in map.streams where stream.coding == .unsupported && told.insert(stream.type).inserted {
      damage(TransportDamage(.unsupportedStreamType(stream.type), offset: 0))
    }
  }
}
