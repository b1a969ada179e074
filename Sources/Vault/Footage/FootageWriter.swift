internal import Foundation

/// The one thread that writes footage: it seals, chains and appends for all cameras together, and has it flushed.
///
/// Group commit: chunks are appended as they come; at most every ``interval_ms`` a batch of all files that grew goes to the
/// ``Flusher``, and only what came back flushed is told as committed. Appending never waits for a flush. What
/// is handed over is always taken; once ``hasRoom`` is false the caller stops reading its sockets, so that the transport holds
/// back and nothing is dropped.
// P5, REC-11.
package final class FootageWriter: Sendable {
  /// Chunks end at 500 ms, so what was received is durable well inside a second.
  package static let interval_ms = 200
  /// What may wait before reading stops: two and a half seconds of 200 cameras at 2 Mbit/s. What is in hand then, half a
  /// second of each camera, still goes in; the transport's own windows hold some two seconds more.
  package static let capacity_bytes = 128 << 20

  private let line: FootageLine
  private let backlog: FootageBacklog
  private let finished = DispatchSemaphore(value: 0)
  /// The disks it writes to.
  package let volumes: Volumes

  /// - Parameters:
  ///   - volumes: the disks, where several writers share them.
  ///   - backlog: what waits for the disks, where several writers share the bound.
  package init(
    root: String, volumes: Volumes? = nil, backlog: FootageBacklog = FootageBacklog(),
    outcome: @escaping @Sendable (FootageOutcome) -> Void
  ) {
    let volumes = volumes ?? Volumes(root: root)
    self.volumes = volumes
    self.backlog = backlog
    line = FootageLine(backlog: backlog)
    let thread = Thread { [line, finished] in
      Thread.current.name = "footage-writer"
      var loop = FootageWriterLoop(root: root, line: line, volumes: volumes, outcome: outcome)
      loop.run()
      finished.signal()
    }
    thread.start()
  }

  /// Hands over a command.
  package func submit(_ command: FootageCommand) { line.append(command) }

  /// What waits, or is written and not flushed yet.
  package var undurable_bytes: Int { line.undurable_bytes }

  /// Whether the line has room for a good while: once it had none, only when an eighth is free again.
  package func hasRoom(after had: Bool) -> Bool {
    backlog.bytes < (had ? Self.capacity_bytes : Self.capacity_bytes / 8 * 7)
  }

  /// Arrival of the oldest packet that is written and not durable, in microseconds since 1970; nil where all is.
  package var oldestUndurable_us: Int64? { line.oldestUndurable_us }

  /// Writes what waits, flushes, and ends the thread.
  package func stop() {
    line.close()
    finished.wait()
  }
}
