internal import Dispatch
internal import Foundation

/// What one file has to have made durable, before anybody is told of it.
struct FlushItem: Sendable {
  var part: String
  var file: FileFlush
  /// Folders in which a name is new: flushed before the file.
  var folders: [String]
}

/// What became of one file of a batch; nil where all of it is durable.
struct FlushResult: Sendable {
  var part: String
  var failure: VaultError?
}

/// The one thread that waits for the disk.
///
/// While it waits, the writer goes on appending: what is appended survives a kill of the process, and a power cut once it is
/// flushed. One batch at a time, so that a file whose flush failed is never flushed again.
final class Flusher: Sendable {
  private let line: DispatchQueue
  private let done: @Sendable ([FlushResult]) -> Void

  /// - Parameter done: called on the flusher's thread, once a batch.
  init(done: @escaping @Sendable ([FlushResult]) -> Void) {
    line = DispatchQueue(label: "footage-flusher", qos: .userInitiated)
    self.done = done
  }

  /// Flushes a batch, then does `afterwards` what else may wait for a disk.
  func flush(_ batch: [FlushItem], afterwards: @escaping @Sendable () -> Void) {
    line.async { [done] in
      // All are begun before the first is waited for: docs/design/durability.md.
      for item in batch { item.file.begin() }
      var flushed: Set<String> = []
      done(
        batch.map { item in
          do throws(VaultError) {
            for folder in item.folders where !flushed.contains(folder) {
              try Directories.flush(folder)
              flushed.insert(folder)
            }
            try item.file.flush()
            return FlushResult(part: item.part, failure: nil)
          } catch {
            return FlushResult(part: item.part, failure: error)
          }
        })
      afterwards()
    }
  }
}
