import Doctrine
import Logging
import Seams

extension ShardCore {
  func take(_ message: ShardMessage) {
    let now = common.clocks.monotonic()
    switch message {
    case .command(.close(let incident, let cause, let by)):
      closeExpected(incident, cause, by: by)
      for (camera, state) in cameras where state.recording?.incident == incident {
        // What was sent before the close is kept: closing first would leave it at the gate.
        if state.machine.closeRequested(incident, at: now) {
          finish(state, camera, incident, cause, by: by, at: now)
        }
      }
    case .command(.live(let recording, let open)):
      setExpectedLive(recording, open)
      for state in cameras.values {
        if let known = state.recording, known.recording == recording { setLive(state, known, open) }
      }
    case .command(.allLiveEnds):
      setExpectedLive(nil, false)
      for state in cameras.values {
        if let known = state.recording { setLive(state, known, false) }
      }
    case .accepted(let socket, let attempt): admit(socket, attempt)
    case .goOnElsewhere(let part): goOnElsewhere(part, at: now)
    case .expect(let camera, let incident, let recording): expect(camera, incident, recording)
    case .resume(let resumed):
      resume(resumed, at: now)
      settle(resumed.resumed.camera, resumed.incident, at: now)
    case .settled(let camera, let incident): settle(camera, incident, at: now)
    }
  }

  private func resume(_ resumed: ResumedRecording, at now: MonotonicTime) {
    let state = CameraState(
      machine: IncidentMachine(resuming: resumed.incident, activation: resumed.resumed.activation, at: now))
    state.recording = OpenRecording(
      incident: resumed.incident, recording: resumed.recording, service: resumed.service,
      current: resumed.current, upcoming: resumed.resumed.parts, facts: resumed.facts,
      machine: RecordingMachine(
        resumingPart: resumed.current.number, lastEpoch: resumed.lastEpoch, lastPacket: resumed.lastArrival))
    cameras[resumed.resumed.camera] = state
  }

  func setLive(_ state: CameraState, _ recording: OpenRecording, _ open: Bool) {
    guard recording.isLive != open else { return }
    recording.isLive = open
    state.connection?.intake.assembler.tapsLive = open
    if open {
      common.feed.begin(recording.recording)
    } else {
      common.feed.end(recording.recording)
      let dropped = common.feed.droppedPieces
      if dropped > 0 { logger.info("live pieces dropped since the start", metadata: ["count": "\(dropped)"]) }
    }
  }
}
