/// The legal profile of a service: versioned data, not code (GOV-5).
package struct Regime: Equatable, Sendable, Codable {
  /// Stable name, such as `bwc-six-months`.
  package var name: String
  package var version: Int
  package var title: String
  /// Calendar months from the day of recording to the day of erasure (RET-1).
  package var term_months: Int
  /// Sound in the live relay (LIVE-8). The master always keeps it.
  package var liveSound: Bool
  /// The command room may declare a threat, with ground and reason.
  package var commandRoomMayDeclare: Bool
  /// The authorised number of cameras must be declared and is enforced (STO-5).
  package var camerasCounted: Bool
  /// The text the profile follows.
  package var text: String
  /// Said wherever the profile is shown, where it departs from the law of today.
  package var notice: String?
}

extension Regime {
  /// The profiles of docs/compliance.md. A service chooses one when it is created.
  package static let all: [Regime] = [
    Regime(
      name: "bwc-six-months", version: 1, title: "Caméras individuelles, six mois", term_months: 6,
      liveSound: false, commandRoomMayDeclare: true, camerasCounted: false,
      text: "CSI R241-4 (2016) ; L241-1 al. 5",
      notice: "texte de 2016 ; un mois aujourd'hui pour PN, GN et PM"),
    Regime(
      name: "pn-gn", version: 1, title: "Police nationale, gendarmerie nationale", term_months: 1,
      liveSound: false, commandRoomMayDeclare: false, camerasCounted: false,
      text: "CSI L241-1, R241-1 à R241-7", notice: nil),
    Regime(
      name: "pm", version: 1, title: "Police municipale", term_months: 1, liveSound: true,
      commandRoomMayDeclare: false, camerasCounted: true, text: "CSI L241-2, R241-8 à R241-17", notice: nil),
    Regime(
      name: "sp", version: 1, title: "Sapeurs-pompiers", term_months: 6, liveSound: false,
      commandRoomMayDeclare: false, camerasCounted: true, text: "CSI L241-3, R241-18 à R241-26", notice: nil),
    Regime(
      name: "ap", version: 1, title: "Administration pénitentiaire", term_months: 3, liveSound: false,
      commandRoomMayDeclare: false, camerasCounted: false, text: "code pénitentiaire L223-20", notice: nil),
  ]

  package static func named(_ name: String) -> Regime? { all.first { $0.name == name } }
}

/// When a recording's term ends.
package struct Term: Equatable, Sendable {
  /// The local day on which the recording is erased: from its first moment, before its last.
  package var endDay: LocalDate

  /// A term whose end was fixed on the day of recording.
  package init(endDay: LocalDate) { self.endDay = endDay }

  /// Calendar months from the day of recording in local legal time, not of transfer.
  // RET-1 to RET-3, CSI R241-4 al. 1.
  package init(recordedOn day: LocalDate, under regime: Regime) {
    endDay = day.adding(months: regime.term_months)
  }

  /// Whether erasure is due on a local day: never before the end day, without fail from it on.
  package func isDue(on day: LocalDate) -> Bool { day >= endDay }
}
