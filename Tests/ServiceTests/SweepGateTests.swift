import Doctrine
import Retention
import Testing

struct SweepGateTests {
  private func wall(_ hours: Int64) -> UTCTime { UTCTime(microseconds: hours * 3_600_000_000) }
  private func monotonic(_ hours: Int64) -> MonotonicTime { MonotonicTime(microseconds: hours * 3_600_000_000) }

  /// Hours that the wall and the monotonic clock say have passed; nil: the server was restarted.
  @Test(
    arguments: [
      (1, 1, true), (1, 0, true), (2, 0, false), (-2, 0, false), (-1, 0, true), (500, 500, true), (502, 500, false),
      (36, nil, true), (37, nil, false), (-40, nil, false),
    ] as [(Int64, Int64?, Bool)])
  func aJumpStops(_ passed: Int64, _ ran: Int64?, _ goes: Bool) {
    let memory = SweepGate.Memory(wall: wall(1000), monotonic: ran == nil ? nil : monotonic(10))
    let verdict = SweepGate.judge(
      memory, wall: wall(1000 + passed), monotonic: monotonic(10 + (ran ?? 3)), isSynchronised: true)
    #expect((verdict == .go) == goes, "\(verdict)")
  }

  @Test func aClockThatNothingDisciplinesStops() {
    #expect(SweepGate.judge(nil, wall: wall(0), monotonic: monotonic(0), isSynchronised: true) == .go)
    #expect(SweepGate.judge(nil, wall: wall(0), monotonic: monotonic(0), isSynchronised: false) != .go)
  }
}
