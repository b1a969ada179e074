import Foundation
import Testing

@testable import Relay

struct LiveChannelTests {
  private func clip(_ name: String = "h264-bframes-aac.ts") throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return [UInt8](try Data(contentsOf: folder.appendingPathComponent("Fixtures/\(name)")))
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

  // A viewer whose line was full when the picture changed its size is told before it is sent anything of it.
  @Test func aViewerWithAFullLineStillGetsTheNewInitialization() async throws {
    let channel = LiveChannel(keepsSound: false)
    let slow = try #require(channel.subscribe())
    var reading = slow.items.makeAsyncIterator()
    for _ in 0..<10 { channel.push(try clip()) }
    channel.push(try clip("h264-interlaced.ts"))
    var sizes: [String] = []
    for _ in 0..<LiveChannel.maximumQueued {
      if case .initialization(_, let type)? = await reading.next() { sizes.append(type) }
    }
    #expect(sizes.count == 1)
    channel.push(try clip("h264-interlaced.ts"))
    guard case .initialization(_, let type)? = await reading.next() else {
      Issue.record("a fragment of the new picture before its initialization")
      return
    }
    #expect(type != sizes.first)
    guard case .fragment? = await reading.next() else {
      Issue.record("no fragment after the initialization")
      return
    }
    channel.end()
  }
}

struct LivePipelineTests {
  // MET-3: what the camera says of its time is reported as an offset; its place goes no further (LIVE-8).
  @Test func theOffsetOfTheCamerasClockIsKnown() {
    var pipeline = LivePipeline(keepsSound: false)
    #expect(pipeline.clock == nil)
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    guard let clip = try? Data(contentsOf: folder.appendingPathComponent("Fixtures/klv.ts")) else {
      Issue.record("no fixture")
      return
    }
    #expect(!pipeline.push([UInt8](clip), arrival_us: 1_224_807_209_913_000 + 2_500_000).isEmpty)
    #expect(pipeline.clock?.offset_us == 2_500_000)
    #expect(pipeline.damage == [:])
  }
}
