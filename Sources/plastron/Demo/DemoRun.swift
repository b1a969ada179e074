import Doctrine
import Foundation
import Journal
import Seams
import Synchronization
import Vault

/// What the demonstration does with its server.
struct DemoRun {
  private let world: DemoWorld
  private let lifeline = Pipe()

  init(_ world: DemoWorld) { self.world = world }

  private struct Wall: Decodable {
    struct Incident: Decodable {
      var incident: String
      var recording: String
      var camera: String
      var threat: String?
    }
    var incidents: [Incident]
  }

  private struct Register: Decodable {
    struct Row: Decodable {
      var recording: String
      var state: String
      var camera: String?
      var size_bytes: Int?
      var term: String?
      var gaps: Int
      var decodes: String?
      var from: String?
    }
    var rows: [Row]
  }

  // MARK: For a person

  func forAPerson() async throws {
    let clip = try makeClip()
    let camera = try startCamera(clip, seconds: 0)
    defer { camera.terminate() }
    print(
      """

      Plastron : démonstration en cours (running)
        mur, salle de commandement : \(world.url)   (certificat auto-signé : acceptez-le)
        opérateur : \(world.accounts["operateur"] ?? "")  mot de passe : \(world.passwords["operateur"] ?? "")
        auditeur  : \(world.accounts["auditeur"] ?? "")  mot de passe : \(world.passwords["auditeur"] ?? "")
        chef      : \(world.accounts["chef"] ?? "")  mot de passe : \(world.passwords["chef"] ?? "")
        caméra    : \(world.camera.id), menace déclarée par le porteur
        données   : \(world.settings.dataFolder)
      Ctrl-C pour finir.

      """)
    fflush(nil)
    while camera.isRunning {
      if case .status(let wall, let mark, _)? = try? await AdministratorLink.call(world.settings, .status) {
        let size = footageSize()
        let text =
          "incidents \(wall.incidents.count)  consultations \(wall.incidents.reduce(0) { $0 + $1.watchers })  enregistré \(size / 1024) Kio  journal \(mark.size)"
        FileHandle.standardOutput.write(Data("\r\(text)   ".utf8))
      }
      try await Task.sleep(for: .seconds(1))
    }
  }

  // MARK: Once

  func once() async throws {
    try await world.withSession("operateur") { operatorSession in
      try await world.withSession("auditeur") { auditor in try await once(operatorSession, auditor) }
    }
    if failures.withLock({ $0 }) > 0 { throw Complaint(description: "the demonstration failed") }
    print("demonstration: all of it holds")
  }

  private func once(_ operatorSession: APISession, _ auditor: APISession) async throws {
    let clip = try makeClip()
    let sentPath = world.settings.dataFolder + "/demo-sent.ts"
    print("camera: 20 s over SRT, threat declared")
    let output = Pipe()
    let camera = try startCamera(clip, seconds: 20, sent: sentPath, output: output)
    let incident = try await waitForIncident(operatorSession)
    check(incident.threat == "agents", "incident \(incident.incident) is active, threat declared: agents")
    let frames = Mutex(0)
    let viewing = Task {
      try await operatorSession.stream("GET", "/recordings/\(incident.recording)/live", nil) { bytes in
        frames.withLock { $0 += bytes.count }
      }
    }
    camera.waitUntilExit()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let viewed = frames.withLock { $0 }
    check(viewed > 100_000, "a viewer received \(viewed) live bytes")
    try await operatorSession.send("POST", "/incidents/\(incident.incident)/close", nil)
    viewing.cancel()
    let row = try await waitForClose(auditor, incident.recording)
    check(row.state == "closed", "the incident is closed, recording \(row.recording)")
    let sent = try FileManager.default.attributesOfItem(atPath: sentPath)[.size] as? Int ?? 0
    check(sent > 0 && said.contains("\"sent_bytes\":\(sent)"), "the camera sent \(sent) bytes")
    check(row.size_bytes == sent, "the index has \(row.size_bytes ?? -1) bytes")
    try await checkExport(incident.recording, sentPath)
    let report = try await auditor.send("GET", "/footage/check", nil)
    let agreed = String(decoding: report, as: UTF8.self)
    check(agreed.contains("\"findings\":[]") && agreed.contains("\"strays\":[]"), "files and index agree")
    try checkTerm(row)
    let decoded = try await waitForDecode(auditor, incident.recording)
    check(decoded == "decodes", "its key pictures decode: \(decoded)")
    try checkJournal(incident.recording)
  }

  private let failures = FailureCount()

  private func check(_ holds: Bool, _ sentence: String) {
    print("\(holds ? "ok  " : "FAIL") \(sentence)")
    if !holds { failures.withLock { $0 += 1 } }
  }

  private func waitForIncident(_ session: APISession) async throws -> Wall.Incident {
    for _ in 0..<100 {
      if case .status(let wall, _, _)? = try? await AdministratorLink.call(world.settings, .status),
        let card = wall.incidents.first(where: { $0.camera.rawValue == world.camera.id && $0.threat != nil })
      {
        return Wall.Incident(
          incident: card.incident.rawValue, recording: card.recording.rawValue, camera: card.camera.rawValue,
          threat: card.threat?.ground.rawValue)
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw Complaint(description: "no incident within 10 s")
  }

  private func waitForClose(_ session: APISession, _ recording: String) async throws -> Register.Row {
    var last: Register.Row?
    for _ in 0..<100 {
      let data = try await session.send("GET", "/register?camera=\(world.camera.id)", nil)
      last = try JSONDecoder().decode(Register.self, from: data).rows.first { $0.recording == recording }
      if let last, last.state == "closed" { return last }
      try await Task.sleep(for: .milliseconds(200))
    }
    guard let last else { throw Complaint(description: "the register does not know the recording") }
    return last
  }

  private func waitForDecode(_ session: APISession, _ recording: String) async throws -> String {
    for _ in 0..<100 {
      let data = try await session.send("GET", "/register?camera=\(world.camera.id)", nil)
      let row = try JSONDecoder().decode(Register.self, from: data).rows.first { $0.recording == recording }
      if let verdict = row?.decodes { return verdict }
      try await Task.sleep(for: .milliseconds(200))
    }
    return "not checked within 20 s"
  }

  private func checkExport(_ recording: String, _ sentPath: String) async throws {
    let exported = try await world.withSession("chef") { head in
      try await head.send(
        "POST", "/recordings/\(recording)/extraction",
        ["reason": "judicial", "reference": "DÉMO-1", "form": "ts"])
    }
    let sent = try Data(contentsOf: URL(fileURLWithPath: sentPath))
    check(exported == sent, "the export is what was sent, byte for byte (\(exported.count) bytes)")
  }

  private func checkTerm(_ row: Register.Row) throws {
    let calendar = try LegalCalendar.france()
    let today = calendar.day(of: SystemClocks.wall())
    let days = [today, today.adding(days: -1)].map { $0.adding(months: 6).description }
    check(row.term.map(days.contains) ?? false, "the register shows its term: \(row.term ?? "none")")
  }

  private func checkJournal(_ recording: String) throws {
    let folder = try JournalFolder(path: world.settings.journalFolder)
    var text = ""
    for number in 0..<64 {
      for entry in try folder.bundle(UInt64(number)) { text += String(decoding: entry, as: UTF8.self) }
    }
    let acts = [
      "incident.opened", "threat.declared", "viewing.joined", "incident.closed", "extraction", "register.read",
    ]
    let missing = acts.filter { !text.contains("\"act\":\"\($0)\"") }
    check(
      missing.isEmpty && text.contains(recording),
      "the journal has the entries\(missing.isEmpty ? "" : ", but not \(missing)")")
    let note = String(
      decoding: try Directories.read(world.settings.journalFolder + "/checkpoint", limit: 65_536), as: UTF8.self)
    let key = String(
      decoding: try Directories.read(world.settings.journalFolder + "/public-key", limit: 65_536), as: UTF8.self)
    check(note.contains("plastron/"), "and a signed checkpoint")
    let report = try VerifierKey(key.trimmingCharacters(in: .newlines)).map {
      try JournalVerifier.verify(folder, trusting: $0)
    }
    check(report?.holds ?? false, "under which the whole journal verifies (\(report?.entries ?? 0) entries)")
  }

  // MARK: Parts

  /// A clip made on the spot: a running clock and a tone, H.264 and AAC.
  private func makeClip() throws -> String {
    let path = world.settings.dataFolder + "/demo-clip.ts"
    if FileManager.default.fileExists(atPath: path) { return path }
    let ffmpeg = Process()
    ffmpeg.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    ffmpeg.arguments = [
      "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=25:duration=10", "-f", "lavfi",
      "-i", "sine=frequency=440:sample_rate=48000:duration=10", "-c:v", "libx264", "-preset", "veryfast", "-g", "25",
      "-bf", "2", "-b:v", "1M", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-f", "mpegts", path,
    ]
    ffmpeg.standardInput = FileHandle.nullDevice
    try ffmpeg.run()
    ffmpeg.waitUntilExit()
    guard ffmpeg.terminationStatus == 0 else { throw Complaint(description: "ffmpeg could not make the clip") }
    return path
  }

  private func startCamera(_ clip: String, seconds: Int, sent: String? = nil, output: Pipe? = nil) throws -> Process {
    let camera = Process()
    camera.executableURL = Settings.executable
    camera.arguments =
      [
        "camera", "--from", clip, "--port", "\(world.settings.ingestPort)", "--id", world.camera.id, "--threat",
        "agents", "--ref", "DEMO-1", "--seconds", "\(seconds)", "--supervised",
      ] + (sent.map { ["--sent", $0] } ?? ["--reconnect"])
    var environment = world.environment
    environment["PLASTRON_PASSPHRASE"] = world.camera.passphrase
    camera.environment = environment
    if let output { camera.standardOutput = output }
    camera.standardError = FileHandle.nullDevice
    // It ends with the demonstration, however that ends.
    camera.standardInput = lifeline
    try camera.run()
    return camera
  }

  private func footageSize() -> Int {
    let files = FileManager.default.enumerator(
      at: URL(fileURLWithPath: world.settings.footageFolder), includingPropertiesForKeys: [.fileSizeKey])
    var total = 0
    while let file = files?.nextObject() as? URL {
      total += (try? file.resourceValues(forKeys: [.fileSizeKey]))?.fileSize ?? 0
    }
    return total
  }
}

/// A count shared by the checks.
private final class FailureCount: Sendable {
  private let count = Mutex(0)
  func withLock<R: Sendable>(_ body: (inout Int) -> R) -> R { count.withLock { value in body(&value) } }
}
