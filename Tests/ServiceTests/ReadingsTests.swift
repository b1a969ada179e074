import Doctrine
import Testing

@testable import CommandRoom

/// A view that is being sent ends when its right does, and is told of however it ends.
struct ReadingsTests {
  @Test func aCutReachesTheReadingAndNoOther() {
    let readings = Readings()
    let first = readings.begin(ViewingID("a"))
    let second = readings.begin(ViewingID("b"))
    #expect(readings.cut(ViewingID("a")) && !readings.cut(ViewingID("c")))
    #expect(first.isCut && !second.isCut)
    readings.cutAll()
    #expect(second.isCut)
  }

  @Test func anAnswerThatNeverBeganEndsAsWell() async {
    let readings = Readings()
    do {
      let reading = readings.begin(ViewingID("a"))
      _ = readings.begin(ViewingID("live"), live: RecordingID("r"))
      #expect(!reading.isCut)
    }
    var ends = readings.ended.makeAsyncIterator()
    let first = await ends.next()
    let second = await ends.next()
    #expect(Set([first?.viewing, second?.viewing]) == [ViewingID("a"), ViewingID("live")])
    #expect([first, second].contains { $0?.live == RecordingID("r") })
    // Nothing of an ended one is left to be cut.
    #expect(!readings.cut(ViewingID("a")))
  }

  // LIVE-3: a page that is gone gives its place back.
  @Test func aWallPageLeavesWithItsLastReference() {
    let hub = WallHub()
    for _ in 0..<(2 * WallHub.maximumPages) { #expect(hub.follow() != nil) }
  }
}
