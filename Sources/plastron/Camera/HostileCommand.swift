import ArgumentParser
import Foundation
import SRT
import Synchronization

/// A hostile camera: with a camera's own passphrase, or without any, it does to the ingest what it must stand.
///
/// It speaks to this machine only.
struct HostileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hostile",
    abstract: "Caméra hostile (hostile camera), pour éprouver un serveur de cette machine.", shouldDisplay: false)

  enum Connecting: String, CaseIterable {
    /// A clip as fast as the link takes it.
    case flood
    /// Opens and closes, fifty times a second.
    case flapping
    /// Calls with a passphrase that is not the camera's, one after another.
    case wrongPassphrase = "wrong-passphrase"
  }

  static var kinds: [String] {
    HostileStream.Kind.allCases.map(\.rawValue) + Connecting.allCases.map(\.rawValue)
      + HostileDatagrams.Kind.allCases.map(\.rawValue)
  }

  @Option(help: "Manière (kind).") var kind = ""
  @Flag(help: "Donne la liste des manières (lists the kinds).") var list = false
  @Option var port: UInt16 = 9710
  @Option(help: "Nom d'enrôlement.") var id = "CAM"
  @Option(help: "Clip .ts (transport stream).") var clip = ""
  @Option(help: "Durée en secondes.") var seconds = 5.0
  @Option(help: "Débit en Mbit/s, sauf « flood ».") var rate = 8.0
  @Option(help: "agents, persons, property") var threat: String?
  @Option(help: "Graine ; affichée, pour rejouer (seed).") var seed: UInt64?

  private static let host = "127.0.0.1"
  private static let openingsPerSecond = 50

  func run() throws {
    if list {
      print(Self.kinds.joined(separator: "\n"))
      return
    }
    signal(SIGPIPE, SIG_IGN)
    let seed = self.seed ?? UInt64.random(in: .min ... .max)
    let end = Date().addingTimeInterval(seconds)
    var figures: [String: Int] = [:]
    if let datagrams = HostileDatagrams.Kind(rawValue: kind) {
      var attacker = HostileDatagrams(datagrams, port: port, streamID: identifier, seed: seed)
      while Date() < end { try attacker.round() }
      figures = ["datagrams": attacker.sent, "answers": attacker.answers]
    } else {
      try SRTLibrary.start()
      defer { SRTLibrary.stop() }
      if let content = HostileStream.Kind(rawValue: kind) {
        var stream = HostileStream(content, clip: try readClip(content == .mutated), seed: seed)
        figures = try send(until: end, bytesPerSecond: rate * 125_000) { stream.next() }
      } else if let connecting = Connecting(rawValue: kind) {
        switch connecting {
        case .flood:
          var clip = try LoopingClip(try readClip(true))
          figures = try send(until: end, bytesPerSecond: nil) {
            (0..<7).flatMap { _ in clip.next().packet }
          }
        case .flapping: figures = try open(with: passphrase(), until: end)
        case .wrongPassphrase: figures = try open(with: "this is not the passphrase", until: end)
        }
      } else {
        throw Complaint(description: "--kind: \(Self.kinds.joined(separator: ", "))")
      }
    }
    let told = figures.sorted { $0.key < $1.key }.map { ",\"\($0.key)\":\($0.value)" }.joined()
    print("{\"kind\":\"\(kind)\",\"seed\":\(seed)\(told)}")
  }

  private var identifier: String {
    "#!::u=\(id),m=publish" + (threat.map { ",plastron_threat=\($0)" } ?? "")
  }

  private func passphrase() throws -> String {
    guard let value = ProcessInfo.processInfo.environment["PLASTRON_PASSPHRASE"] else {
      throw Complaint(description: "PLASTRON_PASSPHRASE is needed")
    }
    return value
  }

  private func readClip(_ needed: Bool) throws -> [UInt8] {
    guard needed else { return [] }
    guard !clip.isEmpty else { throw Complaint(description: "--clip is needed") }
    return [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip)))
  }

  private func call(_ passphrase: String, timeout_ms: Int32 = 3000) throws(SRTError) -> SRTSocket {
    try SRTSocket.call(
      CallOptions(host: Self.host, port: port, streamID: identifier, passphrase: passphrase, timeout_ms: timeout_ms))
  }

  /// Sends until `end`; calls again where the server ends the connection or refuses it.
  private func send(
    until end: Date, bytesPerSecond: Double?, _ next: () -> [UInt8]
  ) throws -> [String: Int] {
    var (connections, refused, messages, sent) = (0, 0, 0, 0)
    let passphrase = try passphrase()
    while Date() < end {
      do {
        let socket = try call(passphrase)
        connections += 1
        let began = Date()
        var here = 0
        while Date() < end {
          let message = next()
          try message.withUnsafeBytes { bytes in try socket.send(bytes, inOrder: false) }
          messages += 1
          here += message.count
          sent += message.count
          guard let bytesPerSecond else { continue }
          let ahead = Double(here) / bytesPerSecond - Date().timeIntervalSince(began)
          if ahead > 0.002 { usleep(UInt32(min(ahead, 1) * 1_000_000)) }
        }
      } catch {
        refused += 1
        usleep(200_000)
      }
    }
    return ["connections": connections, "refused": refused, "messages": messages, "bytes": sent]
  }

  /// Opens and closes from several threads, so that one slow answer does not hold the others up.
  private func open(with passphrase: String, until end: Date) throws -> [String: Int] {
    let counts = Counts()
    let threads = 10
    let group = DispatchGroup()
    for _ in 0..<threads {
      group.enter()
      Thread.detachNewThread {
        defer { group.leave() }
        while Date() < end {
          let began = Date()
          do throws(SRTError) {
            _ = try call(passphrase, timeout_ms: 1000)
            counts.opened.add(1, ordering: .relaxed)
          } catch {
            counts.refused.add(1, ordering: .relaxed)
          }
          let rest = Double(threads) / Double(Self.openingsPerSecond) - Date().timeIntervalSince(began)
          if rest > 0 { usleep(UInt32(rest * 1_000_000)) }
        }
      }
    }
    group.wait()
    return [
      "connections": counts.opened.load(ordering: .relaxed), "refused": counts.refused.load(ordering: .relaxed),
    ]
  }

  private final class Counts: Sendable {
    let opened = Atomic(0)
    let refused = Atomic(0)
  }
}
