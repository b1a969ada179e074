import ArgumentParser
import Foundation
import SRT
import Synchronization

/// Many simulated cameras in one process: real libsrt, encrypted, in real time.
///
/// Answers on standard output, a line each: twice a second what was sent and acknowledged so far, at the end the same of each
/// camera. A line `stop` on standard input, or the input's end, lets the buffers run empty and ends. After a line `vanish`
/// nothing more is sent, what each camera sent is said, and it waits: killed then, it leaves as a network does that breaks
/// down, without a word to the server.
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
  @Option(help: "Y écrire quand chaque message des caméras choisies est parti (JSON, us).") var log: String?
  @Option(parsing: .upToNextOption, help: "Caméras dont les départs sont notés (logged cameras).") var logged:
    [String] = []

  private struct Report: Encodable {
    var us: Int64
    var bytes: Int64
    var acknowledged: Int64
    var connected: Int
    var failed: Int
    var late_ms: Int64
  }

  private struct End: Encodable {
    var sent: [String: Int64]
    /// Of it, what the server's transport said that it has; a little less than it has.
    var acknowledged: [String: Int64]
  }

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
        spread_us: Int64(spread * 1e6), logged: log == nil ? [] : Set(logged), state: state)
    }
    for shift in shifts { shift.start() }
    Thread.detachNewThread {
      while let line = readLine() {
        if line == "stop" { break }
        if line == "vanish" { state.isGone.store(true, ordering: .relaxed) }
      }
      state.isOver.store(true, ordering: .relaxed)
    }
    try say(["mbps": stream.rate_mbps])
    while !shifts.allSatisfy(\.isFinished) {
      usleep(500_000)
      try say(
        Report(
          us: Int64(Date().timeIntervalSince1970 * 1e6), bytes: state.bytes.load(ordering: .relaxed),
          acknowledged: shifts.reduce(0) { $0 + $1.acknowledged },
          connected: state.connected.load(ordering: .relaxed), failed: state.failed.load(ordering: .relaxed),
          late_ms: state.late_us.exchange(0, ordering: .relaxed) / 1000))
    }
    let ends = shifts.flatMap(\.ends)
    if let log {
      let times = Dictionary(ends.compactMap { end in end.times.map { (end.camera, $0) } }) { $1 }
      try JSONEncoder().encode(times).write(to: URL(fileURLWithPath: log))
    }
    try say(
      End(
        sent: Dictionary(ends.map { ($0.camera, $0.sent) }) { $1 },
        acknowledged: Dictionary(ends.map { ($0.camera, $0.acknowledged) }) { $1 }))
    // Its connections stay as they are until it is killed, or whoever started it has ended.
    while state.isGone.load(ordering: .relaxed), !state.isOver.load(ordering: .relaxed) { usleep(10_000) }
  }

  private func say(_ value: some Encodable) throws {
    // Past stdio, whose flush would wait for the thread that reads a line.
    try FileHandle.standardOutput.write(contentsOf: JSONEncoder().encode(value) + Data("\n".utf8))
  }
}

/// What the threads of a load share.
final class LoadState: Sendable {
  let bytes = Atomic<Int64>(0)
  let connected = Atomic<Int>(0)
  let failed = Atomic<Int>(0)
  let isOver = Atomic<Bool>(false)
  let isGone = Atomic<Bool>(false)
  /// The latest that a message left after it was due, since the last report.
  let late_us = Atomic<Int64>(0)
}
