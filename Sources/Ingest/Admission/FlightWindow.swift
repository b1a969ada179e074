import Doctrine
import SRT

/// How many packets a camera may have under way in complete delivery. Pure.
///
/// A sender of libsrt whose window is full sends nothing new, and repeats only what it is asked for: where everything under
/// way was lost the receiver knows of nothing that it could ask for, and neither end ever says a word again. So the window
/// holds what the camera sends in the time after which a silent link is over; what comes after a shorter outage then shows
/// the hole. It is no wider, as a link that is too small has all of it repeated again and again.
struct FlightWindow: Sendable {
  /// A retransmission over a long and lossy way takes the lower one; the upper one is below ``ShardCore/reach_packets``.
  static let packets = 512...1792
  /// Of a camera that was not measured since the start: four seconds of 2 Mbit/s. Of half as much as it sends a link brings
  /// with it at least what it brings into libsrt's defaults, also where the sender has no bound (docs/design/links.md).
  static let unmeasured = 768

  /// Packets a second, of each camera.
  private var rates: [CameraID: Double] = [:]

  /// Takes what a camera sent in some seconds. The greatest rate counts, and is forgotten slowly.
  mutating func measured(_ camera: CameraID, packets: Int64, in interval_us: Int64) {
    guard packets > 0, interval_us >= LinkMeter.interval_us / 2 else { return }
    rates[camera] = max(Double(packets) * 1e6 / Double(interval_us), (rates[camera] ?? 0) * 0.95)
  }

  /// The window of a camera's next connection.
  func packets(of camera: CameraID) -> Int {
    guard let rate = rates[camera] else { return Self.unmeasured }
    let outage_s = Double(SRTListener.peerIdle_ms) / 1000
    return min(max(Int(rate * outage_s), Self.packets.lowerBound), Self.packets.upperBound)
  }
}
