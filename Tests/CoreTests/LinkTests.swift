import Doctrine
import Testing

/// Diagnoses as a table, and what is added up.
struct LinkTests {
  private static let camera = CameraID("C")
  private static let recording = RecordingID("r")

  /// A report of ten seconds of a good link, the n-th in a row.
  private static func report(_ n: Int64 = 0, _ change: (inout LinkHealth) -> Void = { _ in }) -> LinkHealth {
    var health = LinkHealth(
      camera: camera, recording: recording, from: UTCTime(microseconds: n * 10_000_000),
      to: UTCTime(microseconds: (n + 1) * 10_000_000), delivery: .complete)
    health.packets = 1900
    health.bytes = 2_500_000
    health.roundTrip_ms = 40
    health.senderLatency_ms = 120
    health.lag_ms = 100
    health.drift_ppm = 12
    change(&health)
    return health
  }

  private static func timely(_ window_ms: Int, roundTrip_ms: Double?) -> LinkHealth {
    report {
      $0.delivery = .timely(window_ms: window_ms)
      $0.roundTrip_ms = roundTrip_ms
    }
  }

  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var reports: [LinkHealth]
    var clock: CameraClock?
    var codes: [LinkDiagnosis.Code]
    var severity: LinkDiagnosis.Severity?
    /// Stands in the first one's sentence.
    var words: [String] = []
    var testDescription: String { name }
  }

  private static func clock(_ offset_ms: Int64) -> CameraClock {
    CameraClock(offset_ms: offset_ms, toldAt: UTCTime(microseconds: 0))
  }

  private static let cases: [Case] = [
    Case(name: "nothing is known", reports: [], codes: []),
    Case(name: "a good link", reports: [report(0), report(1)], clock: clock(1999), codes: []),
    Case(
      name: "a window below 2.5 round trips", reports: [timely(120, roundTrip_ms: 90)], codes: [.latency],
      severity: .warning,
      words: [
        "latency 120 ms is below 2.5 × the round trip of 90 ms", "inférieure à 2,5 × l'aller-retour de 90 ms",
        "225 ms ou plus",
      ]),
    Case(name: "a window of 2.5 round trips", reports: [timely(120, roundTrip_ms: 48)], codes: []),
    Case(name: "the window counts, not the sender's latency", reports: [timely(500, roundTrip_ms: 90)], codes: []),
    Case(name: "a round trip that nobody knows", reports: [timely(120, roundTrip_ms: nil)], codes: []),
    // Neither end drops anything there, whatever the sender's latency.
    Case(name: "complete delivery over a long way", reports: [report { $0.roundTrip_ms = 400 }], codes: []),
    Case(
      name: "a storm: repetitions while the lag grows",
      reports: [
        report(0),
        report(1) {
          $0.retransmitted = 700
          $0.lag_ms = 2600
        },
      ], codes: [.storm, .lag], severity: .alarm,
      words: ["37 %", "le retard est de 2,6 s", "the lag is 2.6 s", "maxbw", "trop petite"]),
    Case(
      name: "a lag of another connection says nothing of this one's",
      reports: [
        report(0),
        report(1) {
          $0.connections = 1
          $0.retransmitted = 700
          $0.lag_ms = 900
        },
      ], codes: []),
    Case(
      name: "repetitions that keep up are no storm",
      reports: [report(0), report(1) { $0.retransmitted = 700 }], codes: []),
    Case(
      name: "half of it repetitions is one without a clock to see the lag by",
      reports: [
        report(0) {
          $0.retransmitted = 950
          $0.lag_ms = nil
        }
      ], codes: [.storm], severity: .alarm, words: ["50 %"]),
    Case(
      name: "few packets are judged by no share",
      reports: [
        report {
          $0.packets = 99
          $0.retransmitted = 99
          $0.lost = 99
        }
      ], codes: []),
    Case(
      name: "one foreign message of a short connection is no alarm",
      reports: [
        report {
          $0.connections = 1
          $0.packets = 1
          $0.foreign = 1
        }
      ], codes: [.foreign], severity: .warning),
    Case(
      name: "nor where nothing was counted",
      reports: [
        report {
          $0.packets = 0
          $0.measured_ms = 900
          $0.foreign = 1
        }
      ], codes: [.foreign], severity: .warning),
    Case(
      name: "lost and sent again", reports: [report { $0.lost = 100 }], codes: [.loss], severity: .notice,
      words: ["5 %"]),
    Case(
      name: "a few that never came", reports: [report { $0.missing = 3 }], codes: [.missing], severity: .notice,
      words: ["3 paquet(s) ne sont jamais arrivés en 10 s"]),
    Case(
      name: "many that never came", reports: [report { $0.missing = 19 }], codes: [.missing], severity: .warning),
    Case(
      name: "the encoder restarts its time stamps",
      reports: (0..<6).map { n in report(Int64(n)) { $0.clockRestarts = n == 0 || n == 3 ? 2 : 1 } },
      codes: [.clockRestarts], severity: .warning,
      words: ["toutes les 8 s", "encoder restarts its timestamps every 8 s"]),
    Case(
      name: "one restart", reports: [report(0), report(1) { $0.clockRestarts = 1 }], codes: [.clockRestarts],
      severity: .notice, words: ["une fois en 20 s"]),
    Case(
      name: "the encoder leaves something out", reports: [report { $0.discontinuities = 4 }],
      codes: [.discontinuities], severity: .warning, words: ["a omis des données 4 fois", "sans perte sur la liaison"]),
    Case(
      name: "not a transport stream", reports: [report { $0.foreign = 1900 }], codes: [.notTransportStream],
      severity: .alarm, words: ["MPEG-TS"]),
    Case(
      name: "some messages that are none", reports: [report { $0.foreign = 2 }], codes: [.foreign],
      severity: .warning),
    Case(
      name: "the encoder's clock is slow", reports: [report { $0.drift_ppm = -350.4 }], codes: [.drift],
      severity: .notice, words: ["retarde de 350", "too slow"]),
    Case(
      name: "ten seconds fast", reports: [report()], clock: clock(10_000), codes: [.clockOff], severity: .warning,
      words: ["avance de 10 s", "10 s fast"]),
    Case(
      name: "an hour slow", reports: [report()], clock: clock(-3_600_000), codes: [.clockOff], severity: .warning,
      words: ["retarde de 3600 s"]),
    Case(
      name: "behind real time", reports: [report { $0.lag_ms = 12_345 }], codes: [.lag], severity: .warning,
      words: ["12 s de retard"]),
    Case(
      name: "connected and silent",
      reports: [
        report(0),
        report(1) {
          $0.packets = 0
          $0.bytes = 0
        },
      ], codes: [.silent], severity: .warning, words: ["depuis 10 s"]),
    Case(
      name: "silent for long",
      reports: (0..<5).map { n in report(Int64(n)) { $0.packets = n == 0 ? 1900 : 0 } },
      codes: [.silent], severity: .warning, words: ["depuis 40 s", "for 40 s"]),
    Case(
      name: "the silence of the connection before does not count",
      reports: [
        report(0) { $0.packets = 0 },
        report(1) {
          $0.packets = 0
          $0.connections = 1
        },
      ], codes: [.silent], severity: .warning, words: ["depuis 10 s"]),
    Case(
      name: "the worst comes first",
      reports: [
        report {
          $0.lost = 300
          $0.missing = 1
          $0.retransmitted = 1000
          $0.roundTrip_ms = 400
          $0.delivery = .timely(window_ms: 120)
        }
      ], codes: [.storm, .latency, .missing, .loss], severity: .alarm),
  ]

  @Test(arguments: cases)
  func isDiagnosed(_ expected: Case) {
    let found = LinkDiagnosis.all(expected.reports, clock: expected.clock)
    #expect(found.map(\.code) == expected.codes)
    #expect(found.first?.severity == expected.severity)
    for words in expected.words { #expect(found.first?.sentence.contains(words) == true, "\(words)") }
  }

  // The history: a minute is judged by its own figures, and by whether its lag grew over the one before.
  @Test func ofWhatWasBeforeOnlyTheLagCounts() {
    let minute = Self.report {
      $0.retransmitted = 700
      $0.lag_ms = 900
    }
    #expect(LinkDiagnosis.all([minute]).isEmpty)
    #expect(LinkDiagnosis.all([minute], lagBefore_ms: 500).isEmpty)
    #expect(LinkDiagnosis.all([minute], lagBefore_ms: 100).map(\.code) == [.storm])
    var anew = minute
    anew.connections = 1
    #expect(LinkDiagnosis.all([anew], lagBefore_ms: 100).isEmpty)
  }

  @Test func aRelayWaitsNoLongerThanTheRecorder() {
    #expect(ReceptionSettings.relayBudgets_ms.contains(ReceptionSettings.relayBudget_ms))
    #expect(ReceptionSettings.relayBudgets_ms.upperBound == ReceptionSettings.holeLimit_ms)
    #expect(ReceptionSettings.relayBudgetSentence.contains("0 à 500 ms"))
  }

  @Test func countsAddUpAndStatesAreTheLaters() {
    let first = Self.report(0) {
      $0.connections = 1
      $0.lost = 3
      $0.lag_ms = 900
      $0.recording = RecordingID("a")
    }
    let second = Self.report(2) {
      $0.lost = 4
      $0.roundTrip_ms = 55
      $0.senderLatency_ms = 200
      $0.drift_ppm = nil
      $0.recording = RecordingID("b")
    }
    var sum = first
    sum.add(second)
    #expect(sum.packets == 3800 && sum.bytes == 5_000_000 && sum.lost == 7 && sum.connections == 1)
    #expect(sum.from == first.from && sum.to == second.to && sum.measured_ms == 20_000)
    #expect(sum.roundTrip_ms == 55 && sum.senderLatency_ms == 200 && sum.recording == RecordingID("b"))
    #expect(sum.lag_ms == 900 && sum.drift_ppm == 12)
    #expect(sum.rate_kbps == 2000)
    // What is not known leaves what was.
    sum.add(
      Self.report(3) {
        $0.roundTrip_ms = nil
        $0.clockOffset_ms = 7
      })
    sum.add(Self.report(4) { $0.roundTrip_ms = nil })
    #expect(sum.roundTrip_ms == 55 && sum.clockOffset_ms == 7)
    // Told in another order it counts the same, and the later's states stay.
    var other = second
    other.add(first)
    #expect(other.lost == 7 && other.roundTrip_ms == 55 && other.recording == RecordingID("b"))
  }

  @Test func nothingThatIsToldCanStopWhoAddsItUp() {
    let wild = Self.report {
      $0.from = UTCTime(microseconds: .min)
      $0.to = UTCTime(microseconds: .max)
      $0.packets = .max
      $0.bytes = .max
      $0.lost = .min
      $0.connections = .max
      $0.retransmitted = -1
      $0.roundTrip_ms = .nan
      $0.senderLatency_ms = .min
      $0.lag_ms = .max
      $0.drift_ppm = -.infinity
      $0.delivery = .timely(window_ms: .min)
    }.bounded
    #expect(wild.packets == LinkHealth.maximumCount && wild.lost == 0 && wild.retransmitted == 0)
    #expect(wild.roundTrip_ms == nil && wild.senderLatency_ms == 0 && wild.drift_ppm == nil)
    #expect(wild.delivery == .timely(window_ms: 0))
    var sum = wild
    for _ in 0..<3 { sum.add(wild) }
    #expect(sum.packets == LinkHealth.maximumCount && sum.rate_kbps >= 0)
    _ = LinkDiagnosis.all([wild, sum])
    // Turned about, the end is not before the beginning.
    #expect(Self.report { $0.to = UTCTime(microseconds: -5) }.bounded.measured_ms == 0)
  }

  @Test func aMinuteIsTheOneItBeganIn() {
    #expect(Self.report(5).minute == UTCTime(microseconds: 0))
    #expect(Self.report(6).minute == UTCTime(microseconds: 60_000_000))
    #expect(Self.report(-1).minute == UTCTime(microseconds: -60_000_000))
  }

  @Test(arguments: [(Int64(2000), false), (2001, true), (-2000, false), (-2001, true), (.min, true)])
  func aClockIsOffBeyondTheBound(_ offset_ms: Int64, _ isOff: Bool) {
    #expect(Self.clock(offset_ms).isOff == isOff)
  }

  @Test func whatAClockSaidStandsForAShift() {
    let told = CameraClock(offset_ms: 5, toldAt: UTCTime(microseconds: 1_000_000))
    #expect(!told.stands(at: UTCTime(microseconds: 999_999)))
    #expect(told.stands(at: told.toldAt) && told.stands(at: told.toldAt.adding(seconds: CameraClock.standing_s - 1)))
    #expect(!told.stands(at: told.toldAt.adding(seconds: CameraClock.standing_s)))
  }
}
