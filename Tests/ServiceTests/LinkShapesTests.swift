import Doctrine
import Seams
import Testing

@testable import CommandRoom

/// What the console and a collector are told of links.
struct LinkShapesTests {
  private static func minute(_ n: Int64, _ change: (inout LinkHealth) -> Void = { _ in }) -> LinkMinute {
    let start = UTCTime(microseconds: n * 60_000_000)
    var health = LinkHealth(
      camera: CameraID("C"), recording: RecordingID("r"), from: start, to: start.adding(seconds: 60),
      delivery: .complete)
    health.packets = 11_400
    health.bytes = 15_000_000
    health.lag_ms = 100
    change(&health)
    return LinkMinute(day: LocalDate(year: 1970, month: 1, day: 1), start: start, health: health)
  }

  private static func camera(connected: Bool, _ health: LinkHealth?, _ diagnoses: [LinkDiagnosis] = []) -> CameraShape {
    CameraShape(
      CameraLink(
        camera: CameraID("C"), service: ServiceID("s"), serviceName: "s", model: "", enabled: true, isIssued: true,
        reception: ReceptionSettings(), clock: nil, isConnected: connected, health: health, diagnoses: diagnoses))
  }

  @Test func aMinuteIsNotBlamedForTheOneBefore() {
    let shape = LinkMinutesShape(
      [
        Self.minute(0) {
          $0.missing = 900
          $0.clockRestarts = 9
          $0.discontinuities = 3
        }, Self.minute(1),
        Self.minute(2) {
          $0.retransmitted = 4200
          $0.lag_ms = 700
        },
        Self.minute(3) { $0.clockOffset_ms = -3_600_000 },
      ], next: nil)
    let codes = shape.minutes.map { $0.diagnoses.map(\.code) }
    #expect(codes[0] == ["packets-missing", "encoder-restarts-its-clock", "encoder-leaves-out"])
    #expect(codes[1] == [])
    // Whether the lag grows is the one thing that the minute before says.
    #expect(codes[2] == ["retransmission-storm"])
    #expect(codes[3] == ["clock-off"] && shape.minutes[3].link.clockOffset_ms == -3_600_000)
    #expect(shape.minutes[0].link.roundTrip_ms == nil)
  }

  @Test func aCameraSaysWhetherAnythingIsKnownOfIt() {
    #expect(Self.camera(connected: false, nil).sentence.hasPrefix("Non connectée"))
    #expect(Self.camera(connected: true, nil).sentence.hasPrefix("Connectée ; premières mesures"))
    #expect(Self.camera(connected: true, Self.minute(0).health).sentence == LinkDiagnosis.good)
  }

  @Test func everySampleNamesItsNode() {
    var links = LinkFigures()
    links.roundTrip_ms.add(30, bounds: LinkFigures.roundTripBounds_ms)
    var out = MetricsText()
    out.addLinks(links, [("node", "n")])
    out.addCameras(
      [
        CameraFigures(
          camera: CameraID("C"), isConnected: true, newest: nil, total: LinkTotals(), clock: nil, isStorming: false)
      ], [("node", "n")])
    let samples = out.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(samples.count > 40 && samples.allSatisfy { $0.contains("{node=\"n\"") })
    #expect(samples.contains("plastron_link_round_trip_seconds_bucket{node=\"n\",le=\"0.05\"} 1"))
    #expect(samples.contains("plastron_camera_connected{node=\"n\",camera=\"C\"} 1"))
  }
}
