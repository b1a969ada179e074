import CMalloc
import Foundation
import Logging

/// How a process of the server uses its memory.
enum ProcessMemory {
  /// Chunks of some 130 KiB come and go: given back to the system each time, every one would cost a page fault for each
  /// of its pages.
  private static let kept_bytes: Int32 = 64 << 20
  private static let largestKept_bytes: Int32 = 32 << 20

  /// Keeps what is freed for what comes next. Specification: mallopt(3).
  static func keepFreed() {
    mallopt(M_TRIM_THRESHOLD, kept_bytes)
    mallopt(M_MMAP_THRESHOLD, largestKept_bytes)
  }

  private static let onFault: Int32 = 4
  /// capability(7), CAP_IPC_LOCK.
  private static let capability = 14

  /// Keeps it out of swap: keys, and pictures of live incidents, lie in it (LIVE-5, STO-4).
  ///
  /// Specification: mlockall(2), with `MCL_ONFAULT`: a page is locked when it is first used. A process that may lock only
  /// some of its memory would fail at an allocation later; it locks none and says so.
  static func lock(logger: Logger) {
    guard isUnlimited, mlockall(MCL_CURRENT | MCL_FUTURE | onFault) == 0 else {
      logger.warning("memory is not locked: keys may reach swap; set LimitMEMLOCK=infinity, or use no swap")
      return
    }
  }

  private static var isUnlimited: Bool {
    let resource = __rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return false }
    limit.rlim_cur = limit.rlim_max
    setrlimit(resource, &limit)
    if limit.rlim_cur == rlim_t.max { return true }
    // Whoever has the capability has no limit.
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    let effective = line.flatMap { UInt64($0.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16) } ?? 0
    return effective >> UInt64(capability) & 1 == 1
  }
}
