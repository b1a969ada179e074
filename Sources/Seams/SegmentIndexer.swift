package import Doctrine
package import Footage

/// Gathers committed chunks of a part into index rows of about ten seconds. Pure.
package struct SegmentIndexer: Sendable {
  package static let length_us: Int64 = 10_000_000
  /// A link that tears every chunk apart must not make a row of any size.
  static let maximumChunks: Int64 = 500

  private let part: PartID
  private let recording: RecordingID
  private var open: SegmentEntry?
  private var baseArrival_us: Int64 = 0

  package init(part: PartID, recording: RecordingID) {
    self.part = part
    self.recording = recording
  }

  /// Takes the next committed chunk; returns a row that it completes.
  package mutating func committed(_ header: ChunkHeader, fileOffset: Int64, head: [UInt8]) -> SegmentEntry? {
    var completed: SegmentEntry?
    let media = header.kind == .media || header.kind == .fill
    if let current = open,
      current.epoch != Int64(header.epoch) || header.lastArrival_us - baseArrival_us > Self.length_us
        || Int64(header.index) - current.firstChunk >= Self.maximumChunks
    {
      completed = current
      open = nil
    }
    if open == nil {
      baseArrival_us = header.firstArrival_us
      open = SegmentEntry(
        part: part, recording: recording, firstChunk: Int64(header.index), lastChunk: Int64(header.index),
        epoch: Int64(max(1, header.epoch)), firstArrival: UTCTime(microseconds: header.firstArrival_us),
        lastArrival: UTCTime(microseconds: header.lastArrival_us), media_bytes: 0, fileOffset: fileOffset,
        file_bytes: 0, chainHead: head, chunkTable: [])
    }
    guard var segment = open else { return completed }
    segment.lastChunk = Int64(header.index)
    segment.lastArrival = max(segment.lastArrival, UTCTime(microseconds: header.lastArrival_us))
    segment.firstArrival = min(segment.firstArrival, UTCTime(microseconds: header.firstArrival_us))
    segment.file_bytes += Int64(header.chunkLength)
    segment.media_bytes += media ? Int64(header.plaintextLength) : 0
    segment.chainHead = head
    let offset_ms = UInt32(clamping: max(0, header.firstArrival_us - baseArrival_us) / 1000)
    Self.put(UInt32(header.chunkLength), bytes: 4, into: &segment.chunkTable)
    segment.chunkTable.append(header.kind.rawValue)
    segment.chunkTable.append(UInt8(min(255, header.marks.count)))
    Self.put(offset_ms, bytes: 4, into: &segment.chunkTable)
    open = segment
    return completed
  }

  /// The row being gathered: the part ends.
  package mutating func finish() -> SegmentEntry? {
    defer { open = nil }
    return open
  }

  private static func put(_ value: UInt32, bytes: Int, into table: inout [UInt8]) {
    for index in 0..<bytes { table.append(UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index))) }
  }
}
