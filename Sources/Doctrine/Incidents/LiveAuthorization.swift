/// What is threatened: the closed list of R241-3 I al. 2.
package enum ThreatGround: String, Sendable, Codable, CaseIterable {
  case agents
  case persons
  case property

  package var french: String {
    switch self {
    case .agents: "intégrité des agents"
    case .persons: "intégrité des personnes"
    case .property: "atteinte aux biens"
    }
  }
}

/// Whether a camera may be watched now: the recording is open and a threat declaration is open.
///
/// There is no third way in: the value cannot be made otherwise.
// LIVE-1, CSI L241-1 al. 5, R241-3 I.
package struct LiveAuthorization: Equatable, Sendable {
  package var threat: ThreatID

  package init?(recordingIsOpen: Bool, openThreat: ThreatID?) {
    guard recordingIsOpen, let openThreat else { return nil }
    threat = openThreat
  }
}
