import Doctrine
import Footage
import Seams
import Vault

/// What is not there is written down, with its times and its cause. INT-6, P5.
extension ShardCore {
  /// A time between two connections.
  func write(_ gap: RecordingMachine.Gap, epoch: UInt32, in recording: OpenRecording) {
    append(gap.from, gap.to, gap.cause, epoch: epoch, first: 0, missing: 0, to: recording)
  }

  /// Packets of one connection that never came, and what its camera's encoder left out.
  func writeGaps(of connection: Connection, in recording: OpenRecording, now: MonotonicTime, isOver: Bool) {
    for hole in connection.intake.reorderer.takeSettled(now: now, isOver: isOver) {
      append(
        hole.from, hole.to, .lostInTransport, epoch: connection.epoch,
        first: hole.range.lowerBound, missing: hole.range.count, to: recording)
    }
    if let omission = connection.intake.assembler.takeOmission(at: common.clocks.wall(), isOver: isOver) {
      append(
        omission.from, omission.to, .encoder, epoch: connection.epoch, first: 0,
        missing: Int(clamping: omission.packets), to: recording)
    }
  }

  private func append(
    _ from: UTCTime, _ to: UTCTime, _ cause: GapCause, epoch: UInt32, first: UInt64, missing: Int,
    to recording: OpenRecording
  ) {
    let note = GapNote(from_us: from.microseconds, to_us: to.microseconds, cause: cause.rawValue)
    submit(
      .append(
        part: recording.current.part.rawValue,
        ChunkContent(
          kind: .gap, epoch: epoch, packetCount: UInt32(clamping: missing), firstSequence: first,
          firstArrival_us: note.from_us, lastArrival_us: note.to_us, plaintext: note.encoded)))
  }
}
