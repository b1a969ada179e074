/// What somebody wants to do.
package enum Act: String, Sendable, Codable, CaseIterable {
  // The command room
  case seeWall = "see-wall"
  case watchLive = "watch-live"
  case declareThreat = "declare-threat"
  case endThreat = "end-threat"
  case closeIncident = "close-incident"
  case confirmIncident = "confirm-incident"
  case attachAgent = "attach-agent"
  case readRefusals = "read-refusals"
  // The wearer, by the camera
  case openIncident = "open-incident"
  case readDeviceState = "read-device-state"
  case tellClock = "tell-clock"
  // Cameras and people
  case issueCamera = "issue-camera"
  case enrolCamera = "enrol-camera"
  case readLinks = "read-links"
  case administerPeople = "administer-people"
  case administerServer = "administer-server"
  case accredit
  case changeRegime = "change-regime"
  // Recordings
  case consult
  case extract
  case answerClosing = "answer-closing"
  case justify
  case linkProcedure = "link-procedure"
  case placeHold = "place-hold"
  case releaseHold = "release-hold"
  case proposeErasure = "propose-erasure"
  case confirmErasure = "confirm-erasure"
  case withdrawErasure = "withdraw-erasure"
  case eraseAtTerm = "erase-at-term"
  case checkFootage = "check-footage"
  case moveFootage = "move-footage"
  // Account to others
  case readRegister = "read-register"
  case readJournal = "read-journal"
  case readReport = "read-report"
  case handleRequest = "handle-request"

  package var french: String {
    switch self {
    case .seeWall: "voir le mur"
    case .watchLive: "voir le direct"
    case .declareThreat: "déclarer une menace"
    case .endThreat: "lever une menace"
    case .closeIncident: "clore un incident"
    case .confirmIncident: "confirmer un incident qui dure"
    case .attachAgent: "rattacher un agent à l'incident"
    case .readRefusals: "lire les refus"
    case .openIncident: "ouvrir un incident"
    case .readDeviceState: "connaître l'état de sa caméra"
    case .tellClock: "dire l'heure de sa caméra"
    case .readLinks: "voir l'état des liaisons des caméras"
    case .issueCamera: "perception et réintégration"
    case .enrolCamera: "enrôler ou désactiver une caméra"
    case .administerPeople: "créer agents et comptes"
    case .administerServer: "administrer le serveur"
    case .accredit: "habiliter, mettre fin à une habilitation"
    case .changeRegime: "changer le régime du service"
    case .consult: "consulter un enregistrement"
    case .extract: "extraire"
    case .answerClosing: "répondre aux questions de clôture"
    case .justify: "justifier l'agent ou le lieu"
    case .linkProcedure: "lier à une procédure"
    case .placeHold: "conserver au-delà du terme"
    case .releaseHold: "lever une conservation"
    case .proposeErasure: "ordonner un effacement légal"
    case .confirmErasure: "confirmer un effacement légal"
    case .withdrawErasure: "retirer une proposition d'effacement"
    case .eraseAtTerm: "effacer au terme"
    case .checkFootage: "contrôler les fichiers"
    case .moveFootage: "déplacer un enregistrement clos vers le stockage objet"
    case .readRegister: "lire le registre"
    case .readJournal: "lire le journal"
    case .readReport: "lire le rapport annuel"
    case .handleRequest: "traiter une demande d'exercice des droits"
    }
  }
}

/// How far a recording has come.
package enum RecordingPhase: String, Sendable, Codable, CaseIterable {
  /// The act concerns no recording.
  case none
  case open
  case closed
  /// Closed, and a hold keeps it; its term has not come.
  case held
  /// Kept by a hold, past its term.
  case heldPastTerm = "held-past-term"
  /// Closed, un-held, and its term day has come: due for erasure.
  case due
  /// Two persons have ordered its erasure, as the law asks: it is erased as soon as it can be.
  case ordered
  case erased
}

/// How a camera stands when its wearer starts it.
package enum CameraStanding: String, Sendable, Codable, CaseIterable {
  /// Handed to an agent.
  case issued
  case notIssued = "not-issued"
  case disabled
  /// Handed to an agent who says that a search of a person (fouille) is under way.
  case search
  /// Handed to an agent who says that recording would touch medical secrecy.
  case medicalSecret = "medical-secret"
}

/// What the act is done to, as far as the law asks.
package struct ActObject: Equatable, Sendable {
  package var service: ServiceID
  package var regime: Regime
  package var phase: RecordingPhase
  package var live: LiveAuthorization?
  /// The agent who wore the camera.
  package var wearer: AgentID?
  /// Agents attached to the incident now (LIVE-4).
  package var attached: Set<AgentID>
  /// Why a recording is consulted.
  package var reason: ConsultationReason?
  /// Who proposed what is to be confirmed by a second person.
  package var proposedBy: AgentID?
  /// Cameras that the service's authorising act still allows; nil where it sets no number (STO-5).
  package var camerasLeft: Int?
  /// Whom an accreditation is given to.
  package var beneficiary: AgentID?
  package var camera: CameraStanding
  /// False where what the camera sends has not been written for longer than the regime bears.
  package var isRecorded = true

  package init(
    service: ServiceID, regime: Regime, phase: RecordingPhase = .none, live: LiveAuthorization? = nil,
    wearer: AgentID? = nil, attached: Set<AgentID> = [], reason: ConsultationReason? = nil, proposedBy: AgentID? = nil,
    beneficiary: AgentID? = nil, camera: CameraStanding = .issued
  ) {
    self.service = service
    self.regime = regime
    self.phase = phase
    self.live = live
    self.wearer = wearer
    self.attached = attached
    self.reason = reason
    self.proposedBy = proposedBy
    self.beneficiary = beneficiary
    self.camera = camera
  }
}

/// Why a recording is seen: the closed list (LOG-4). A wearer has the text's own reasons, others a procedure's.
package enum ConsultationReason: Equatable, Sendable, Codable {
  case wearer(WearerReason)
  case purpose(ExtractionReason)

  package var name: String {
    switch self {
    case .wearer(let reason): reason.rawValue
    case .purpose(let reason): reason.rawValue
    }
  }

  package init?(name: String) {
    if let reason = WearerReason(rawValue: name) {
      self = .wearer(reason)
    } else if let reason = ExtractionReason(rawValue: name) {
      self = .purpose(reason)
    } else {
      return nil
    }
  }
}

/// Why a recording is extracted: the closed list (ACC-5/6, LOG-4).
package enum ExtractionReason: String, Sendable, Codable, CaseIterable {
  case judicial
  case administrative
  case disciplinary
  case training
}
