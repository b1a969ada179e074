import Foundation
import Synchronization

/// A child of a measurement that says lines of JSON and takes words.
final class BenchChild {
  private let process = Process()
  private let input = Pipe()
  private let said = Said()

  var pid: pid_t { process.processIdentifier }
  var isRunning: Bool { process.isRunning }

  init(_ arguments: [String]) throws {
    process.executableURL = Settings.executable
    process.arguments = arguments
    process.standardInput = input
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    output.fileHandleForReading.readabilityHandler = { [said] handle in
      let data = handle.availableData
      guard !data.isEmpty else {
        handle.readabilityHandler = nil
        return
      }
      said.take(String(decoding: data, as: UTF8.self))
    }
  }

  /// The list of cameras that a load reads, readable by nobody else.
  static func writeCameras(_ known: [(id: String, passphrase: String)], to file: String) {
    let text = known.map { "\($0.id) \($0.passphrase)\n" }.joined()
    _ = FileManager.default.createFile(
      atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
  }

  /// The last line that decodes so; waits for one.
  func last<T: Decodable>(_ type: T.Type, within seconds: Double = 20, newerThan count: Int = 0) throws -> T {
    let until = Date().addingTimeInterval(seconds)
    repeat {
      let known = said.lines
      if known.count > count {
        for line in known[count...].reversed() {
          if let value = try? JSONDecoder().decode(T.self, from: Data(line.utf8)) { return value }
        }
      }
      usleep(20_000)
    } while Date() < until
    throw Complaint(description: "a child of the measurement said no \(T.self) within \(seconds) s")
  }

  /// The next line that decodes so; waits without holding a thread that viewers need.
  func next<T: Decodable>(_ type: T.Type) async throws -> T {
    let known = lineCount
    for _ in 0..<1000 {
      if let value = all(T.self, newerThan: known).last { return value }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw Complaint(description: "a child of the measurement said no \(T.self) within 20 s")
  }

  /// Every line that decodes so, from a count of lines on.
  func all<T: Decodable>(_ type: T.Type, newerThan count: Int) -> [T] {
    said.lines.dropFirst(count).compactMap { try? JSONDecoder().decode(T.self, from: Data($0.utf8)) }
  }

  var lineCount: Int { said.lines.count }

  func say(_ word: String) { try? input.fileHandleForWriting.write(contentsOf: Data((word + "\n").utf8)) }

  /// Ends it without a word to anybody.
  func kill() {
    Foundation.kill(pid, SIGKILL)
    process.waitUntilExit()
  }

  /// Ends its input and waits.
  func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  static func writeJSON(_ figures: some Encodable, to file: String?) throws {
    guard let file else { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(figures).write(to: URL(fileURLWithPath: file))
  }

  /// Whole lines out of pieces.
  private final class Said: Sendable {
    private let state = Mutex<(lines: [String], rest: String)>(([], ""))

    var lines: [String] { state.withLock { $0.lines } }

    func take(_ text: String) {
      state.withLock { state in
        var whole = (state.rest + text).components(separatedBy: "\n")
        state.rest = whole.removeLast()
        state.lines += whole
      }
    }
  }
}
