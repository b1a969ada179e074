import Foundation
import FragmentedMP4
import Testing

@testable import Relay

private func fixture(_ name: String = "h264-bframes-aac.ts") throws -> [UInt8] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  return [UInt8](try Data(contentsOf: folder.appendingPathComponent("Fixtures/\(name)")))
}

struct LiveChannelTests {
  private func gather(_ items: AsyncStream<RelayItem>) async -> [RelayItem] {
    var all: [RelayItem] = []
    for await item in items { all.append(item) }
    return all
  }

  @Test func aLateViewerStartsAtOnceFromTheLastKeyPicture() async throws {
    let channel = LiveChannel(keepsSound: false)
    channel.push(try fixture())
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
    for _ in 0..<20 { channel.push(try fixture()) }
    #expect(channel.skippedFragments > 0)
    channel.end()
    #expect(await gather(slow.items).count <= LiveChannel.maximumQueued)
  }

  // The last word on the picture is not lost with the pictures that found no room.
  @Test func aViewerWithAFullLineIsToldOfThePictureWithTheNext() async throws {
    let channel = LiveChannel(keepsSound: false)
    let slow = try #require(channel.subscribe())
    var reading = slow.items.makeAsyncIterator()
    let clip = try fixture()
    var at_us: Int64 = 0
    // The line is full when a picture is lost, and when there are whole ones again.
    for _ in 0..<10 { channel.push(clip) }
    for start in stride(from: 0, to: clip.count, by: 1316) where start != 1316 * 12 {
      at_us += 1
      channel.push(Array(clip[start..<min(start + 1316, clip.count)]), arrival_us: at_us)
    }
    var told: [LiveState.Picture] = []
    for _ in 0..<LiveChannel.maximumQueued {
      if case .state(let state)? = await reading.next() { told.append(state.picture) }
    }
    channel.push(clip, arrival_us: at_us + 1)
    channel.end()
    while let item = await reading.next() { if case .state(let state) = item { told.append(state.picture) } }
    #expect(told.last == .whole)
  }

  @Test func aViewerIsToldThatAPictureWasLostAndWhenThereAreSomeAgain() async throws {
    let channel = LiveChannel(keepsSound: false)
    let viewer = try #require(channel.subscribe())
    let clip = try fixture()
    // Messages of seven packets; one of them does not come.
    for start in stride(from: 0, to: clip.count, by: 1316) where start != 1316 * 12 {
      channel.push(Array(clip[start..<min(start + 1316, clip.count)]), arrival_us: Int64(start))
    }
    channel.end()
    var told: [LiveState.Picture] = []
    var shownWhileWaiting = 0
    for item in await gather(viewer.items) {
      if case .state(let state) = item { told.append(state.picture) }
      if case .fragment = item, told.last == .lost { shownWhileWaiting += 1 }
    }
    #expect(told == [.lost, .whole])
    // The word comes right behind the picture that ends the wait.
    #expect(shownWhileWaiting <= 1)
  }

  @Test func theEndIsTheEnd() async throws {
    let channel = LiveChannel(keepsSound: false)
    channel.push(try fixture())
    channel.end()
    #expect(channel.subscribe() == nil)
    channel.push(try fixture())
    #expect(channel.viewerCount == 0)
  }

  // A viewer whose line was full when the picture changed its size is told before it is sent anything of it.
  @Test func aViewerWithAFullLineStillGetsTheNewInitialization() async throws {
    let channel = LiveChannel(keepsSound: false)
    let slow = try #require(channel.subscribe())
    var reading = slow.items.makeAsyncIterator()
    for _ in 0..<10 { channel.push(try fixture()) }
    channel.push(try fixture("h264-interlaced.ts"))
    var sizes: [String] = []
    for _ in 0..<LiveChannel.maximumQueued {
      if case .initialization(_, let type)? = await reading.next() { sizes.append(type) }
    }
    #expect(sizes.count == 1)
    channel.push(try fixture("h264-interlaced.ts"))
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
  private func starts(_ output: [MuxerOutput]) -> [Bool] {
    output.compactMap { if case .fragment(_, let starts) = $0 { starts } else { nil } }
  }

  // What a lost picture is missing in shows as smears: nothing of it is shown, and the tile says why.
  @Test func behindALossPicturesWaitForTheNextKeyPicture() throws {
    let clip = try fixture()
    let packets = stride(from: 0, to: clip.count, by: 188).map { Array(clip[$0..<min($0 + 188, clip.count)]) }
    let picture: (Int) -> Bool = { packets[$0].count == 188 && packets[$0][1] & 0x1F == 1 && packets[$0][2] == 0 }
    let lost = try #require(packets.indices.first { $0 > packets.count / 4 && picture($0) })
    var pipeline = LivePipeline(keepsSound: false)
    var before: [MuxerOutput] = []
    for packet in packets[..<lost] { before += pipeline.push(packet) }
    #expect(pipeline.state == LiveState())
    var after: [MuxerOutput] = []
    var told: [LiveState.Picture] = []
    for packet in packets[(lost + 1)...] {
      after += pipeline.push(packet)
      if told.last != pipeline.state.picture { told.append(pipeline.state.picture) }
    }
    #expect(told.suffix(2) == [.lost, .whole])
    #expect(starts(after).first == true)
    var whole = LivePipeline(keepsSound: false)
    let all = starts(whole.push(clip))
    // The rest of one group of 25 is left out, and no more.
    let shown = starts(before).count + starts(after).count
    #expect(shown < all.count && shown > all.count - 25)
  }

  // Sixteen packets of the picture's stream: its counter goes on as if nothing were missing.
  @Test func aHoleThatNoCounterTellsIsToldByItsMark() throws {
    let clip = try fixture()
    let packets = stride(from: 0, to: clip.count, by: 188).map { Array(clip[$0..<min($0 + 188, clip.count)]) }
    let pictures = packets.indices.filter {
      packets[$0].count == 188 && packets[$0][1] & 0x1F == 1 && packets[$0][2] == 0
    }
    let lost = Set(pictures[(pictures.count / 4)..<(pictures.count / 4 + 16)])
    var silent = LivePipeline(keepsSound: false)
    var marked = LivePipeline(keepsSound: false)
    var wasLost = false
    for (number, packet) in packets.enumerated() {
      if number == lost.min() {
        _ = marked.push([0x47, 0x9F, 0xFF, 0x10] + [UInt8](repeating: 0xFF, count: 184))
        wasLost = marked.state.picture == .lost
      }
      guard !lost.contains(number) else { continue }
      _ = silent.push(packet)
      _ = marked.push(packet)
    }
    #expect(silent.damage["continuity"] == nil && wasLost && marked.damage["hole"] == 1)
    #expect(marked.state.picture == .whole)
  }

  // What comes late, and not what has a zero of its own.
  @Test func theLagIsWhatAPictureNeedsBeyondTheBest() throws {
    let clip = try fixture()
    var pipeline = LivePipeline(keepsSound: false)
    var arrival_us: Int64 = 1_700_000_000_000_000
    var lags: [Int64] = []
    // Two seconds in a hundred pieces; from the middle on, 700 ms late.
    let size = clip.count / 100
    for piece in 0..<100 {
      arrival_us += 20_000
      _ = pipeline.push(
        Array(clip[(piece * size)..<((piece + 1) * size)]), arrival_us: arrival_us + (piece >= 50 ? 700_000 : 0))
      lags.append(pipeline.state.lag_ms)
    }
    #expect(lags[..<50].allSatisfy { $0 <= 400 })
    #expect((600...1200).contains(lags[99]))
  }

  // MET-3: what the camera says of its time is reported as an offset; its place goes no further (LIVE-8).
  @Test func theOffsetOfTheCamerasClockIsKnown() throws {
    var pipeline = LivePipeline(keepsSound: false)
    #expect(pipeline.clockOffset_ms == nil)
    let clip = try fixture("klv.ts")
    #expect(!pipeline.push(clip, arrival_us: 1_224_807_209_913_000 + 2_500_000).isEmpty)
    // Behind the arrival, as the register has it: negative.
    #expect(pipeline.clockOffset_ms == -2500)
    #expect(pipeline.damage == [:])
  }
}
