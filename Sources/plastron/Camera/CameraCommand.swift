import ArgumentParser
import Foundation
import SRT
import Synchronization

/// A simulated camera: real libsrt, real time, a clip that loops with continuous time stamps.
struct CameraCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "camera", abstract: "Caméra simulée (simulated camera), en temps réel.")

  @Option(help: "Clip .ts (transport stream).") var from: String
  @Option var host = "127.0.0.1"
  @Option var port: UInt16 = 9710
  @Option(help: "Nom d'enrôlement.") var id: String
  @Option(help: "Fichier de la phrase secrète ; sinon PLASTRON_PASSPHRASE. « none » appelle en clair.")
  var passphraseFile: String?
  @Option(help: "Durée en secondes.") var seconds = 0.0
  @Option(help: "agents, persons, property") var threat: String?
  @Option(help: "Référence d'intervention") var ref: String?
  @Option(help: "Identifiant d'activation") var act: String?
  @Flag(help: "Essai de liaison : ni enregistré ni relayé.") var linkTest = false
  @Flag(help: "Rappelle quand la liaison se perd.") var reconnect = false
  @Option(help: "Y écrire aussi ce qui est envoyé.") var sent: String?
  @Option(help: "Y écrire quand combien était envoyé : une ligne JSON par 100 ms (us, bytes, connection).") var sentLog:
    String?
  @Option(help: "Intervalle des lignes de --sent-log en ms ; 0 : une par message.") var sentLogEvery: Int64 = 100
  @Option(help: "Identifiant de flux tel quel, au lieu de celui des options.") var streamId: String?
  @Flag(help: "Envoie le fichier tel quel, une fois, sans le lire (raw bytes, as they are).") var raw = false
  @Flag(help: "Envoie les paquets avec l'ordre imposé, comme ffmpeg.") var inOrder = false

  @Option(help: "Abandonne un message non remis après tant de ms (message time to live).") var messageTTL: Int32?
  @Option(help: "Limite de ce qui est envoyé, retransmissions comprises, en octets/s ; 0 : selon --overhead.")
  var maxBandwidth: Int64?
  @Option(help: "Part de plus que le flux, de 5 à 100 %, pour les retransmissions ; vaut --max-bandwidth 0.")
  var overhead: Int32?
  @Option(help: "Latence demandée en ms (latency).") var latency: Int32 = 120

  @Flag(help: .hidden) var supervised = false

  /// Packets of one SRT message: seven make 1316 bytes, the usual payload.
  private static let packetsPerMessage = 7

  /// A message of null packets. ISO/IEC 13818-1, 2.4.3.3.
  private static let stuffing = [UInt8](
    (0..<packetsPerMessage).map { _ in [0x47, 0x1F, 0xFF, 0x10] + [UInt8](repeating: 0xFF, count: 184) }.joined())

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    signal(SIGTERM) { _ in CameraCommand.isSwitchedOff.store(true, ordering: .relaxed) }
    if supervised {
      Thread.detachNewThread {
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) > 0 {}
        _exit(0)
      }
    }
    try SRTLibrary.start()
    defer { SRTLibrary.stop() }
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: from)))
    if raw {
      try sendRaw(bytes)
      return
    }
    var clip = try LoopingClip(bytes)
    func file(_ path: String) throws -> FileHandle {
      guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
      else { throw Complaint(description: "cannot write \(path)") }
      return file
    }
    let record = try sent.map(file)
    var log = SentLog(file: try sentLog.map(file), every_us: sentLogEvery * 1000)
    let start = Date()
    var total = 0
    var connections = 0
    repeat {
      do {
        let socket = try SRTSocket.call(try callOptions())
        connections += 1
        FileHandle.standardError.write(Data("connected\n".utf8))
        total += try send(&clip, socket, start, record, &log)
      } catch {
        FileHandle.standardError.write(Data("\(error)\n".utf8))
        if !reconnect { throw Complaint(description: "\(error)") }
        usleep(200_000)
      }
    } while reconnect && !isOver(start)
    print("{\"sent_bytes\":\(total),\"connections\":\(connections)}")
  }

  private var identifier: String {
    if let streamId { return streamId }
    var fields = ["u=\(id)", "m=publish"]
    if linkTest { fields.append("r=linktest") }
    if let threat { fields.append("plastron_threat=\(threat)") }
    if let ref { fields.append("plastron_ref=\(ref)") }
    if let act { fields.append("plastron_act=\(act)") }
    return "#!::" + fields.joined(separator: ",")
  }

  private func callOptions() throws -> CallOptions {
    CallOptions(
      host: host, port: port, streamID: identifier, passphrase: try passphrase(), latency_ms: latency,
      maximumBandwidth_bytesPerSecond: maxBandwidth ?? (overhead == nil ? nil : 0), overhead_percent: overhead)
  }

  private func passphrase() throws -> String? {
    if passphraseFile == "none" { return nil }
    if let passphraseFile, let text = try? String(contentsOfFile: passphraseFile, encoding: .utf8) {
      return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    if let value = ProcessInfo.processInfo.environment["PLASTRON_PASSPHRASE"] { return value }
    throw SRTError(operation: "passphrase", code: 0, message: "--passphrase-file or PLASTRON_PASSPHRASE is needed")
  }

  private func isOver(_ start: Date) -> Bool {
    Self.isSwitchedOff.load(ordering: .relaxed) || seconds > 0 && Date().timeIntervalSince(start) >= seconds
  }

  /// Set by SIGTERM: the camera stops sending and lets its buffer run empty.
  private static let isSwitchedOff = Atomic<Bool>(false)

  /// Sends any bytes, a message every few milliseconds: what a faulty or hostile camera would.
  private func sendRaw(_ bytes: [UInt8]) throws {
    let socket = try SRTSocket.call(try callOptions())
    for start in stride(from: 0, to: bytes.count, by: 1316) {
      let message = Array(bytes[start..<min(start + 1316, bytes.count)])
      try message.withUnsafeBytes { buffer in try socket.send(buffer, inOrder: inOrder, timeToLive_ms: messageTTL) }
      usleep(4000)
    }
    for _ in 0..<100 where (socket.unacknowledged_bytes() ?? 0) > 0 { usleep(50_000) }
    print("{\"sent_bytes\":\(bytes.count),\"connections\":1}")
  }

  /// Sends in real time until the time is over or the link is lost; returns the bytes handed to the transport.
  private func send(
    _ clip: inout LoopingClip, _ socket: borrowing SRTSocket, _ start: Date, _ record: FileHandle?, _ log: inout SentLog
  ) throws -> Int {
    let began = Date()
    log.connected()
    var base_90k: Int64?
    var sent = 0
    while !isOver(start) {
      var message: [UInt8] = []
      var due: Int64?
      for _ in 0..<Self.packetsPerMessage {
        let (packet, clock) = clip.next()
        message += packet
        due = clock ?? due
      }
      do {
        try message.withUnsafeBytes { bytes in try socket.send(bytes, inOrder: inOrder, timeToLive_ms: messageTTL) }
      } catch {
        // The server ends a link test itself.
        if reconnect || linkTest { return sent }
        throw error
      }
      record?.write(Data(message))
      log.sent(message.count)
      sent += message.count
      if let due {
        let base = base_90k ?? due
        base_90k = base
        let ahead = Double(due - base) / 90_000 - Date().timeIntervalSince(began)
        if ahead > 0 { usleep(UInt32(min(ahead, 1) * 1_000_000)) }
      }
    }
    // A camera that is switched off lets its buffer run empty first. What was lost at the very end nobody asks for: only what
    // comes after it shows that it is missing.
    for turn in 1...100 where (socket.unacknowledged_bytes() ?? 0) > 0 {
      usleep(50_000)
      guard turn % 10 == 0, (try? Self.stuffing.withUnsafeBytes { try socket.send($0, inOrder: inOrder) }) != nil else {
        continue
      }
      record?.write(Data(Self.stuffing))
      log.sent(Self.stuffing.count)
      sent += Self.stuffing.count
    }
    return sent
  }
}

/// When how much had been handed to the transport: what a test of losses measures against.
struct SentLog {
  let file: FileHandle?
  /// Time from one line to the next at the least.
  let every_us: Int64
  private var bytes = 0
  private var connection = 0
  private var last_us: Int64 = 0

  init(file: FileHandle?, every_us: Int64) {
    self.file = file
    self.every_us = every_us
  }

  mutating func connected() {
    connection += 1
    write(now_us())
  }

  mutating func sent(_ count: Int) {
    guard file != nil else { return }
    bytes += count
    let now = now_us()
    if now - last_us >= every_us { write(now) }
  }

  private mutating func write(_ now: Int64) {
    last_us = now
    file?.write(Data("{\"us\":\(now),\"bytes\":\(bytes),\"connection\":\(connection)}\n".utf8))
  }

  private func now_us() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }
}
