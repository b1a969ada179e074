import ArgumentParser
import Foundation
import SRT
import Synchronization

/// Many simulated cameras in one process: real libsrt, encrypted, in real time.
///
/// Answers on standard output, a line each: twice a second what was sent so far, at the end what each camera sent. A line
/// `stop` on standard input, or the input's end, lets the buffers run empty and ends. Killed, it leaves as a network does that
/// breaks down: without a word to the server.
struct LoadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load", abstract: "Caméras simulées en nombre (many simulated cameras).", shouldDisplay: false)

  @Option(help: "Clip .ts") var clip: String
  @Option var port: UInt16
  @Option(help: "Fichier : nom et phrase secrète par ligne (name and passphrase a line).") var cameras: String
  @Option(help: "Secondes de flux préparées (seconds of stream made ahead).") var seconds = 120.0
  @Option(help: "Secondes sur lesquelles les appels sont étalés (calls spread over).") var spread = 2.0
  @Option(help: "Threads et ports UDP (sending threads, each with its UDP ports).") var threads = 2
  @Option(help: "Fois le temps réel (times real time).") var speed = 1.0
  @Option(help: "Y écrire quand chaque message de la première caméra est parti (us, a line each).") var log: String?

  private struct Report: Encodable {
    var us: Int64
    var bytes: Int64
    var connected: Int
    var failed: Int
    var late_ms: Int64
  }

  private struct End: Encodable { var sent: [String: Int64] }

  func run() throws {
    try SRTLibrary.start()
    defer { SRTLibrary.stop() }
    let stream = try RenderedStream(
      clip: [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip))), seconds: seconds, speed: speed)
    let text = try String(contentsOfFile: cameras, encoding: .utf8)
    let known = text.split(separator: "\n").map { line -> SimulatedCamera.Identity in
      let fields = line.split(separator: " ", maxSplits: 1).map(String.init)
      return .init(id: fields[0], passphrase: fields[1])
    }
    let state = LoadState()
    let count = max(1, min(threads, known.count))
    let shifts = (0..<count).map { number in
      LoadShift(
        number, cameras: stride(from: number, to: known.count, by: count).map { known[$0] }, stream: stream, port: port,
        spread_us: Int64(spread * 1e6), log: number == 0 ? log : nil, state: state)
    }
    for shift in shifts { shift.start() }
    Thread.detachNewThread {
      while let line = readLine() {
        if line == "stop" { break }
      }
      state.isOver.store(true, ordering: .relaxed)
    }
    try say(["mbps": stream.rate_mbps])
    while !shifts.allSatisfy(\.isFinished) {
      usleep(500_000)
      try say(
        Report(
          us: Int64(Date().timeIntervalSince1970 * 1e6), bytes: state.bytes.load(ordering: .relaxed),
          connected: state.connected.load(ordering: .relaxed), failed: state.failed.load(ordering: .relaxed),
          late_ms: state.late_us.exchange(0, ordering: .relaxed) / 1000))
    }
    var sent: [String: Int64] = [:]
    for shift in shifts { sent.merge(shift.sent) { $1 } }
    try say(End(sent: sent))
  }

  private func say(_ value: some Encodable) throws {
    // Past stdio, whose flush would wait for the thread that reads a line.
    FileHandle.standardOutput.write(try JSONEncoder().encode(value) + Data("\n".utf8))
  }
}

/// What the threads of a load share.
final class LoadState: Sendable {
  let bytes = Atomic<Int64>(0)
  let connected = Atomic<Int>(0)
  let failed = Atomic<Int>(0)
  let isOver = Atomic<Bool>(false)
  /// The latest that a message left after it was due, since the last report.
  let late_us = Atomic<Int64>(0)
}
