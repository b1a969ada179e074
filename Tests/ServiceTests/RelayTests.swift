import Foundation
import Testing

@testable import Relay

struct LiveChannelTests {
  private func clip() throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return [UInt8](try Data(contentsOf: folder.appendingPathComponent("Fixtures/h264-bframes-aac.ts")))
  }

  private func gather(_ items: AsyncStream<RelayItem>) async -> [RelayItem] {
    var all: [RelayItem] = []
    for await item in items { all.append(item) }
    return all
  }

  @Test func aLateViewerStartsAtOnceFromTheLastKeyPicture() async throws {
    let channel = LiveChannel(keepsSound: false)
    channel.push(try clip())
    let viewer = try #require(channel.subscribe())
    channel.end()
    let items = await gather(viewer.items)
    guard case .initialization(_, let type)? = items.first else {
      Issue.record("no initialization first")
      return
    }
    #expect(type.contains("avc1"))
    // One group of 25 pictures, not the 50 that were sent.
    #expect(items.count == 1 + 25)
  }

  // A slow viewer loses pictures; the memory of its line does not grow, and nobody else waits.
  @Test func aSlowViewerIsBoundedAndStartsAgainAtAKeyPicture() async throws {
    let channel = LiveChannel(keepsSound: false)
    let slow = try #require(channel.subscribe())
    for _ in 0..<20 { channel.push(try clip()) }
    #expect(channel.skippedFragments > 0)
    channel.end()
    #expect(await gather(slow.items).count <= LiveChannel.maximumQueued)
  }

  @Test func theEndIsTheEnd() async throws {
    let channel = LiveChannel(keepsSound: false)
    channel.push(try clip())
    channel.end()
    #expect(channel.subscribe() == nil)
    channel.push(try clip())
    #expect(channel.viewerCount == 0)
  }
}
