package import Doctrine

/// Whether the sweeper may trust the clock. Pure.
///
/// Erasing is for ever: a clock that jumped, or that nothing disciplines, stops the sweeper until a person has looked.
// MET-3, P6.
package enum SweepGate {
  /// A larger step between what the wall clock and the monotonic clock say is a jump.
  package static let jump_s: Int64 = 3600
  /// After a restart nothing says how long it took: a longer absence is looked at by a person. Below it no term day is
  /// passed that would not be passed anyway by the next evening.
  package static let absence_s: Int64 = 36 * 3600

  /// What was known at the last look.
  package struct Memory: Equatable, Sendable {
    package var wall: UTCTime
    /// Nil: the look was made before a restart.
    package var monotonic: MonotonicTime?

    package init(wall: UTCTime, monotonic: MonotonicTime?) {
      self.wall = wall
      self.monotonic = monotonic
    }
  }

  package enum Verdict: Equatable, Sendable {
    case go
    case stop(reason: String)
  }

  package static func judge(
    _ memory: Memory?, wall: UTCTime, monotonic: MonotonicTime, isSynchronised: Bool
  ) -> Verdict {
    guard isSynchronised else {
      return .stop(
        reason:
          "l'horloge du serveur n'est pas synchronisée : installez un client NTP, ou confirmez-la (clock not synchronised)"
      )
    }
    guard let memory else { return .go }
    let passed_s = (wall.microseconds - memory.wall.microseconds) / 1_000_000
    let expected_s = memory.monotonic.map { monotonic.since($0) / 1_000_000 } ?? 0
    let jump_s = passed_s - expected_s
    guard abs(jump_s) <= (memory.monotonic == nil ? Self.absence_s : Self.jump_s) else {
      return .stop(
        reason:
          "l'horloge a sauté de \(jump_s / 3600) h depuis le dernier passage : vérifiez l'heure, puis confirmez-la (clock jumped)"
      )
    }
    return .go
  }
}
