internal import Doctrine
internal import Foundation
internal import Logging
internal import Relay
internal import Seams

/// The live channels that somebody watches: one demultiplexer a camera, however many viewers.
///
/// A channel is fed from the ingest while it has viewers, and ends at once for all when the wall no longer
/// shows an open threat for its recording.
// LIVE-1, LIVE-6, P2, P3.
actor LiveHub {
  private let client: SeamClient<IngestCall, IngestReply, IngestDirective>
  private let logger: Logger
  private var channels: [RecordingID: LiveChannel] = [:]
  /// The wall that was the last one when a channel's newest viewing was granted: no wall up to it speaks of that.
  private var grantedAfter: [RecordingID: UInt64] = [:]
  /// The stream whose walls are told now; nil without a keeper. All channels are of it.
  private var stream: String?
  /// Viewings cut before their viewer was there; a handful, for a moment.
  private var cutEarly: Set<ViewingID> = []
  private var viewers: [ViewingID: (channel: LiveChannel, id: UInt64)] = [:]
  private var feeds: [RecordingID: Task<Void, Never>] = [:]

  init(client: SeamClient<IngestCall, IngestReply, IngestDirective>, logger: Logger) {
    self.client = client
    self.logger = logger
  }

  /// The channel of a recording for which a viewing has been granted; nil where that has ended with its stream of notices, as
  /// the keeper's end of the viewing would no longer be heard.
  ///
  /// - Parameter wall: the last wall that was told before it was.
  func channel(_ recording: RecordingID, keepsSound: Bool, grantedAfter wall: WallMark) -> LiveChannel? {
    guard wall.stream == stream else { return nil }
    if let known = channels[recording], known.keepsSound != keepsSound {
      // The regime's switch was turned: nobody goes on with the old sound (LIVE-8).
      end(recording, because: "sound-switched")
    }
    grantedAfter[recording] = wall.number
    if let known = channels[recording] { return known }
    let channel = LiveChannel(keepsSound: keepsSound)
    channels[recording] = channel
    feeds[recording] = Task { await feed(recording, channel) }
    logger.info("live opened", metadata: ["recording": "\(recording.rawValue)", "sound": "\(keepsSound)"])
    return channel
  }

  /// A viewer of a granted viewing; nil where the channel has ended meanwhile.
  func subscribe(_ viewing: ViewingID, to channel: LiveChannel) -> (id: UInt64, items: AsyncStream<RelayItem>)? {
    guard cutEarly.remove(viewing) == nil, let viewer = channel.subscribe() else { return nil }
    viewers[viewing] = (channel, viewer.id)
    return viewer
  }

  /// The keeper ended a viewing: its viewer sees nothing more.
  func cut(_ viewing: ViewingID) {
    if let viewer = viewers.removeValue(forKey: viewing) {
      viewer.channel.unsubscribe(viewer.id)
    } else {
      if cutEarly.count > 256 { cutEarly.removeAll() }
      cutEarly.insert(viewing)
    }
  }

  /// Whether the keeper ended a viewing before it had begun here.
  func wasCut(_ viewing: ViewingID) -> Bool { cutEarly.remove(viewing) != nil }

  /// A viewer left; the last one stops the feed.
  func left(_ viewing: ViewingID, _ recording: RecordingID) {
    if let viewer = viewers.removeValue(forKey: viewing) { viewer.channel.unsubscribe(viewer.id) }
    guard let channel = channels[recording], channel.viewerCount == 0 else { return }
    end(recording, because: "no-viewer")
  }

  /// Ends what is no longer live.
  ///
  /// - Parameter wall: the wall that says so; nil where there is none any more. One that is older than a grant does not end it:
  ///   walls are told once in a while, and an operator declares and watches at once. The first of a stream ends all that was
  ///   granted before.
  func keepOnly(_ live: Set<RecordingID>, of wall: WallMark?) {
    for recording in channels.keys {
      if let wall, wall.stream == stream {
        guard !live.contains(recording), wall.number > grantedAfter[recording] ?? 0 else { continue }
      }
      end(recording, because: "no-longer-live")
    }
    stream = wall?.stream
  }

  /// Says what is damaged, at most once a second and camera.
  private static func report(_ recording: RecordingID, _ channel: LiveChannel, _ age: Duration, _ logger: Logger) {
    let now_ms = age.components.seconds * 1000 + age.components.attoseconds / 1_000_000_000_000_000
    guard let damage = channel.damageSummary(now_ms: now_ms) else { return }
    logger.notice("live damaged", metadata: ["recording": "\(recording.rawValue)", "damage": "\(damage)"])
  }

  private func end(_ recording: RecordingID, because reason: String) {
    if let channel = channels.removeValue(forKey: recording) {
      channel.end()
      logger.info(
        "live closed",
        metadata: [
          "recording": "\(recording.rawValue)", "reason": "\(reason)",
          "damage": "\(channel.damage)", "skipped": "\(channel.skippedFragments)",
          // MET-3: reported, never used to re-time anything; ahead is positive.
          "camera_clock_offset": "\(channel.clockOffset_ms.map { "\($0) ms" } ?? "unknown")",
        ])
    }
    grantedAfter[recording] = nil
    feeds.removeValue(forKey: recording)?.cancel()
  }

  /// Reads from the ingest until the channel is gone; a camera that reconnects, or an ingest that restarts,
  /// goes on in the same channel.
  private func feed(_ recording: RecordingID, _ channel: LiveChannel) async {
    let start = ContinuousClock.now
    while !Task.isCancelled {
      do {
        try await client.stream("/live/\(recording.rawValue)") { [logger] bytes in
          channel.push(bytes, arrival_us: Int64(Date().timeIntervalSince1970 * 1_000_000))
          Self.report(recording, channel, start.duration(to: .now), logger)
        }
      } catch {
        logger.debug("live feed away", metadata: ["error": "\(error)"])
      }
      try? await Task.sleep(for: .milliseconds(100))
    }
  }
}
