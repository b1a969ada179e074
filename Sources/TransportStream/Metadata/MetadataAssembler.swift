/// From the PES packets of one KLV stream to its sets.
///
/// A packet may hold several sets. Sets with another key than ST 0601's are stepped over: they are somebody's own.
///
/// Specification: MISB ST 1402 (synchronous and asynchronous carriage).
struct MetadataAssembler: Sendable {
  /// An access unit cut into cells, put together; a set of all items stays under 8 KiB.
  static let maximumUnit_bytes = 65_536

  let pid: UInt16
  let isSynchronous: Bool
  private var held: [UInt8] = []

  init(pid: UInt16, isSynchronous: Bool) {
    self.pid = pid
    self.isSynchronous = isSynchronous
  }

  /// A packet of this PID is missing.
  mutating func abandon() { held = [] }

  mutating func push(_ unit: ElementaryUnit, unroller: inout TimestampUnroller, into events: inout [DemuxerEvent]) {
    // Not kept: metadata is no measure of the program's clock.
    var side = unroller
    let time = unit.presentation.map { side.unroll($0) }
    guard isSynchronous else { return read(unit.data[...], at: nil, into: &events) }
    var rest = unit.data[...]
    while !rest.isEmpty {
      guard let cell = MetadataCell(rest) else {
        held = []
        return tell(.metadataMalformed(pid: pid), at: rest.startIndex, &events)
      }
      rest = rest.dropFirst(MetadataCell.header_bytes + cell.data.count)
      if cell.isFirst { held = [] }
      guard held.count + cell.data.count <= Self.maximumUnit_bytes else {
        held = []
        return tell(.accessUnitTooLarge(pid: pid, limit_bytes: Self.maximumUnit_bytes), at: 0, &events)
      }
      held += cell.data
      if cell.isLast {
        read(held[...], at: time, into: &events)
        held = []
      }
    }
  }

  private func read(_ bytes: ArraySlice<UInt8>, at time: MediaTime90k?, into events: inout [DemuxerEvent]) {
    var rest = bytes
    while rest.count > UASDatalinkSet.key.count {
      let start = rest.startIndex
      let isOurs = rest.starts(with: UASDatalinkSet.key)
      var reader = KeyLengthValue(rest.dropFirst(UASDatalinkSet.key.count))
      // A universal key begins 06 0E 2B 34.
      guard rest.starts(with: UASDatalinkSet.key.prefix(4)), let length = reader.length(),
        length <= rest.endIndex - reader.position
      else { return tell(.metadataMalformed(pid: pid), at: start, &events) }
      let end = reader.position + length
      if isOurs {
        do throws(UASDatalinkSet.Fault) {
          let set = try UASDatalinkSet(set: rest[start..<end], content: rest[reader.position..<end])
          events.append(.metadata(CameraMetadata(pid: pid, presentation: time, set: set)))
          events.append(.cameraTime(CameraTime(pid: pid, source: .metadata, microseconds: set.time_us)))
        } catch {
          let code: TransportDamage.Code =
            error == .checksum ? .metadataChecksum(pid: pid) : .metadataMalformed(pid: pid)
          tell(code, at: start, &events)
        }
      }
      rest = rest[end...]
    }
  }

  private func tell(_ code: TransportDamage.Code, at offset: Int, _ events: inout [DemuxerEvent]) {
    events.append(.damage(TransportDamage(code, offset: offset)))
  }
}
