/// The legal profile of a service: versioned data, not code (GOV-5).
///
/// A profile of ``all`` is what the law says today; a service's own copy may be stricter, and is numbered anew with
/// each change by its head.
package struct Regime: Equatable, Sendable, Codable {
  /// Stable name, such as `bwc-six-months`.
  package var name: String
  /// 1, 2, ... of the service; goes up with each change.
  package var version: Int
  package var title: String
  /// Calendar months from the day of recording to the day of erasure (RET-1).
  package var term_months: Int
  /// Sound in the live relay (LIVE-8). The master always keeps it.
  package var liveSound: Bool
  /// The command room may declare a threat, with ground and reason.
  package var commandRoomMayDeclare: Bool
  /// The wearer may extract their own recording, where the text allows it at all.
  package var wearerMayExtract: Bool
  /// The authorised number of cameras must be declared and is enforced (STO-5).
  package var camerasCounted: Bool
  /// An extraction names the agent and the service that ask for it (R241-2, 7°).
  package var asksRequester: Bool
  /// Seconds for which a picture may be relayed, marked NON ENREGISTRÉ, while the server cannot write it (P2).
  package var unrecordedLive_s: Int64 { 60 }
  /// What a wearer may say is under way that keeps a recording from being started (REC-7).
  package var inhibitedBy: CameraStanding? {
    switch name {
    // L223-20: not during searches.
    case "ap": .search
    // L241-3 al. 2.
    case "sp": .medicalSecret
    default: nil
    }
  }
  /// The text the profile follows.
  package var text: String
  /// Where the text says what.
  package var articles: Articles
  /// Why a wearer may see their own recording (ACC-4): the text's closed list.
  package var wearerReasons: [WearerReason]
  /// Said wherever the profile is shown, where it departs from the law of today.
  package var notice: String?

  /// The clauses that refusals and certificates cite.
  package struct Articles: Equatable, Sendable, Codable {
    /// When a camera records, and how the persons know.
    package var recording: String
    /// Who has access, and who extracts.
    package var access: String
    /// Who may be sent the live picture, and when.
    package var live: String
    /// The wearer's own access.
    package var wearer: String
    /// Consultation only after the intervention and the transfer.
    package var after: String
    package var term: String
    /// The authorised number of cameras.
    package var cameras: String
    package var journal: String
    /// Rights of the persons recorded.
    package var rights: String
  }
}

/// Why a wearer looks at what they recorded: R241-3 II, R241-11 II, R241-21 II.
package enum WearerReason: String, Sendable, Codable, CaseIterable {
  case findingOffenders = "finding-offenders"
  case preventingImminentHarm = "preventing-imminent-harm"
  case helpingPersons = "helping-persons"
  case faithfulReport = "faithful-report"

  package var french: String {
    switch self {
    case .findingOffenders: "recherche d'auteurs d'infractions"
    case .preventingImminentHarm: "prévention d'atteintes ou de risques imminents"
    case .helpingPersons: "secours aux personnes"
    case .faithfulReport: "établissement fidèle des faits lors d'un compte rendu"
    }
  }
}

extension Regime.Articles {
  static let national = Self(
    recording: "CSI L241-1 al. 1 à 4", access: "CSI R241-3-1 I", live: "CSI R241-3 I, R241-3-1 II",
    wearer: "CSI R241-3 II", after: "CSI R241-3 IV",
    term: "CSI R241-4", cameras: "CSI R241-1", journal: "CSI R241-5", rights: "CSI R241-6 IV")
  static let municipal = Self(
    recording: "CSI L241-2 al. 1 à 4", access: "CSI R241-12 I", live: "CSI R241-11 I, R241-12 II",
    wearer: "CSI R241-11 II", after: "CSI R241-11 IV",
    term: "CSI R241-13", cameras: "CSI R241-8 II", journal: "CSI R241-14", rights: "CSI R241-15")
  static let fire = Self(
    recording: "CSI L241-3 al. 1 à 4", access: "CSI R241-22 I", live: "CSI R241-21 I, R241-22 II",
    wearer: "CSI R241-21 II", after: "CSI R241-21 IV",
    term: "CSI R241-23", cameras: "CSI R241-18 III", journal: "CSI R241-24", rights: "CSI R241-25")
  static let prison = Self(
    recording: "code pénitentiaire L223-20", access: "code pénitentiaire L223-20", live: "code pénitentiaire L223-20",
    wearer: "code pénitentiaire L223-20",
    after: "code pénitentiaire L223-20", term: "code pénitentiaire L223-20", cameras: "code pénitentiaire L223-20",
    journal: "code pénitentiaire L223-20",
    rights: "loi 78-17 art. 104 à 106")
}

extension Regime {
  /// The profiles of docs/compliance.md. A service chooses one when it is created.
  package static let all: [Regime] = [
    Regime(
      name: "bwc-six-months", version: 1, title: "Caméras individuelles, six mois", term_months: 6,
      liveSound: false, commandRoomMayDeclare: true, wearerMayExtract: false, camerasCounted: false,
      asksRequester: false,
      text: "CSI R241-4 (2016) ; L241-1 al. 5", articles: .national, wearerReasons: WearerReason.allCases,
      notice: "texte de 2016 ; un mois aujourd'hui pour PN, GN et PM"),
    Regime(
      name: "pn-gn", version: 1, title: "Police nationale, gendarmerie nationale", term_months: 1,
      liveSound: false, commandRoomMayDeclare: false, wearerMayExtract: false, camerasCounted: false,
      asksRequester: true,
      text: "CSI L241-1, R241-1 à R241-7", articles: .national, wearerReasons: WearerReason.allCases, notice: nil),
    Regime(
      name: "pm", version: 1, title: "Police municipale", term_months: 1, liveSound: true,
      commandRoomMayDeclare: false, wearerMayExtract: false, camerasCounted: true, asksRequester: false,
      text: "CSI L241-2, R241-8 à R241-17", articles: .municipal, wearerReasons: WearerReason.allCases, notice: nil),
    Regime(
      name: "sp", version: 1, title: "Sapeurs-pompiers", term_months: 6, liveSound: false,
      commandRoomMayDeclare: false, wearerMayExtract: false, camerasCounted: true, asksRequester: false,
      text: "CSI L241-3, R241-18 à R241-26", articles: .fire,
      wearerReasons: [.preventingImminentHarm, .helpingPersons], notice: nil),
    Regime(
      name: "ap", version: 1, title: "Administration pénitentiaire", term_months: 3, liveSound: false,
      commandRoomMayDeclare: false, wearerMayExtract: false, camerasCounted: false, asksRequester: false,
      text: "code pénitentiaire L223-20", articles: .prison, wearerReasons: WearerReason.allCases, notice: nil),
  ]

  package static func named(_ name: String) -> Regime? { all.first { $0.name == name } }
}

/// What the head of a service asks to change; nil leaves as it is.
package struct RegimeChange: Equatable, Sendable, Codable {
  package var name: String?
  package var term_months: Int?
  package var liveSound: Bool?
  package var commandRoomMayDeclare: Bool?
  package var wearerMayExtract: Bool?

  package init(
    name: String? = nil, term_months: Int? = nil, liveSound: Bool? = nil, commandRoomMayDeclare: Bool? = nil,
    wearerMayExtract: Bool? = nil
  ) {
    self.name = name
    self.term_months = term_months
    self.liveSound = liveSound
    self.commandRoomMayDeclare = commandRoomMayDeclare
    self.wearerMayExtract = wearerMayExtract
  }
}

extension Regime {
  /// The next version of a service's regime.
  ///
  /// - Throws: ``Refusal`` where the change would go beyond what the text allows.
  // RET-1, GOV-5: never above the text's term; a permission only where the text has one.
  package func changed(by change: RegimeChange) throws(Refusal) -> Regime {
    let base = Regime.named(change.name ?? name)
    guard let base else {
      throw Refusal(
        code: "unknown-regime", article: "CSI L241-1 à L241-3",
        sentence:
          "Refusé : régime inconnu ; il y a \(Regime.all.map(\.name).joined(separator: ", ")). (Unknown regime.)")
    }
    // A service stays under the text that is its own, or goes under a stricter one: never from one month to six.
    let own = Regime.named(name) ?? self
    guard base.term_months <= own.term_months, base.camerasCounted || !own.camerasCounted else {
      throw Refusal(
        code: "weaker-regime", article: own.articles.term,
        sentence:
          "Refusé : ce régime garde plus longtemps, ou compte moins, que celui du service (\(own.name)). Un autre service demande un autre acte. (A service never goes under a weaker regime.)"
      )
    }
    var next = change.name == nil ? self : base
    next.version = version + 1
    if let months = change.term_months {
      guard (1...base.term_months).contains(months) else {
        throw Refusal(
          code: "term-above-law", article: base.articles.term,
          sentence:
            "Refusé : la durée va de 1 à \(base.term_months) mois dans ce régime, pas \(months). Demandez une durée permise. (The term cannot exceed the law's.)"
        )
      }
      next.term_months = months
    }
    if let sound = change.liveSound { next.liveSound = sound }
    if let declares = change.commandRoomMayDeclare { next.commandRoomMayDeclare = declares }
    if let extracts = change.wearerMayExtract {
      // R241-12 I: in the municipal police the wearer is among those who may extract; nowhere else.
      guard !extracts || base.name == "pm" else {
        throw Refusal(
          code: "wearer-never-extracts", article: base.articles.access,
          sentence:
            "Refusé : dans ce régime, le texte ne permet pas au porteur d'extraire. (The wearer may not extract in this regime.)"
        )
      }
      next.wearerMayExtract = extracts
    }
    return next
  }
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

  /// The term under a regime that replaces the one before: a shortening applies at once, a lengthening never.
  package func shortened(recordedOn day: LocalDate, under regime: Regime) -> Term {
    Term(endDay: min(endDay, Term(recordedOn: day, under: regime).endDay))
  }
}
