/// Decoding times of a stream that has none and puts pictures out of order.
///
/// With `depth` pictures that may stand before their turn, the decoding time of a picture is the presentation
/// time of the picture shown `depth` places before the latest; the depth is learned from the stream. Never goes
/// back but where the clock does.
struct DecodingOrder: Sendable {
  /// Pyramids of B pictures move a picture by four places at most; a longer step back is a clock that went back.
  static let maximumDepth = 4

  private var recent: [Int64] = []
  private var depth = 0
  private var last: Int64?
  private var lastPresentation: Int64?

  mutating func decoding(of presentation: Int64) -> Int64 {
    // A clock that stands still is told as it is.
    if presentation == lastPresentation, let last { return last }
    lastPresentation = presentation
    if let newest = recent.last {
      let later = recent.count { $0 > presentation }
      let distance = presentation &- newest
      if later > Self.maximumDepth || abs(distance) > MediaTime90k.ticksPerSecond * 2 {
        recent = []
        last = nil
      } else {
        depth = max(depth, later)
      }
    }
    recent.insert(presentation, at: recent.firstIndex { $0 > presentation } ?? recent.count)
    if recent.count > Self.maximumDepth * 2 + 1 { recent.removeFirst() }
    let found = recent[max(0, recent.count - 1 - depth)]
    guard depth > 0 else {
      last = found
      return found
    }
    let decoding = max(found, (last ?? found &- 1) &+ 1)
    last = decoding
    return decoding
  }
}
