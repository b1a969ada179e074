import AsyncHTTPClient
import Doctrine
import Logging
import Relay
import Seams
import Testing

@testable import CommandRoom

/// What the wall says ends what is watched, but not what was granted after it (P2, LIVE-6).
struct LiveHubTests {
  @Test func aWallThatIsOlderThanAGrantDoesNotEndIt() async throws {
    let http = SeamClient<IngestCall, IngestReply, IngestDirective>.makeHTTPClient()
    // No ingest: its feed is asked for again and again, and the channel stands.
    let hub = LiveHub(
      client: SeamClient(client: http, socketPath: "/nonexistent/ingest.sock", peer: "ingest"),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let (declared, other) = (RecordingID("declared"), RecordingID("other"))
    func isWatched(_ name: String, _ channel: LiveChannel) async -> Bool {
      await hub.subscribe(ViewingID(name), to: channel) != nil
    }
    let first = await hub.channel(declared, keepsSound: false, grantedAfter: 7)
    let second = await hub.channel(other, keepsSound: false, grantedAfter: 6)
    // The wall that was on its way when the threat was declared.
    await hub.keepOnly([], of: 7)
    #expect(await isWatched("a", first))
    #expect(await !isWatched("b", second))
    await hub.keepOnly([declared], of: 8)
    #expect(await isWatched("c", first))
    await hub.keepOnly([], of: 9)
    #expect(await !isWatched("d", first))
    // Without a keeper nothing is live, whenever it was granted.
    let third = await hub.channel(declared, keepsSound: false, grantedAfter: 99)
    await hub.keepOnly([], of: nil)
    #expect(await !isWatched("e", third))
    try await http.shutdown()
  }
}
