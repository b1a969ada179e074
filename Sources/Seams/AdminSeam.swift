package import Doctrine

/// The administrator's acts, over a socket that only the keeper's own user and root can open. Every one is
/// journalled with the user id that made it. None of them shows footage.
package enum AdminCall: Sendable, Codable {
  case createService(
    name: String, regime: String, act: String, date: LocalDate, authorisedCameras: Int?)
  case createAgent(service: String, matricule: String, name: String, rank: String)
  case createAccount(name: String, agent: AgentID, password: String)
  case accredit(account: String, service: String, role: Role, act: String, days: Int)
  case enrolCamera(service: String, CameraID, model: String)
  case issueCamera(CameraID, AgentID)
  case returnCamera(CameraID)
  case setCamera(CameraID, enabled: Bool)
  case closeIncident(IncidentID)
  case status
  /// Runs the sweeper now, as of now.
  case sweep
}

package enum AdminReply: Sendable, Codable {
  case created(String)
  /// Shown once; only sealed and hashed forms are kept.
  case enrolled(CameraID, passphrase: String, token: String)
  case status(WallState, JournalMark)
  case swept(erased: Int)
  case done
}

package enum AdminNotice: Sendable, Codable { case heartbeat }
