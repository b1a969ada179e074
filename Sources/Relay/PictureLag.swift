internal import TransportStream

/// How far a camera's pictures are behind real time. Pure.
///
/// Only differences count, as the camera's time line has a zero of its own: the picture that was on its way for the
/// shortest time is the base line, and what a later one needs beyond that is the lag.
struct PictureLag: Equatable, Sendable {
  /// A picture this far ahead of the base line did not travel faster: the camera's time line was set.
  static let jump_us: Int64 = 1_000_000
  /// How fast the base line forgets, in millionths: several times what two clocks may drift apart.
  static let forgetting_ppm: Int64 = 200

  private var baseline_us: Int64?
  private var lastArrival_us: Int64 = 0
  private(set) var lag_us: Int64 = 0

  /// - Parameters:
  ///   - decoding: when it is to be decoded, on the camera's time line.
  ///   - arrival_us: when it came, by the server's clock.
  mutating func came(_ decoding: MediaTime90k, at arrival_us: Int64) {
    let transit_us = arrival_us &- decoding.ticks &* 100 / 9
    defer { lastArrival_us = arrival_us }
    guard let baseline_us else { return restart(transit_us) }
    let elapsed_us = min(max(0, arrival_us &- lastArrival_us), 60_000_000)
    let floor_us = baseline_us &+ elapsed_us * Self.forgetting_ppm / 1_000_000
    guard transit_us >= floor_us &- Self.jump_us else { return restart(transit_us) }
    self.baseline_us = min(floor_us, transit_us)
    lag_us = max(0, transit_us &- floor_us)
  }

  /// The camera's time line has jumped: nothing of before can be compared.
  mutating func jumped() {
    baseline_us = nil
    lag_us = 0
  }

  private mutating func restart(_ transit_us: Int64) {
    baseline_us = transit_us
    lag_us = 0
  }
}
