import ArgumentParser
import Foundation
import SRT
import Synchronization

/// The floor of every SRT server: stock libsrt, encrypted, drained on a tick, and everything thrown away.
///
/// As many listeners on one port and as many threads as the ingest has, and the same receive calls.
struct FloorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "floor", abstract: "Réception seule, tout est jeté (receives and throws away).")

  @Option var port: UInt16 = 9712
  @Option var threads = ProcessInfo.processInfo.activeProcessorCount
  @Option(help: "Fichier de la phrase secrète, la même pour toutes (passphrase file, one for all).") var passphraseFile:
    String

  private static let tick_us: UInt32 = 5000
  private static let look_us: Int64 = 50_000

  private final class Received {
    let socket: SRTSocket
    var lastLook: Int64 = 0
    init(_ socket: consuming SRTSocket) { self.socket = socket }
  }

  func run() throws {
    try SRTLibrary.start()
    let passphrase = try String(contentsOfFile: passphraseFile, encoding: .utf8).trimmingCharacters(in: .newlines)
    let state = FloorState()
    var bound = port
    var listeners: [FloorListener] = []
    for _ in 0..<max(1, threads) {
      let listener = try SRTListener(host: "127.0.0.1", port: bound) { _ in
        .exchangeKeys(passphrase: passphrase, .complete(window_packets: SRTListener.usualFlightWindow_packets))
      }
      bound = listener.port
      listeners.append(FloorListener(listener))
    }
    Self.say("{\"port\":\(bound)}")
    let open = listeners
    withExtendedLifetime(open) {
      Thread.detachNewThread {
        while let line = readLine() {
          if line == "bytes" { Self.say("{\"bytes\":\(state.bytes.load(ordering: .relaxed))}") }
        }
        state.isOver.store(true, ordering: .relaxed)
      }
      DispatchQueue.concurrentPerform(iterations: open.count) { number in
        Self.drain(open[number], state)
      }
    }
  }

  /// Past stdio, whose flush would wait for the thread that reads a line.
  private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

  private static func drain(_ listener: FloorListener, _ state: FloorState) {
    var connections: [Received] = []
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 16) { buffer in
      while !state.isOver.load(ordering: .relaxed) {
        while let socket = listener.listener.accept() { connections.append(Received(socket)) }
        let now = Int64(DispatchTime.now().uptimeNanoseconds / 1000)
        var taken: Int64 = 0
        for connection in connections {
          var left = connection.socket.readable()
          if left == 0 {
            guard now - connection.lastLook >= look_us else { continue }
            connection.lastLook = now
            left = 512
          }
          loop: while left > 0 {
            left -= 1
            switch connection.socket.receive(into: buffer) {
            case .message(let length, _): taken += Int64(length)
            case .nothing, .ended: break loop
            }
          }
        }
        state.bytes.add(taken, ordering: .relaxed)
        usleep(tick_us)
      }
    }
  }
}

/// A listener that threads may hold.
private final class FloorListener: Sendable {
  let listener: SRTListener
  init(_ listener: consuming SRTListener) { self.listener = listener }
}

private final class FloorState: Sendable {
  let bytes = Atomic<Int64>(0)
  let isOver = Atomic<Bool>(false)
}
