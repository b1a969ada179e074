import Doctrine
import Foundation
import Registry
import Retention
import Seams
import TestSupport
import Testing

@testable import Keeper

/// What stops the sweeper stays, over restarts, until a person has looked.
@Suite(.serialized)
struct SweeperStopTests {
  private static let start = UTCTime(microseconds: 1_800_000_000_000_000)
  private static let calendar = LegalCalendar(initialOffset_s: 3600, transitions: [])

  // P6, RET-2, MET-3: a server that starts with a clock years back dates a recording then; its term does not end sooner for it.
  @Test func aRecordingDatedBeforeTheLastPassHasItsTermFromThatPass() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: Self.calendar)
    defer { world.end() }
    let (service, agent) = try await world.furnish()
    _ = try await world.keeper.sweep()
    let years: Int64 = 5 * 365 * 86_400
    world.wall.set(Self.start.adding(seconds: -years).microseconds)
    let keeper = try await world.restarted()
    let early = UTCTime(microseconds: world.wall.now)
    let part = try await RecordedPart.write(world, service: service, camera: CameraID("C"), agent: agent, at: early)
    let events = part.events.enumerated().map { NumberedEvent(number: UInt64($0.offset + 1), event: $0.element) }
    _ = try await keeper.answer(.events(boot: "b", oldest: 1, events))
    #expect(await keeper.sweeper.stopped != nil)
    // The clock is right again, and a person says so.
    world.wall.set(Self.start.adding(seconds: 60).microseconds)
    try await keeper.confirmClock(by: "test", [:])
    #expect(try await keeper.sweep().erased == 0)
    #expect(
      try await world.register.part(part.grant.part)?.termDay
        == Term(
          recordedOn: Self.calendar.day(of: Self.start), under: try #require(Regime.named("pn-gn"))
        ).endDay)
    world.pass(to: Self.start.adding(seconds: 40 * 86_400))
    try await keeper.confirmClock(by: "test", [:])
    #expect(try await keeper.sweep().erased == 1)
  }

  // P6, RET-6: a register that was rebuilt in part has recordings without their holds.
  @Test func aRebuildThatWasCutShortKeepsTheSweeperOffUntilItIsWhole() async throws {
    let world = try await KeeperWorld.make(at: Self.start, calendar: Self.calendar)
    defer { world.end() }
    _ = try await world.keeper.reindex(by: "test", [:])
    // Nobody carried it out: the process was killed.
    let keeper = try await world.restarted()
    #expect(try await keeper.sweep().erased == 0)
    #expect(await keeper.sweeper.stopped == Keeper.rebuildingReason)
    await #expect(throws: Problem.self) { try await keeper.confirmClock(by: "test", [:]) }
    _ = try await keeper.reindex(by: "test", [:])
    let rebuilding = Task { await keeper.keepRebuilding() }
    for _ in 0..<100 where await keeper.rebuilding?.outcome == nil { try await Task.sleep(for: .milliseconds(50)) }
    rebuilding.cancel()
    #expect(await keeper.rebuilding?.outcome?.contains("nothing is left") == true)
    try await keeper.confirmClock(by: "test", [:])
    #expect(await keeper.sweeper.stopped == nil)
  }
}
