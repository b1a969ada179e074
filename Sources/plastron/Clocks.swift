import CTimex
internal import CoreFoundation
import Doctrine
import Foundation
import Ingest

/// The only places where a clock and the zone data are read.
enum SystemClocks {
  static let wall: @Sendable () -> UTCTime = {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UTCTime(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
  }

  static let monotonic: @Sendable () -> MonotonicTime = {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return MonotonicTime(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
  }

  /// Whether the kernel's clock is disciplined (NTP, PTP): its own word for it.
  static let isSynchronised: @Sendable () -> Bool = {
    var state = timex()
    let result = adjtimex(&state)
    return result >= 0 && result != TIME_ERROR && state.status & STA_UNSYNC == 0
  }

  static let ingest = IngestClocks(wall: wall, monotonic: monotonic)
}

extension LegalCalendar {
  struct NoZone: Error, CustomStringConvertible {
    var description: String { "the system has no time-zone data for Europe/Paris: install tzdata" }
  }

  /// French legal time, from the system's zone data: from 2015 to thirty years from now.
  static func france() throws -> LegalCalendar {
    guard let zone = TimeZone(identifier: "Europe/Paris") else { throw NoZone() }
    var date = Date(timeIntervalSince1970: 1_420_070_400)
    let initial = Int64(zone.secondsFromGMT(for: date))
    var transitions: [Transition] = []
    let end = Date().addingTimeInterval(30 * 365.25 * 86_400)
    while let next = zone.nextDaylightSavingTimeTransition(after: date), next < end, next > date {
      transitions.append(
        Transition(
          from_s: Int64(next.timeIntervalSince1970.rounded()),
          offset_s: Int64(zone.secondsFromGMT(for: next.addingTimeInterval(1)))))
      date = next
    }
    guard transitions.count > 20 else { throw NoZone() }
    return LegalCalendar(initialOffset_s: initial, transitions: transitions)
  }
}
