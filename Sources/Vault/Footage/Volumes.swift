internal import Glibc
internal import Synchronization

/// One disk that footage lies on.
package struct VolumeState: Equatable, Sendable {
  /// What a path on it begins with, below the footage folder: nothing, or `volumes/NAME/`.
  package var prefix: String
  package var free_bytes: Int64
  package var total_bytes: Int64
  /// False for a while after a write or flush on it failed, and where it cannot be asked.
  package var isHealthy: Bool
}

/// The disks below one footage folder: its own, and every folder or mount point below its `volumes/`.
///
/// A path of the index is relative to the footage folder, wherever its disk is mounted: who reads, checks or erases
/// needs to know nothing of volumes.
package final class Volumes: Sendable {
  /// How long a disk that failed takes no new recording.
  static let quarantine_s: Int64 = 600

  private struct State {
    var volumes: [VolumeState] = []
    /// Seconds of the monotonic clock until which a prefix is left alone.
    var failedUntil: [String: Int64] = [:]
  }

  private let root: String
  private let state = Mutex(State())

  package init(root: String) {
    self.root = root
    refresh()
  }

  /// The prefixes of a footage folder's disks, its own first.
  package static func prefixes(below root: String) -> [String] {
    [""] + Directories.names(in: root + "/volumes").map { "volumes/\($0)/" }
  }

  /// Asks every disk how full it is. Blocking: on the writer's thread, every few seconds.
  package func refresh() {
    let now = Self.now_s()
    let failed = state.withLock { $0.failedUntil }
    let volumes = Self.prefixes(below: root).map { prefix -> VolumeState in
      var figures = statvfs()
      let answers = statvfs(root + "/" + prefix, &figures) == 0
      let block = Int64(figures.f_frsize)
      return VolumeState(
        prefix: prefix, free_bytes: answers ? Int64(figures.f_bavail) * block : 0,
        total_bytes: answers ? Int64(figures.f_blocks) * block : 0, isHealthy: answers && (failed[prefix] ?? 0) <= now)
    }
    state.withLock { $0.volumes = volumes }
  }

  /// The emptiest healthy disk; any, where none is.
  package func choose() -> String {
    state.withLock { state in
      let healthy = state.volumes.filter(\.isHealthy)
      return (healthy.isEmpty ? state.volumes : healthy).max { $0.free_bytes < $1.free_bytes }?.prefix ?? ""
    }
  }

  /// The same path on the disk that would be chosen now.
  func moved(_ path: String) -> String { choose() + path.dropFirst(Self.prefix(of: path).count) }

  /// A write or flush of a file failed otherwise than for want of space.
  func failed(_ path: String) {
    let prefix = Self.prefix(of: path)
    state.withLock { state in
      state.failedUntil[prefix] = Self.now_s() + Self.quarantine_s
      for index in state.volumes.indices where state.volumes[index].prefix == prefix {
        state.volumes[index].isHealthy = false
      }
    }
  }

  package var states: [VolumeState] { state.withLock { $0.volumes } }

  /// The part of a relative path that names its disk.
  static func prefix(of path: String) -> String {
    let fields = path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    return fields.count == 3 && fields[0] == "volumes" ? "volumes/\(fields[1])/" : ""
  }

  private static func now_s() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec)
  }
}

/// The footage folder's files: `<volume>/<yyyy>/<mm>/<dd>/<part>.plm`.
package enum FootageTree {
  /// Gives every master's path, relative to the folder, disk by disk, oldest day first.
  package static func walk(_ root: String, _ body: (String) throws -> Void) rethrows {
    for prefix in Volumes.prefixes(below: root) {
      for year in folders(root, prefix) {
        for month in folders(root, prefix + year + "/") {
          for day in folders(root, prefix + year + "/" + month + "/") {
            let path = "\(prefix)\(year)/\(month)/\(day)/"
            for name in Directories.names(in: root + "/" + path) where name.hasSuffix(".plm") { try body(path + name) }
          }
        }
      }
    }
  }

  /// Whether the disk of a path holds the folders of any year.
  package static func hasDays(below root: String, beside path: String) -> Bool {
    !folders(root, Volumes.prefix(of: path)).isEmpty
  }

  /// Folders that are named as years, months and days are.
  private static func folders(_ root: String, _ path: String) -> [String] {
    Directories.names(in: root + "/" + path).filter { $0.utf8.allSatisfy { (48...57).contains($0) } }
  }
}
