import Foundation

/// Who waits where the machine is full: a recording that is late may be lost, a picture on the wall comes later.
///
/// Among the processes of one control group, as `plastron serve` starts them; between units of systemd `CPUWeight` says it.
enum Precedence {
  /// A third of the time that a process gets which did not step back. Source: sched(7), the nice value.
  private static let steps: Int32 = 5

  /// All threads of this process, and those that they start, let others go first; but for those to which libdispatch gives a
  /// value of its own, which it may as root only.
  static func stepBack() {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    // A thread that ended meanwhile needs nothing.
    for thread in threads.compactMap(UInt32.init) {
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), thread, steps)
    }
  }
}
