import Foundation
import Testing

@testable import Doctrine

struct RightsTests {
  private let service = ServiceID("s")
  private let now = UTCTime(microseconds: 1_000_000)
  private let wearer = AgentID("w")

  private func accreditation(_ role: Role, service: String = "s", until: Int64 = 2_000_000) -> Accreditation {
    Accreditation(
      id: AccreditationID("x"), role: role, service: ServiceID(service), act: "act",
      from: UTCTime(microseconds: 0), until: UTCTime(microseconds: until))
  }

  private func actor(_ role: Role, agent: String = "a", service: String = "s", until: Int64 = 2_000_000) -> Actor {
    Actor(
      account: AccountID("a"), agent: AgentID(agent), name: "a",
      accreditations: [accreditation(role, service: service, until: until)])
  }

  private func object(_ phase: RecordingPhase, threat: Bool = false, regime: String = "bwc-six-months") throws
    -> ActObject
  {
    ActObject(
      service: service, regime: try #require(Regime.named(regime)), phase: phase,
      live: LiveAuthorization(recordingIsOpen: phase == .open, openThreat: threat ? ThreatID("t") : nil), wearer: wearer
    )
  }

  private func code(_ decision: Decision) -> String? {
    if case .refused(let refusal) = decision { refusal.code } else { nil }
  }

  /// Every cell, as it is committed. To change the law: `plastron rights --table > Tests/Fixtures/rights.txt`, and
  /// look at the difference.
  @Test func everyCellIsTheOneThatIsCommitted() throws {
    let committed = try String(contentsOf: Fixture.url("rights.txt"), encoding: .utf8)
    let wanted = committed.split(separator: "\n")
    let found = RightsMatrix.table.split(separator: "\n")
    #expect(found.count == wanted.count)
    for (found, wanted) in zip(found, wanted) { #expect(found == wanted) }
  }

  @Test func theGuideIsTheOneThatIsCommitted() throws {
    let committed = try String(contentsOf: Fixture.root("docs/guide/rights.md"), encoding: .utf8)
    #expect(RightsMatrix.guide == committed, "run: plastron rights > docs/guide/rights.md")
  }

  @Test(arguments: Act.allCases, Role.allCases)
  func everyRefusalNamesItsArticleAndSaysWhatToDo(_ act: Act, _ role: Role) throws {
    for regime in Regime.all {
      for phase in RecordingPhase.allCases {
        if case .refused(let refusal) = may(actor(role), act, try object(phase, regime: regime.name), at: now) {
          #expect(!refusal.article.isEmpty && refusal.sentence.hasPrefix("Refusé"))
        }
      }
    }
  }

  // LIVE-1, LIVE-3, LIVE-4.
  @Test func liveIsForTheCommandPostAndTheAttachedWhileAThreatIsOpen() throws {
    let live = try object(.open, threat: true)
    #expect(code(may(actor(.operator), .watchLive, live, at: now)) == nil)
    #expect(code(may(actor(.operator), .watchLive, try object(.open), at: now)) == "no-threat")
    #expect(code(may(actor(.operator), .watchLive, try object(.closed), at: now)) == "recording-closed")
    for role in Role.allCases where role != .operator {
      #expect(code(may(actor(role), .watchLive, live, at: now)) == "missing-right", "\(role)")
    }
    var attached = live
    attached.attached = [AgentID("a")]
    guard case .granted(let basis) = may(actor(.wearer), .watchLive, attached, at: now) else {
      Issue.record("an attached agent is refused")
      return
    }
    #expect(basis.isAttachment)
    #expect(code(may(actor(.wearer, agent: "b"), .watchLive, attached, at: now)) == "missing-right")
    attached.service = ServiceID("other")
    #expect(code(may(actor(.wearer), .watchLive, attached, at: now)) == "other-service")
  }

  // ACC-1, ACC-7.
  @Test func anAccreditationHasAPlaceAndAnEnd() throws {
    let object = try object(.none)
    #expect(code(may(actor(.operator, service: "other"), .seeWall, object, at: now)) == "other-service")
    #expect(code(may(actor(.operator, until: 1_000_000), .seeWall, object, at: now)) == "accreditation-ended")
    #expect(code(may(actor(.operator, until: 1_000_001), .seeWall, object, at: now)) == nil)
  }

  @Test func anAdministratorSeesNoFootageAndNoRegister() throws {
    for act in [Act.consult, .extract, .watchLive, .seeWall, .readRegister, .readJournal, .placeHold, .confirmErasure] {
      for phase in RecordingPhase.allCases {
        var object = try object(phase, threat: true)
        object.reason = .purpose(.judicial)
        object.proposedBy = AgentID("first")
        #expect(code(may(actor(.administrator), act, object, at: now)) != nil)
      }
    }
  }

  // ACC-4: the wearer's own, for the text's reasons; two of them for fire services.
  @Test func aWearerSeesTheirOwnForTheTextsReasons() throws {
    for regime in Regime.all {
      for reason in WearerReason.allCases {
        var object = try object(.closed, regime: regime.name)
        object.reason = .wearer(reason)
        let own = code(may(actor(.wearer, agent: "w"), .consult, object, at: now))
        #expect((own == nil) == regime.wearerReasons.contains(reason))
        #expect(code(may(actor(.wearer, agent: "v"), .consult, object, at: now)) == "not-own-recording")
        #expect(code(may(actor(.wearer, agent: "w"), .extract, object, at: now)) != nil)
      }
    }
    #expect(Regime.named("sp")?.wearerReasons.count == 2)
    var object = try object(.closed)
    object.reason = .purpose(.judicial)
    #expect(code(may(actor(.wearer, agent: "w"), .consult, object, at: now)) == "reason-not-allowed")
  }

  // ACC-3, ACC-5/6, GOV-1.
  @Test func readingNeedsTheEndAReasonAndATerm() throws {
    for act in [Act.consult, .extract] {
      for (phase, wanted) in [
        (RecordingPhase.open, "incident-open"), (.closed, nil), (.held, nil), (.due, "term-over"), (.erased, "erased"),
      ] {
        var object = try object(phase)
        object.reason = .purpose(.judicial)
        #expect(code(may(actor(.reader), act, object, at: now)) == wanted)
      }
      #expect(code(may(actor(.reader), act, try object(.closed), at: now)) == "reason-required")
    }
    var object = try object(.closed)
    object.reason = .purpose(.training)
    #expect(code(may(actor(.head), .extract, object, at: now)) == "not-anonymised")
  }

  // RET-6, RET-9, P6.
  @Test func holdsAndErasures() throws {
    #expect(code(may(actor(.head), .placeHold, try object(.closed), at: now)) == nil)
    #expect(code(may(actor(.head), .placeHold, try object(.due), at: now)) == "term-over")
    #expect(code(may(actor(.head), .proposeErasure, try object(.held), at: now)) == "held")
    var object = try object(.closed)
    #expect(code(may(actor(.head), .confirmErasure, object, at: now)) == "second-person")
    object.proposedBy = AgentID("a")
    #expect(code(may(actor(.head), .confirmErasure, object, at: now)) == "second-person")
    object.proposedBy = AgentID("b")
    #expect(code(may(actor(.head), .confirmErasure, object, at: now)) == nil)
    for phase in RecordingPhase.allCases {
      let sweeper = code(may(Actor(.sweeper), .eraseAtTerm, try self.object(phase), at: now))
      #expect((sweeper == nil) == (phase == .due || phase == .ordered))
      for role in Role.allCases {
        #expect(code(may(actor(role), .eraseAtTerm, try self.object(phase), at: now)) == "missing-right")
      }
    }
  }

  @Test func theRegimeSaysWhoDeclares() throws {
    #expect(code(may(actor(.operator), .declareThreat, try object(.open), at: now)) == nil)
    let national = try object(.open, regime: "pn-gn")
    #expect(code(may(actor(.operator), .declareThreat, national, at: now)) == "declaration-by-wearer-only")
    #expect(code(may(Actor(.device), .declareThreat, national, at: now)) == nil)
  }
}

struct RegimeTests {
  private func regime(_ name: String) throws -> Regime { try #require(Regime.named(name)) }

  private func code(_ name: String, _ change: RegimeChange) throws -> String? {
    let before = try regime(name)
    do throws(Refusal) { _ = try before.changed(by: change) } catch { return error.code }
    return nil
  }

  // RET-1, GOV-5.
  @Test func aChangeStaysWithinTheText() throws {
    let shorter = try regime("bwc-six-months").changed(by: RegimeChange(term_months: 3))
    #expect(shorter.term_months == 3 && shorter.version == 2)
    let back = try shorter.changed(by: RegimeChange(term_months: 6))
    #expect(back.term_months == 6 && back.version == 3)
    for months in [0, -1, 7, 12] {
      #expect(try code("bwc-six-months", RegimeChange(term_months: months)) == "term-above-law")
    }
    #expect(try code("pm", RegimeChange(term_months: 2)) == "term-above-law")
    #expect(try code("pn-gn", RegimeChange(wearerMayExtract: true)) == "wearer-never-extracts")
    #expect(try code("pm", RegimeChange(wearerMayExtract: true)) == nil)
    #expect(try code("pm", RegimeChange(name: "nowhere")) == "unknown-regime")
    let national = try regime("bwc-six-months").changed(by: RegimeChange(name: "pn-gn"))
    #expect(national.name == "pn-gn" && national.version == 2 && !national.liveSound)
    // Never under a text that keeps longer or counts less.
    for (from, to) in [("pm", "bwc-six-months"), ("pn-gn", "ap"), ("ap", "sp"), ("pm", "pn-gn"), ("sp", "ap")] {
      #expect(try code(from, RegimeChange(name: to)) == "weaker-regime", "\(from) to \(to)")
    }
  }

  // A shortening applies at once, a lengthening never backwards.
  @Test func aTermIsShortenedAndNeverLengthened() throws {
    let day = LocalDate(year: 2026, month: 8, day: 31)
    let six = Term(recordedOn: day, under: try regime("bwc-six-months"))
    #expect(six.shortened(recordedOn: day, under: try regime("pn-gn")).endDay.description == "2026-09-30")
    let one = Term(recordedOn: day, under: try regime("pn-gn"))
    #expect(one.shortened(recordedOn: day, under: try regime("bwc-six-months")) == one)
  }
}
