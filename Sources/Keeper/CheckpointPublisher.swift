internal import Doctrine
internal import Foundation
internal import Journal
package import Logging
package import Vault

/// Copies signed checkpoints out of the journal's folder: what has left the machine cannot be taken back.
///
/// The target is a folder, best one that lies elsewhere and only grows: `checkpoint` is the newest, and
/// `checkpoints-<day>` has every note of a UTC day, one after the other.
// P8, LOG-6.
package struct CheckpointPublisher: Sendable {
  /// Between two looks.
  static let interval: Duration = .seconds(60)
  /// While there is none yet.
  static let first: Duration = .seconds(2)

  private let journal: JournalFolder
  private let target: String
  private let logger: Logger

  package init(journal: JournalFolder, target: String, logger: Logger) {
    self.journal = journal
    self.target = target
    self.logger = logger
  }

  package func run() async throws {
    var last: String?
    while !Task.isCancelled {
      do { last = try publish(after: last) } catch {
        logger.error("a checkpoint could not be published", metadata: ["error": "\(error)"])
      }
      try await Task.sleep(for: last == nil ? Self.first : Self.interval)
    }
  }

  /// Publishes the newest note where it is not `last`; returns it.
  package func publish(after last: String?) throws -> String? {
    guard let note = try journal.checkpoint(), note != last else { return last }
    try Directories.make(target, mode: 0o755)
    var days = try DurableFile.append(target + "/checkpoints-\(Self.day())", mode: 0o644)
    try days.append(Array((note + "\n").utf8))
    try days.flush()
    try Directories.replace(target + "/checkpoint", with: Array(note.utf8), mode: 0o644)
    return note
  }

  private static func day() -> String { Date().formatted(.iso8601.year().month().day()) }
}
