import Testing

@testable import Doctrine

struct TermTests {
  private func regime(_ name: String) throws -> Regime { try #require(Regime.named(name)) }

  // RET-3: the same day N months later, or the last day of that month.
  @Test(arguments: [
    ("2026-08-31", "bwc-six-months", "2027-02-28"), ("2027-08-31", "bwc-six-months", "2028-02-29"),
    ("2026-01-31", "pn-gn", "2026-02-28"), ("2026-03-31", "pm", "2026-04-30"), ("2026-12-15", "pn-gn", "2027-01-15"),
    ("2026-11-30", "ap", "2027-02-28"), ("2026-02-28", "sp", "2026-08-28"),
    ("2028-02-29", "bwc-six-months", "2028-08-29"),
  ])
  func endsOnTheCalendarDay(_ day: String, _ name: String, _ end: String) throws {
    let recorded = try #require(LocalDate(day))
    #expect(Term(recordedOn: recorded, under: try regime(name)).endDay.description == end)
  }

  @Test func isDueFromItsEndDayAndNotBefore() throws {
    let term = Term(recordedOn: LocalDate(year: 2026, month: 5, day: 10), under: try regime("bwc-six-months"))
    #expect(!term.isDue(on: LocalDate(year: 2026, month: 11, day: 9)))
    #expect(term.isDue(on: LocalDate(year: 2026, month: 11, day: 10)))
  }

  @Test func daysRoundTripOverFourCenturies() {
    for number in stride(from: -80_000, through: 80_000, by: 7) {
      #expect(LocalDate(daysSince1970: number).daysSince1970 == number)
    }
    #expect(LocalDate(daysSince1970: 0).description == "1970-01-01")
    #expect(LocalDate("2026-02-29") == nil)
  }
}

struct LegalCalendarTests {
  /// France in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
  private let france = LegalCalendar(
    initialOffset_s: 3600,
    transitions: [.init(from_s: 1_774_746_000, offset_s: 7200), .init(from_s: 1_792_890_000, offset_s: 3600)])

  // MET-4: both changes of legal time.
  @Test(arguments: [
    (1_774_745_999, "2026-03-29", 3600), (1_774_746_000, "2026-03-29", 7200),
    (1_792_889_999, "2026-10-25", 7200), (1_792_890_000, "2026-10-25", 3600),
    (1_782_864_000 - 1, "2026-07-01", 7200), (1_782_856_800 - 1, "2026-06-30", 7200),
    (1_782_856_800, "2026-07-01", 7200),
  ])
  func knowsTheLocalDay(_ seconds: Int64, _ day: String, _ offset: Int64) {
    let time = UTCTime(microseconds: seconds * 1_000_000)
    #expect(france.offset(at: time) == offset)
    #expect(france.day(of: time).description == day)
  }

  @Test func aDayBeginsAtLocalMidnight() {
    for day in ["2026-03-28", "2026-03-29", "2026-03-30", "2026-10-25", "2026-10-26", "2026-12-31"] {
      guard let date = LocalDate(day) else { continue }
      let start = france.start(of: date)
      #expect(france.day(of: start) == date)
      #expect(france.day(of: UTCTime(microseconds: start.microseconds - 1)) == date.adding(days: -1))
    }
  }

  @Test func theDayOfTheChangeHasTwentyFiveHours() {
    let long =
      france.start(of: LocalDate(year: 2026, month: 10, day: 26)).seconds
      - france.start(of: LocalDate(year: 2026, month: 10, day: 25)).seconds
    let short =
      france.start(of: LocalDate(year: 2026, month: 3, day: 30)).seconds
      - france.start(of: LocalDate(year: 2026, month: 3, day: 29)).seconds
    #expect(long == 25 * 3600 && short == 23 * 3600)
  }
}

struct IncidentMachineTests {
  private let incident = IncidentID("i1")
  private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(microseconds: seconds * 1_000_000) }

  /// A machine whose incident is open since second 100, under activation "a".
  private func opened() -> IncidentMachine {
    var machine = IncidentMachine()
    let decision = machine.streamArrived(activation: "a", at: at(100))
    #expect(decision == .open)
    machine.incidentOpened(incident, activation: "a")
    return machine
  }

  @Test(arguments: [(Int64(20_000), Int64(15), ClosingCause.endedByWearer), (5_000_000, 120, .linkLost)])
  func aStopClosesSoonAndALostLinkLater(_ age_us: Int64, _ delay_s: Int64, _ cause: ClosingCause) {
    var machine = opened()
    machine.streamEnded(lastPacketAge_us: age_us, at: at(200))
    let early = machine.timePassed(at: at(200 + delay_s - 1))
    #expect(early == nil)
    let closed = machine.timePassed(at: at(200 + delay_s))
    #expect(closed?.0 == incident && closed?.1 == cause)
  }

  @Test func aReconnectionContinuesTheIncident() {
    var machine = opened()
    machine.streamEnded(lastPacketAge_us: 5_000_000, at: at(200))
    let decision = machine.streamArrived(activation: "a", at: at(250))
    #expect(decision == .rejoin(incident))
    let closed = machine.timePassed(at: at(1000))
    #expect(closed == nil)
  }

  @Test func aCloseStaysClosed() {
    var machine = opened()
    let closed = machine.closeRequested(incident, at: at(200))
    #expect(closed)
    // It goes on calling: each call pushes the quiet time back.
    for second in Int64(201)...239 {
      let decision = machine.streamArrived(activation: "a", at: at(second))
      #expect(decision == .refuseClosed)
    }
    let other = machine.streamArrived(activation: "b", at: at(240))
    #expect(other == .open)
  }

  @Test func aQuietTimeOpensAgain() {
    var machine = opened()
    _ = machine.closeRequested(incident, at: at(200))
    let decision = machine.streamArrived(activation: nil, at: at(210))
    #expect(decision == .open)
  }

  @Test func aTimeoutDoesNotHoldTheNextActivationBack() {
    var machine = opened()
    machine.streamEnded(lastPacketAge_us: 0, at: at(200))
    _ = machine.timePassed(at: at(215))
    let decision = machine.streamArrived(activation: "a", at: at(216))
    #expect(decision == .open)
  }

  @Test func aCloseOfAnotherIncidentChangesNothing() {
    var machine = opened()
    let closed = machine.closeRequested(IncidentID("other"), at: at(200))
    let kept = machine.incident
    #expect(!closed && kept == incident)
  }
}

struct RecordingMachineTests {
  private func at(_ seconds: Int64) -> UTCTime { UTCTime(microseconds: seconds * 1_000_000) }

  @Test func theFirstConnectionHasNoGapAndEachLaterOneHas() {
    var machine = RecordingMachine(openedAt: at(10))
    let first = machine.connected(at: at(10))
    #expect(first == .begin(epoch: 1, after: nil))
    let received = machine.packetArrived(at: at(20))
    machine.disconnected(.linkLost)
    let second = machine.connected(at: at(50))
    #expect(received && second == .begin(epoch: 2, after: .init(from: at(20), to: at(50), cause: .linkLost)))
  }

  @Test func nothingIsReceivedWithoutAConnectionNorAfterTheClose() {
    var machine = RecordingMachine(openedAt: at(10))
    let before = machine.packetArrived(at: at(11))
    _ = machine.connected(at: at(12))
    machine.disconnected(.stoppedBySender)
    let between = machine.packetArrived(at: at(13))
    let closed = machine.closed(at: at(13))
    let again = machine.closed(at: at(13))
    let after = machine.connected(at: at(14))
    #expect(!before && !between && closed == .close(after: nil) && again == .none && after == .refuse)
    let part = machine.nextPart()
    let epoch = machine.epoch
    #expect(part == nil && epoch == 1)
  }

  @Test func aRestartIsAGapOfTheServersOwn() {
    var machine = RecordingMachine(resumingPart: 3, lastEpoch: 7, lastPacket: at(100))
    let joined = machine.connected(at: at(130))
    #expect(joined == .begin(epoch: 8, after: .init(from: at(100), to: at(130), cause: .serverRestart)))
    let part = machine.nextPart()
    #expect(part == 4)
  }

  // INT-6: nobody came back after it, and it is missing all the same.
  @Test(arguments: [GapCause.linkLost, .tooFast, .notDeliverable, .silent])
  func whatIsMissingUpToTheCloseIsAGap(_ cause: GapCause) {
    var machine = RecordingMachine(openedAt: at(10))
    _ = machine.connected(at: at(10))
    _ = machine.packetArrived(at: at(20))
    machine.disconnected(cause)
    let closed = machine.closed(at: at(140))
    #expect(closed == .close(after: .init(from: at(20), to: at(140), cause: cause)))
  }

  // INT-6: what was read late had come before the buffer was full, and what came then found no room.
  @Test func aGapBeginsWhenTheBufferWasFullWheneverTheRestWasRead() {
    func gap(since: Int64?) -> RecordingMachine.JoinAction {
      var machine = RecordingMachine(openedAt: at(10))
      _ = machine.connected(at: at(10))
      _ = machine.packetArrived(at: at(60))
      machine.disconnected(.notDeliverable, since: since.map(at))
      return machine.connected(at: at(65))
    }
    #expect(gap(since: 25) == .begin(epoch: 2, after: .init(from: at(25), to: at(65), cause: .notDeliverable)))
    for later in [nil, 70] as [Int64?] {
      #expect(gap(since: later) == .begin(epoch: 2, after: .init(from: at(60), to: at(65), cause: .notDeliverable)))
    }
  }

  @Test func aStopOfTheServerIsMissingUpToTheCloseToo() {
    var machine = RecordingMachine(resumingPart: 1, lastEpoch: 7, lastPacket: at(100))
    let closed = machine.closed(at: at(220))
    #expect(closed == .close(after: .init(from: at(100), to: at(220), cause: .serverRestart)))
  }

  @Test func aCameraThatStoppedOfItsOwnAccordMissesNothing() {
    var machine = RecordingMachine(openedAt: at(10))
    _ = machine.connected(at: at(10))
    _ = machine.packetArrived(at: at(20))
    machine.disconnected(.stoppedBySender)
    let closed = machine.closed(at: at(35))
    #expect(closed == .close(after: nil))
  }

  @Test func aClockThatWentBackMakesNoGapThatEndsBeforeItBegins() {
    var machine = RecordingMachine(openedAt: at(100))
    _ = machine.connected(at: at(100))
    _ = machine.packetArrived(at: at(200))
    machine.disconnected(.linkLost)
    let joined = machine.connected(at: at(150))
    #expect(joined == .begin(epoch: 2, after: .init(from: at(200), to: at(200), cause: .linkLost)))
  }
}

// LIVE-1.
struct LiveMachineTests {
  private func threat(_ id: String) -> ThreatEntry {
    ThreatEntry(
      id: ThreatID(id), incident: IncidentID("i"), origin: .wearer, author: "w", ground: .agents, reason: nil,
      openedAt: UTCTime(microseconds: 1))
  }

  @Test func aThreatOpensAndItsEndEnds() {
    var machine = LiveMachine()
    let dark = machine.authorization
    let begun = machine.threatDeclared(threat("a"))
    let second = machine.threatDeclared(threat("b"))
    let open = machine.authorization
    let other = machine.threatEnded(ThreatID("b"))
    let ended = machine.threatEnded(ThreatID("a"))
    let after = machine.authorization
    #expect(dark == nil && begun == .begin && second == .none && open?.threat == ThreatID("a"))
    #expect(other == .none && ended == .end && after == nil)
  }

  @Test func whatIsClosedIsNeverLiveAgain() {
    var machine = LiveMachine(threat: threat("a"))
    let ended = machine.recordingClosed()
    let twice = machine.recordingClosed()
    let declared = machine.threatDeclared(threat("b"))
    let authorization = machine.authorization
    #expect(ended == .end && twice == .none && declared == .none && authorization == nil)
    let resumed = LiveMachine(threat: threat("a"), isClosing: true)
    let closing = resumed.authorization
    #expect(closing == nil)
  }
}
