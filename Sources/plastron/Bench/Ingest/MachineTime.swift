import Foundation

/// What all processors of the machine had to do since its start. Source: proc(5).
struct MachineTime: Sendable {
  private var all: Double
  private var idle: Double

  static func now() -> MachineTime {
    let stat = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
    let times = stat.prefix { $0 != "\n" }.split(separator: " ").dropFirst().compactMap { Double($0) }
    return MachineTime(all: times.prefix(8).reduce(0, +), idle: times.dropFirst(3).prefix(2).reduce(0, +))
  }

  /// How much of it was not idle since then.
  func busy_percent(since before: MachineTime) -> Int {
    let whole = all - before.all
    return whole > 0 ? Int(100 * (1 - (idle - before.idle) / whole)) : 0
  }
}
