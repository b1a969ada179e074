internal import Foundation

/// The one thread that writes footage: it seals, chains and appends for all cameras together, and has it flushed.
///
/// Group commit: chunks are appended as they come; at most every ``interval_ms`` a batch of all files that grew goes to the
/// ``Flusher``, and only what came back flushed is told as committed. Appending never waits for a flush. The line is
/// bounded in bytes that are not durable; past it ``submit(_:)`` is refused, and the caller stops reading its sockets, so
/// that the transport holds back and nothing is dropped.
// P5, REC-11.
package final class FootageWriter: Sendable {
  /// Chunks end at 500 ms, so what was received is durable well inside a second.
  package static let interval_ms = 200
  /// Five seconds of 200 cameras at 2 Mbit/s. Reading stops at half of it; the transport's own buffers then hold some
  /// sixteen seconds more.
  package static let capacity_bytes = 256 << 20

  private let line: FootageLine
  private let capacity_bytes: Int
  private let finished = DispatchSemaphore(value: 0)
  /// The disks it writes to.
  package let volumes: Volumes

  /// - Parameters:
  ///   - volumes: the disks, where several writers share them.
  ///   - capacity_bytes: what may wait, or be written and not flushed.
  package init(
    root: String, volumes: Volumes? = nil, capacity_bytes: Int = FootageWriter.capacity_bytes,
    outcome: @escaping @Sendable (FootageOutcome) -> Void
  ) {
    let volumes = volumes ?? Volumes(root: root)
    self.volumes = volumes
    self.capacity_bytes = capacity_bytes
    line = FootageLine(capacity_bytes: capacity_bytes)
    let thread = Thread { [line, finished] in
      Thread.current.name = "footage-writer"
      var loop = FootageWriterLoop(root: root, line: line, volumes: volumes, outcome: outcome)
      loop.run()
      finished.signal()
    }
    thread.start()
  }

  /// Hands over a command; false when the line is full: try again, do not drop.
  package func submit(_ command: FootageCommand) -> Bool { line.append(command) }

  /// What waits, or is written and not flushed yet.
  package var undurable_bytes: Int { line.undurable_bytes }

  /// Whether the line has room for a good while.
  package var hasRoom: Bool { line.undurable_bytes < capacity_bytes / 2 }

  /// Arrival of the oldest packet that is written and not durable, in microseconds since 1970; nil where all is.
  package var oldestUndurable_us: Int64? { line.oldestUndurable_us }

  /// Writes what waits, flushes, and ends the thread.
  package func stop() {
    line.close()
    finished.wait()
  }
}
