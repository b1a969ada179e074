internal import Doctrine
internal import Seams

/// Links of cameras: of all together, and of each where a collector asks for it.
extension MetricsText {
  typealias Labels = [(name: String, value: String)]

  private static let totals: [(name: String, help: String, value: @Sendable (LinkTotals) -> UInt64)] = [
    ("bytes_total", "Bytes that cameras sent.", { $0.bytes }),
    ("packets_total", "Packets that came, those sent again too.", { $0.packets }),
    ("packets_lost_total", "Packets noticed missing, whether or not they came later.", { $0.lost }),
    ("packets_retransmitted_total", "Packets that came by being sent again.", { $0.retransmitted }),
    ("packets_duplicate_total", "Packets that came twice, or too late for any use.", { $0.duplicates }),
    ("packets_missing_total", "Packets that never came.", { $0.missing }),
    ("clock_restarts_total", "Time stamps that an encoder restarted.", { $0.clockRestarts }),
    ("discontinuities_total", "Times that an encoder left something out.", { $0.discontinuities }),
    ("foreign_messages_total", "Messages that are not whole transport stream packets.", { $0.foreign }),
  ]

  mutating func addLinks(_ links: LinkFigures, _ node: Labels) {
    add("plastron_cameras_connected", .gauge, "Cameras that are connected.", [(node, Double(links.connected))])
    // Every code, so that a series does not come and go.
    add(
      "plastron_cameras_diagnosed", .gauge, "Connected cameras, by what is wrong with their link or encoder.",
      LinkDiagnosis.Code.allCases.map { (node + [("code", $0.rawValue)], Double(links.diagnosed[$0] ?? 0)) })
    add("plastron_link_storms_total", .counter, "Retransmission storms that began.", [(node, Double(links.storms))])
    for total in Self.totals {
      add("plastron_link_\(total.name)", .counter, total.help, [(node, Double(total.value(links.total)))])
    }
    add(
      "plastron_link_rows_dropped_total", .counter, "Minutes of links that were not kept in the register.",
      [(node, Double(links.minutesDropped))])
    func seconds(_ bounds_ms: [Double]) -> [Double] { bounds_ms.map { $0 / 1000 } }
    add(
      histogram: "plastron_link_round_trip_seconds", "Round trip, one observation a camera and report of ten seconds.",
      node, bounds: seconds(LinkFigures.roundTripBounds_ms), counts: links.roundTrip_ms.counts,
      sum: links.roundTrip_ms.sum / 1000)
    add(
      histogram: "plastron_link_lag_seconds", "Lag behind real time, one observation a camera and report.",
      node, bounds: seconds(LinkFigures.lagBounds_ms), counts: links.lag_ms.counts, sum: links.lag_ms.sum / 1000)
  }

  /// The label `camera` has as many values as cameras were connected since the start: of those enrolled.
  mutating func addCameras(_ cameras: [CameraFigures], _ node: Labels) {
    func label(_ camera: CameraFigures) -> Labels { node + [("camera", camera.camera.rawValue)] }
    func samples(_ value: (CameraFigures) -> Double?) -> [(labels: Labels, value: Double)] {
      cameras.compactMap { camera in value(camera).map { (label(camera), $0) } }
    }
    add(
      "plastron_camera_connected", .gauge, "Whether the camera is connected.", samples { $0.isConnected ? 1 : 0 })
    add(
      "plastron_camera_storm", .gauge, "Whether its link is in a retransmission storm.",
      samples { $0.isStorming ? 1 : 0 })
    add(
      "plastron_camera_rate_bytes_per_second", .gauge, "Rate of its last report.",
      samples { Double($0.newest?.rate_kbps ?? 0) * 125 })
    add(
      "plastron_camera_round_trip_seconds", .gauge, "Its last round trip.",
      samples { $0.newest?.roundTrip_ms.map { $0 / 1000 } })
    add(
      "plastron_camera_lag_seconds", .gauge, "How far it is behind real time.",
      samples { $0.newest?.lag_ms.map { Double($0) / 1000 } })
    add(
      "plastron_camera_clock_drift_ratio", .gauge, "How much too fast its encoder's clock runs.",
      samples { $0.newest?.drift_ppm.map { $0 / 1_000_000 } })
    add(
      "plastron_camera_clock_offset_seconds", .gauge,
      "How far its clock was ahead, as it told in the last twelve hours.",
      samples { $0.clock.map { Double($0.offset_ms) / 1000 } })
    for total in Self.totals {
      add("plastron_camera_\(total.name)", .counter, total.help, samples { Double(total.value($0.total)) })
    }
  }
}
