/// What is wrong with a camera's link or its encoder, in a plain sentence.
package struct LinkDiagnosis: Equatable, Sendable, Codable {
  package enum Code: String, Sendable, Codable, CaseIterable {
    case notTransportStream = "not-a-transport-stream"
    case storm = "retransmission-storm"
    case missing = "packets-missing"
    case silent
    case loss
    case latency = "latency-too-low"
    case lag
    case clockRestarts = "encoder-restarts-its-clock"
    case discontinuities = "encoder-leaves-out"
    case foreign = "foreign-messages"
    case drift = "clock-drifts"
    case clockOff = "clock-off"
  }

  /// How much it matters, least first.
  package enum Severity: Int, Comparable, Sendable, Codable {
    /// Worth knowing: nothing is lost by it.
    case notice
    /// To be put right: it costs picture, or will.
    case warning
    /// Shown on the wall: somebody has to act now.
    case alarm

    package var name: String {
      switch self {
      case .notice: "notice"
      case .warning: "warning"
      case .alarm: "alarm"
      }
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
  }

  package var code: Code
  package var severity: Severity
  package var french: String
  package var english: String

  package init(_ code: Code, _ severity: Severity, _ french: String, _ english: String) {
    self.code = code
    self.severity = severity
    self.french = french
    self.english = english
  }

  package var sentence: String { "\(french) (\(english))" }

  /// Nothing is wrong.
  package static let good = "Rien à signaler. (Nothing is wrong.)"
}

extension LinkDiagnosis {
  /// In timely delivery: a window of fewer round trips gives a packet up before it can be sent again twice. In complete
  /// delivery nothing is given up, whatever the latency.
  package static let latencyRatio = 2.5
  /// Of what came, this share sent again while the lag grows is a link that is too small: one that merely loses a fifth stays
  /// below it. docs/design/links.md.
  package static let stormShare = 0.35
  /// This share is one in any case: half of what the link carries is repetition.
  package static let stormShareAlone = 0.5
  package static let stormGrowth_ms: Int64 = 500
  /// Shares of fewer packets say nothing.
  package static let judgedPackets: Int64 = 100
  /// Lost on the way and sent again: worth knowing from here on.
  package static let lossShare = 0.05
  /// Missing for good: one in a hundred is seen in every second of picture.
  package static let missingShare = 0.01
  package static let lagBound_ms: Int64 = 2000
  /// Connected, and for this long without a packet.
  package static let silence_ms: Int64 = 5000
  /// A quartz is good to 100 millionths; more is a second in an hour and a half.
  package static let driftBound_ppm = 200.0

  /// What is wrong, worst first; empty where nothing is.
  ///
  /// - Parameters:
  ///   - reports: of one camera, oldest first, each ``LinkHealth/bounded``: about a minute's. All of them are judged.
  ///   - lagBefore_ms: the lag before the first of them, which says whether it grows; nil: not known.
  ///   - clock: what the camera told of its own clock, where it stands for this time.
  package static func all(
    _ reports: [LinkHealth], lagBefore_ms: Int64? = nil, clock: CameraClock? = nil
  ) -> [LinkDiagnosis] {
    guard let evidence = Evidence(reports, lagBefore_ms, clock) else { return [] }
    let found = rules.compactMap { $0(evidence) }
    // Of equal weight, in the order of the table.
    return [Severity.alarm, .warning, .notice].flatMap { severity in found.filter { $0.severity == severity } }
  }

  private struct Evidence {
    var newest: LinkHealth
    /// All of it added up.
    var window: LinkHealth
    /// How much the lag has grown; nil where it is not known.
    var lagGrowth_ms: Int64?
    /// How long nothing came, to the end of the newest.
    var silent_ms: Int64 = 0
    var clock: CameraClock?

    init?(_ reports: [LinkHealth], _ lagBefore_ms: Int64?, _ clock: CameraClock?) {
      guard let newest = reports.last, var window = reports.first else { return nil }
      for report in reports.dropFirst() { window.add(report) }
      self.newest = newest
      self.window = window
      self.clock = clock
      // A lag is measured against the best of its own connection.
      let begin = reports.lastIndex { $0.connections > 0 }
      let current = reports[(begin ?? reports.startIndex)...]
      var lags = current.compactMap(\.lag_ms)
      if begin == nil, let lagBefore_ms { lags.insert(lagBefore_ms, at: 0) }
      if lags.count > 1, let now = newest.lag_ms, let before = lags.first { lagGrowth_ms = now - before }
      for report in current.reversed() {
        guard report.packets == 0 else { break }
        silent_ms += report.measured_ms
      }
    }

    /// What comes is no transport stream at all.
    var isForeign: Bool { window.packets >= judgedPackets && window.foreign >= window.packets / 2 }
  }

  /// The table. Each rule looks at its own figures only.
  private static let rules: [@Sendable (Evidence) -> LinkDiagnosis?] = [
    { e in
      guard e.isForeign else { return nil }
      return LinkDiagnosis(
        .notTransportStream, .alarm,
        "ce que la caméra envoie n'est pas un flux de transport MPEG (MPEG-TS) : changez son format d'envoi",
        "what the camera sends is not an MPEG transport stream")
    },
    { e in
      let share = e.newest.retransmittedShare
      guard e.newest.packets >= judgedPackets else { return nil }
      let grows = e.lagGrowth_ms.map { $0 >= stormGrowth_ms } ?? false
      guard share >= stormShareAlone || share >= stormShare && grows else { return nil }
      let percent = Int((share * 100).rounded())
      let lag = e.newest.lag_ms.map { " et le retard est de \(seconds($0, ",")) s" } ?? ""
      let english = e.newest.lag_ms.map { ", the lag is \(seconds($0, ".")) s" } ?? ""
      return LinkDiagnosis(
        .storm, .alarm,
        "tempête de retransmissions : la liaison est trop petite, \(percent) % des paquets sont des répétitions\(lag) ; baissez le débit de l'encodeur et bornez l'envoi (maxbw)",
        "retransmission storm: the link is too small, \(percent) % of the packets are repetitions\(english)")
    },
    { e in
      guard e.window.missing > 0 else { return nil }
      let isMuch = Double(e.window.missing) >= missingShare * Double(e.window.packets)
      return LinkDiagnosis(
        .missing, isMuch ? .warning : .notice,
        "\(e.window.missing) paquet(s) ne sont jamais arrivés en \(span(e.window))",
        "\(e.window.missing) packets never came in \(span(e.window))")
    },
    { e in
      guard e.silent_ms >= silence_ms else { return nil }
      return LinkDiagnosis(
        .silent, .warning, "connectée, la caméra n'envoie rien depuis \(e.silent_ms / 1000) s",
        "connected, the camera has sent nothing for \(e.silent_ms / 1000) s")
    },
    { e in
      guard e.window.packets >= judgedPackets, e.window.lostShare >= lossShare else { return nil }
      let percent = Int((e.window.lostShare * 100).rounded())
      return LinkDiagnosis(
        .loss, .notice, "la liaison perd \(percent) % des paquets, qui sont redemandés",
        "the link loses \(percent) % of the packets, they are asked for again")
    },
    { e in
      guard let latency = e.newest.delivery.window_ms, latency > 0, let trip = e.newest.roundTrip_ms,
        Double(latency) < latencyRatio * trip
      else { return nil }
      let wanted = Int((latencyRatio * trip).rounded(.up))
      return LinkDiagnosis(
        .latency, .warning,
        "la latence de \(latency) ms est inférieure à 2,5 × l'aller-retour de \(Int(trip.rounded())) ms : réglez la fenêtre de la caméra à \(wanted) ms ou plus",
        "latency \(latency) ms is below 2.5 × the round trip of \(Int(trip.rounded())) ms")
    },
    { e in
      guard let lag = e.newest.lag_ms, lag >= lagBound_ms else { return nil }
      return LinkDiagnosis(
        .lag, .warning, "la caméra a \(seconds(lag, ",")) s de retard sur le temps réel",
        "the camera is \(seconds(lag, ".")) s behind real time")
    },
    { e in
      guard e.window.clockRestarts > 0 else { return nil }
      guard e.window.clockRestarts > 1 else {
        return LinkDiagnosis(
          .clockRestarts, .notice, "l'encodeur a recommencé ses horodatages une fois en \(span(e.window))",
          "encoder restarted its timestamps once in \(span(e.window))")
      }
      let every_s = max(1, (e.window.measured_ms / e.window.clockRestarts + 500) / 1000)
      return LinkDiagnosis(
        .clockRestarts, .warning, "l'encodeur recommence ses horodatages toutes les \(every_s) s",
        "encoder restarts its timestamps every \(every_s) s")
    },
    { e in
      guard e.window.discontinuities > 0 else { return nil }
      return LinkDiagnosis(
        .discontinuities, .warning,
        "l'encodeur de la caméra a omis des données \(e.window.discontinuities) fois en \(span(e.window)), sans perte sur la liaison",
        "the camera's encoder left something out \(e.window.discontinuities) times in \(span(e.window)), nothing was lost on the way"
      )
    },
    { e in
      guard e.window.foreign > 0, !e.isForeign else { return nil }
      return LinkDiagnosis(
        .foreign, .warning, "\(e.window.foreign) message(s) en \(span(e.window)) ne sont pas du MPEG-TS entier",
        "\(e.window.foreign) messages in \(span(e.window)) are not whole MPEG-TS packets")
    },
    { e in
      guard let drift = e.newest.drift_ppm, drift.magnitude >= driftBound_ppm else { return nil }
      let ppm = Int(drift.magnitude.rounded())
      return LinkDiagnosis(
        .drift, .notice, "l'horloge de l'encodeur \(drift > 0 ? "avance" : "retarde") de \(ppm) millionièmes",
        "the encoder's clock runs \(ppm) millionths too \(drift > 0 ? "fast" : "slow")")
    },
    { e in
      guard let clock = e.clock, clock.isOff else { return nil }
      let off = Int64(clamping: clock.offset_ms.magnitude)
      return LinkDiagnosis(
        .clockOff, .warning,
        "l'horloge de la caméra \(clock.offset_ms > 0 ? "avance" : "retarde") de \(seconds(off, ",")) s sur celle du serveur : mettez-la à l'heure",
        "the camera's clock is \(seconds(off, ".")) s \(clock.offset_ms > 0 ? "fast" : "slow")")
    },
  ]

  private static func span(_ health: LinkHealth) -> String { "\(max(1, (health.measured_ms + 500) / 1000)) s" }

  /// Seconds, with one decimal below ten.
  private static func seconds(_ milliseconds: Int64, _ point: String) -> String {
    guard milliseconds < 10_000 else { return "\(milliseconds / 1000)" }
    let tenths = (milliseconds + 50) / 100
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10)\(point)\(tenths % 10)"
  }
}
