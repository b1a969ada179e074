/// Every answer of ``may(_:_:_:at:)``, as text: what is committed, so that a change of the law shows as a difference.
package enum RightsMatrix {
  private static let service = ServiceID("s")
  private static let now = UTCTime(microseconds: 1)
  private static let wearer = AgentID("wearer")
  private static let other = AgentID("other")

  /// Somebody who asks: a role, and how they stand to the recording.
  private struct Asker {
    var name: String
    var actor: Actor
    var attached: Set<AgentID> = []
  }

  private static func person(
    _ role: Role, _ agent: AgentID, in service: ServiceID = service, from: Int64 = 0, until: Int64 = 2
  ) -> Actor {
    Actor(
      account: AccountID("a"), agent: agent, name: "a",
      accreditations: [
        Accreditation(
          id: AccreditationID("x"), role: role, service: service, act: "act",
          from: UTCTime(microseconds: from), until: UTCTime(microseconds: until))
      ])
  }

  private static var askers: [Asker] {
    [
      Asker(name: "wearer", actor: person(.wearer, wearer)), Asker(name: "other-wearer", actor: person(.wearer, other)),
      Asker(name: "attached", actor: person(.wearer, other), attached: [other]),
    ]
      + Role.allCases.filter { $0 != .wearer }.map { Asker(name: $0.rawValue, actor: person($0, other)) }
      + [
        Asker(name: "attached-head", actor: person(.head, other), attached: [other]),
        Asker(name: "attached-reader", actor: person(.reader, other), attached: [other]),
        Asker(name: "ended-head", actor: person(.head, other, from: 0, until: 1)),
        Asker(name: "future-head", actor: person(.head, other, from: 2, until: 3)),
        Asker(name: "other-service-head", actor: person(.head, other, in: ServiceID("t"))),
        Asker(
          name: "no-accreditation", actor: Actor(account: AccountID("a"), agent: other, name: "a", accreditations: [])),
      ]
      + Job.allCases.map { Asker(name: $0.rawValue, actor: Actor($0)) }
  }

  /// The state that an act is asked in: the recording's phase, and what else the act depends on.
  private static func states(_ act: Act, _ regime: Regime) -> [(name: String, object: ActObject)] {
    RecordingPhase.allCases.flatMap { phase -> [(name: String, object: ActObject)] in
      let object = ActObject(service: service, regime: regime, phase: phase, wearer: wearer)
      switch act {
      case .openIncident:
        guard phase == .none else { return [] }
        return CameraStanding.allCases.map { standing in
          var object = object
          object.camera = standing
          return (standing.rawValue, object)
        }
      case .accredit where phase == .none:
        return [("themselves", other), ("somebody else", AgentID("first"))].map { name, beneficiary in
          var object = object
          object.beneficiary = beneficiary
          return (name, object)
        }
      case .enrolCamera where phase == .none:
        return [(nil, "no number authorised"), (1, "one left"), (0, "none left")].map { left, name in
          var object = object
          object.camerasLeft = left
          return (name, object)
        }
      case .watchLive where phase == .open:
        return [false, true].map { threat in
          var object = object
          object.live = LiveAuthorization(recordingIsOpen: true, openThreat: threat ? ThreatID("t") : nil)
          return ("\(phase.rawValue)\(threat ? ", threat" : "")", object)
        } + [
          {
            var object = object
            object.isRecorded = false
            return ("\(phase.rawValue), not recorded", object)
          }()
        ]
      case .consult where [.closed, .held, .heldPastTerm].contains(phase),
        .extract where [.closed, .held, .heldPastTerm].contains(phase):
        let names = [nil] + WearerReason.allCases.map(\.rawValue) + ExtractionReason.allCases.map(\.rawValue)
        return names.map { name in
          var object = object
          object.reason = name.flatMap { ConsultationReason(name: $0) }
          return ("\(phase.rawValue), \(name ?? "no reason")", object)
        }
      case .confirmErasure where phase == .closed:
        return [("same person", other), ("second person", AgentID("first"))].map { name, proposer in
          var object = object
          object.proposedBy = proposer
          return ("\(phase.rawValue), \(name)", object)
        }
      default: return [(phase.rawValue, object)]
      }
    }
  }

  private static func answer(_ asker: Asker, _ act: Act, _ object: ActObject) -> String {
    var object = object
    object.attached = asker.attached
    switch may(asker.actor, act, object, at: now) {
    case .granted: return "granted"
    case .refused(let refusal): return "\(refusal.code) [\(refusal.article)]"
    }
  }

  private static let switchedTitle = "*"

  /// The profiles with every permission of theirs turned the other way, where the text has one: `name*` in the table.
  private static var switched: [Regime] {
    Regime.all.compactMap { regime in
      guard
        var other = try? regime.changed(
          by: RegimeChange(
            commandRoomMayDeclare: !regime.commandRoomMayDeclare, wearerMayExtract: regime.name == "pm"))
      else { return nil }
      other.title = switchedTitle
      return other
    }
  }

  /// One line an act, state and asker; equal answers of neighbouring askers share a line.
  package static var table: String {
    var lines: [String] = []
    for regime in Regime.all + switched {
      for act in Act.allCases {
        for state in states(act, regime) {
          var answers: [(answer: String, names: [String])] = []
          for asker in askers {
            let answer = answer(asker, act, state.object)
            if let index = answers.firstIndex(where: { $0.answer == answer }) {
              answers[index].names.append(asker.name)
            } else {
              answers.append((answer, [asker.name]))
            }
          }
          for group in answers {
            lines.append(
              "\(regime.title == switchedTitle ? regime.name + "*" : regime.name) | \(act.rawValue) | \(state.name) | \(group.names.joined(separator: " ")) | \(group.answer)"
            )
          }
        }
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The matrix for people: who may do what at all, and in which state.
  package static var guide: String {
    let roles = Role.allCases
    var lines = [
      "# Qui peut quoi", "",
      "Engendré par `plastron rights` à partir de `Sources/Doctrine/Rights` : c'est ce que le serveur décide, case par case.",
      "Chaque refus cite son article. Une habilitation vaut dans son service et pendant sa durée, rien de plus.",
      "(*Generated; the English names of the acts stand in brackets.*)", "",
    ]
    for regime in Regime.all {
      lines += ["## \(regime.title) (`\(regime.name)`)", ""]
      lines.append(
        "Texte : \(regime.text). Terme : \(regime.term_months) mois.\(regime.notice.map { " Avis : \($0)." } ?? "")")
      lines += ["", "| acte | " + roles.map(\.french).joined(separator: " | ") + " | article |"]
      lines.append("|---" + String(repeating: "|---", count: roles.count + 1) + "|")
      for act in Act.allCases {
        let cells = roles.map { cell($0, act, regime) }
        lines.append(
          "| \(act.french) (*\(act.rawValue)*) | " + cells.joined(separator: " | ") + " | \(act.article(regime)) |")
      }
      lines.append("")
    }
    lines += [
      "*oui* : dans tout état ; sinon les états où l'acte est permis. *les siens* : ses propres enregistrements.",
      "*si rattaché* : agents rattachés à l'incident. « Effacer au terme » est l'acte du serveur seul.", "",
    ]
    return lines.joined(separator: "\n")
  }

  private static func cell(_ role: Role, _ act: Act, _ regime: Regime) -> String {
    let states = states(act, regime)
    func granted(_ asker: Asker) -> [String] {
      states.filter { answer(asker, act, $0.object) == "granted" }.map(\.name)
    }
    var texts: [String] = []
    let own = granted(Asker(name: "", actor: person(role, wearer)))
    let others = granted(Asker(name: "", actor: person(role, other)))
    if others.count == states.count {
      texts.append("oui")
    } else if !others.isEmpty {
      texts.append(others.map(french).joined(separator: " ; "))
    } else if !own.isEmpty {
      texts.append("les siens : " + own.map(french).joined(separator: " ; "))
    }
    let attached = granted(Asker(name: "", actor: person(role, other), attached: [other]))
    if attached != others { texts.append("si rattaché : " + attached.map(french).joined(separator: " ; ")) }
    return texts.isEmpty ? "–" : texts.joined(separator: " ; ")
  }

  private static func french(_ state: String) -> String {
    let words = [
      "none": "hors enregistrement", "open": "en cours", "closed": "clos", "held": "conservé",
      "held-past-term": "conservé au-delà du terme", "due": "terme venu", "ordered": "effacement ordonné",
      "erased": "effacé", "threat": "menace", "second person": "seconde personne", "same person": "même personne",
      "judicial": "judiciaire", "administrative": "administratif", "disciplinary": "disciplinaire",
      "training": "formation", "finding-offenders": "recherche d'auteurs",
      "preventing-imminent-harm": "prévention d'atteintes", "helping-persons": "secours",
      "faithful-report": "compte rendu", "issued": "perçue", "not-issued": "non perçue", "disabled": "désactivée",
      "search": "fouille", "medical-secret": "secret médical", "no number authorised": "sans nombre autorisé",
      "one left": "nombre non atteint", "none left": "nombre atteint",
      "themselves": "soi-même",
      "not recorded": "non enregistré",
      "somebody else": "une autre personne",
    ]
    return state.split(separator: ",").map { part in
      let word = part.drop { $0 == " " }
      return words[String(word)] ?? String(word)
    }.joined(separator: ", ")
  }
}
