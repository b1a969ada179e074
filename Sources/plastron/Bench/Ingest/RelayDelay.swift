import Foundation

/// From the sending of a picture to its fragment at a viewer, on one machine and one clock.
///
/// Both ends of a picture: from the hand-over of the message with its last packet to the transport, and from that with its
/// first. Pictures are taken by when they were sent: all of a time, whenever they came, and those that never came.
struct RelayDelay {
  /// Milliseconds; nil where a picture that never came has this place in the order.
  struct Quantiles: Encodable {
    var median_ms: Double?
    var p99_ms: Double?
    var worst_ms: Double?

    /// - Parameter delays: what never came is infinite.
    init(_ delays: [Double]) {
      let sorted = delays.sorted()
      func at(_ index: Int) -> Double? {
        guard sorted.indices.contains(index), sorted[index].isFinite else { return nil }
        return sorted[index]
      }
      median_ms = at(sorted.count / 2)
      p99_ms = at(min(sorted.count - 1, sorted.count * 99 / 100))
      worst_ms = at(sorted.count - 1)
    }
  }

  struct Figures: Encodable {
    /// Cameras that were looked at.
    var cameras: Int
    /// Pictures that they sent in the time.
    var pictures: Int
    /// Of them, those that no viewer got within three seconds after the last window.
    var never: Int
    /// Of those that came, later than two seconds.
    var over2s: Int
    /// Fragments that are no picture that was sent, or not in its place.
    var unknown: Int
    var fromLast: Quantiles
    var fromFirst: Quantiles
    /// From the last packet again, of the pictures whose end only the start of the next one tells.
    var toldByNext: Int
    var toldByNext_fromLast: Quantiles
  }

  private struct Seen {
    var picture: SentPictures.Picture
    var first_us: Int64
    var last_us: Int64
    var came_us: Int64?
  }

  private var seen: [Seen] = []
  private var unknown_us: [Int64] = []
  private var cameras = 0

  /// - Parameters:
  ///   - log: when each message of each camera was handed over, microseconds since 1970, as a load wrote it.
  ///   - seconds: of the stream that the load made of the clip.
  init(_ viewers: [LiveViewer], log: String, clip: String, seconds: Double) throws {
    let times = try JSONDecoder().decode([String: [Int64]].self, from: Data(contentsOf: URL(fileURLWithPath: log)))
    let stream = try RenderedStream(clip: [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip))), seconds: seconds)
    let pictures = SentPictures(in: stream.bytes)
    for viewer in viewers where viewer.notesPictures {
      guard let sent = times[viewer.camera] else {
        throw Complaint(description: "the load did not say when \(viewer.camera) sent")
      }
      cameras += 1
      follow(viewer, sent, pictures)
    }
  }

  private mutating func follow(_ viewer: LiveViewer, _ sent: [Int64], _ pictures: SentPictures) {
    var came: [Int: Int64] = [:]
    var place: Int?
    for arrival in viewer.arrivals {
      let known = (pictures.byTail[arrival.tail] ?? []).filter {
        pictures.list[$0].last < sent.count && sent[pictures.list[$0].last] <= arrival.us
      }
      // The first one of a viewer is the newest that it can be; from there on they come in their order.
      guard let found = place.map({ place in known.first { $0 > place } }) ?? known.last else {
        unknown_us.append(arrival.us)
        continue
      }
      came[found] = arrival.us
      place = found
    }
    let joined = viewer.joined_us ?? 0
    for (index, picture) in pictures.list.enumerated() where picture.last < sent.count {
      // What a viewer starts with is older than his coming.
      guard sent[picture.last] > joined else { continue }
      seen.append(
        Seen(picture: picture, first_us: sent[picture.first], last_us: sent[picture.last], came_us: came[index]))
    }
  }

  /// Of the pictures whose last packet was sent in a time, in microseconds since 1970.
  func figures(sentIn window: ClosedRange<Int64>) -> Figures {
    let seen = seen.filter { window.contains($0.last_us) }
    func delays(_ seen: [Seen], _ start: (Seen) -> Int64) -> [Double] {
      seen.map { one in one.came_us.map { Double($0 - start(one)) / 1000 } ?? .infinity }
    }
    let fromLast = delays(seen, \.last_us)
    let byNext = seen.filter(\.picture.isToldByNext)
    return Figures(
      cameras: cameras, pictures: seen.count, never: fromLast.count { $0.isInfinite },
      over2s: fromLast.count { $0.isFinite && $0 > 2000 }, unknown: unknown_us.count { window.contains($0) },
      fromLast: Quantiles(fromLast), fromFirst: Quantiles(delays(seen, \.first_us)), toldByNext: byNext.count,
      toldByNext_fromLast: Quantiles(delays(byNext, \.last_us)))
  }
}
