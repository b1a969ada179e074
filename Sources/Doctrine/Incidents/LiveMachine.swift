/// The live picture of one incident: opened by a threat declaration, ended by its end or by the recording's.
///
/// One machine an incident. There is no other way to a ``LiveAuthorization`` of it.
// LIVE-1, CSI L241-1 al. 5, R241-3 I.
package struct LiveMachine: ~Copyable, Sendable {
  package enum State: Equatable, Sendable {
    /// Recording, no threat declared: nobody watches. Becomes `open` or `over`.
    case dark
    /// Recording, a threat declared. Becomes `dark`, `suspended` or `over`.
    case open(ThreatEntry)
    /// A threat declared, and what the camera sends has not been written for longer than the regime bears: nobody
    /// watches what is not recorded. Becomes `open`, `dark` or `over`.
    case suspended(ThreatEntry)
    /// The recording is closed, or its close is decided: never live again.
    case over(ThreatEntry?)
  }

  package enum Action: Equatable, Sendable {
    case none
    case begin
    case end
  }

  package private(set) var state: State

  /// - Parameters:
  ///   - threat: the declaration that was open before a restart.
  ///   - isClosing: a close was decided before it.
  package init(threat: ThreatEntry? = nil, isClosing: Bool = false) {
    state = isClosing ? .over(threat) : threat.map(State.open) ?? .dark
  }

  package var threat: ThreatEntry? {
    switch state {
    case .dark: nil
    case .open(let threat), .suspended(let threat): threat
    case .over(let threat): threat
    }
  }

  package var authorization: LiveAuthorization? {
    guard case .open(let threat) = state else { return nil }
    return LiveAuthorization(recordingIsOpen: true, openThreat: threat.id)
  }

  /// A threat was declared and is in the journal. A no-op where one is open already, or the recording is over.
  package mutating func threatDeclared(_ threat: ThreatEntry) -> Action {
    guard case .dark = state else { return .none }
    state = .open(threat)
    return .begin
  }

  /// The declaration was ended. A no-op where another is open, or none.
  package mutating func threatEnded(_ id: ThreatID) -> Action {
    switch state {
    case .open(let threat) where threat.id == id:
      state = .dark
      return .end
    case .suspended(let threat) where threat.id == id:
      state = .dark
      return .none
    default: return .none
    }
  }

  /// What is sent has not been written for longer than the regime bears. A no-op where nobody may watch anyway.
  // P2.
  package mutating func recordingFailed() -> Action {
    guard case .open(let threat) = state else { return .none }
    state = .suspended(threat)
    return .end
  }

  /// It is written again.
  package mutating func recordingMended() -> Action {
    guard case .suspended(let threat) = state else { return .none }
    state = .open(threat)
    return .begin
  }

  /// The recording was closed, or its close decided.
  package mutating func recordingClosed() -> Action {
    switch state {
    case .dark:
      state = .over(nil)
      return .none
    case .open(let threat):
      state = .over(threat)
      return .end
    case .suspended(let threat):
      state = .over(threat)
      return .none
    case .over: return .none
    }
  }
}
