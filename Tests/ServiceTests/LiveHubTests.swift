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
    func mark(_ number: UInt64, _ stream: String = "first") -> WallMark { WallMark(stream: stream, number: number) }
    func isWatched(_ name: String, _ channel: LiveChannel?) async -> Bool {
      guard let channel else { return false }
      return await hub.subscribe(ViewingID(name), to: channel) != nil
    }
    // Without a keeper nothing is watched.
    #expect(await hub.channel(declared, keepsSound: false, grantedAfter: mark(1)) == nil)
    await hub.keepOnly([], of: mark(5))
    let first = await hub.channel(declared, keepsSound: false, grantedAfter: mark(7))
    let second = await hub.channel(other, keepsSound: false, grantedAfter: mark(6))
    // The wall that was on its way when the threat was declared.
    await hub.keepOnly([], of: mark(7))
    #expect(await isWatched("a", first))
    #expect(await !isWatched("b", second))
    await hub.keepOnly([declared], of: mark(8))
    #expect(await isWatched("c", first))
    await hub.keepOnly([], of: mark(9))
    #expect(await !isWatched("d", first))
    // The keeper went away, or came back: what was granted before it is over, whenever its answer is read.
    let third = await hub.channel(declared, keepsSound: false, grantedAfter: mark(99))
    #expect(await isWatched("e", third))
    await hub.keepOnly([declared], of: mark(1, "second"))
    #expect(await !isWatched("f", third))
    #expect(await hub.channel(declared, keepsSound: false, grantedAfter: mark(99)) == nil)
    let fourth = await hub.channel(declared, keepsSound: false, grantedAfter: mark(1, "second"))
    await hub.keepOnly([], of: nil)
    #expect(await !isWatched("g", fourth))
    try await http.shutdown()
  }
}
