internal import Doctrine
internal import Extraction
internal import Foundation
internal import Logging
internal import Seams

/// Has closed recordings decoded in a sandboxed child, and tells the keeper what came of it.
///
/// This process never decodes: it cuts key pictures out of the transport stream and writes them into the
/// child's pipe. A child that hangs, dies or lies costs its own verdict and nothing else. What the stream's beginning says
/// of the camera's clock is told with the verdict.
// P9, MET-3.
struct DecodeChecker: Sendable {
  /// Between looks for a recording to check.
  static let pause: Duration = .seconds(2)
  /// Key pictures of one recording given to the child at the most.
  static let maximumPictures = 20_000
  static let deadline_s = 120.0

  struct Verdict: Decodable {
    var decoded: Int
    var failed: Int
    var firstFailure: Int?
  }

  let keeper: ConsoleKeeper
  let program: String
  let footage: FootagePlaces
  let logger: Logger

  func run() async {
    while !Task.isCancelled {
      do throws(Problem) {
        if case .read(let grant?) = try await keeper.call(.nextDecodeCheck) {
          var pictures = KeyPictures()
          let (verdict, detail) = await check(grant, &pictures)
          _ = try await keeper.call(
            .decodeChecked(
              grant.recording, verdict: verdict, detail: detail,
              clock: pictures.clock.map {
                ClockReading(source: $0.isMetadata ? .klv : .picture, offset_ms: $0.offset_ms)
              }))
          continue
        }
      } catch {
        logger.debug("no decode check", metadata: ["problem": "\(error.code)"])
      }
      try? await Task.sleep(for: Self.pause)
    }
  }

  private func check(_ grant: ReadGrant, _ pictures: inout KeyPictures) async -> (verdict: String, detail: String) {
    var offsets: [Double] = []
    do {
      let child = try SandboxedChild(program: program, deadline_s: Self.deadline_s)
      defer { child.end() }
      var truncated = false
      func give(_ found: [KeyPicture]) throws {
        for picture in found {
          guard offsets.count < Self.maximumPictures else {
            truncated = true
            return
          }
          offsets.append(picture.offset_s)
          try child.write(picture)
        }
      }
      try await footage.survey(grant).read { try give(pictures.push($0)) }
      try give(pictures.finish())
      guard !offsets.isEmpty else { return ("does-not", "aucune image clé trouvée (no key picture found)") }
      let verdict = try JSONDecoder().decode(Verdict.self, from: child.answer())
      if verdict.failed == 0, verdict.decoded == offsets.count {
        return ("decodes", "\(verdict.decoded) images clés décodées" + (truncated ? " (les premières)" : ""))
      }
      let index = verdict.firstFailure ?? 0
      let at = index < offsets.count ? offsets[index] : 0
      return (
        "does-not",
        "image clé \(index + 1) à \(String(format: "%.1f", at)) s ; \(verdict.failed) sur \(offsets.count) ne se décodent pas"
      )
    } catch {
      logger.warning("decode check failed", metadata: ["recording": "\(grant.recording)", "error": "\(error)"])
      return ("does-not", "le contrôle n'a pas abouti (\(type(of: error)))")
    }
  }
}

/// A child process fed through a pipe, ended by its own limits or by ``end()``.
private final class SandboxedChild {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private let timer: any DispatchSourceTimer

  init(program: String, deadline_s: Double) throws {
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = []
    process.environment = [:]
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let pid = process.processIdentifier
    timer = DispatchSource.makeTimerSource(queue: .global())
    timer.schedule(deadline: .now() + deadline_s)
    timer.setEventHandler { kill(pid, SIGKILL) }
    timer.resume()
  }

  /// One frame: coding (8), length (32, big-endian), the picture.
  func write(_ picture: KeyPicture) throws {
    let length = UInt32(picture.bytes.count)
    var frame: [UInt8] = [picture.coding.rawValue]
    for shift: UInt32 in [24, 16, 8, 0] { frame.append(UInt8(truncatingIfNeeded: length >> shift)) }
    try input.fileHandleForWriting.write(contentsOf: Data(frame + picture.bytes))
  }

  func answer() throws -> Data {
    try input.fileHandleForWriting.close()
    return try output.fileHandleForReading.read(upToCount: 4096) ?? Data()
  }

  func end() {
    timer.cancel()
    try? input.fileHandleForWriting.close()
    if process.isRunning { process.terminate() }
    process.waitUntilExit()
  }
}
