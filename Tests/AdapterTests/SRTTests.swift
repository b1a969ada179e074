import Foundation
import Synchronization
import Testing

@testable import SRT

@Suite(.serialized)
struct SRTTests {
  init() throws { try SRTLibrary.start() }

  private func accept(_ listener: borrowing SRTListener) -> SRTSocket? {
    for _ in 0..<1000 {
      if let socket = listener.accept() { return socket }
      usleep(10_000)
    }
    return nil
  }

  /// Calls from a thread of its own at once, as `call` waits and the cooperative pool may be full of other tests; returns what
  /// the caller saw.
  private func call(_ port: UInt16, passphrase: String?, streamID: String = "#!::u=C") -> Task<String, Never> {
    let (answers, answer) = AsyncStream<String>.makeStream()
    Thread.detachNewThread {
      answer.yield(Self.callAndSend(port, passphrase: passphrase, streamID: streamID))
      answer.finish()
    }
    return Task {
      for await said in answers { return said }
      return "nothing"
    }
  }

  private static func callAndSend(_ port: UInt16, passphrase: String?, streamID: String) -> String {
    do throws(SRTError) {
      let socket = try SRTSocket.call(
        CallOptions(host: "127.0.0.1", port: port, streamID: streamID, passphrase: passphrase))
      let bytes = [UInt8](repeating: 0x47, count: 1316)
      for _ in 0..<50 { try send(bytes, socket) }
      for _ in 0..<100 where socket.unacknowledged_bytes() != 0 { usleep(20_000) }
      return "sent"
    } catch {
      return error.message
    }
  }

  private static func send(_ bytes: [UInt8], _ socket: borrowing SRTSocket) throws(SRTError) {
    var failure: SRTError?
    bytes.withUnsafeBytes { buffer in
      do throws(SRTError) { try socket.send(buffer, inOrder: false) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  @Test func deliversWhatWasSentWithItsSequence() async throws {
    let seen = Mutex<[String]>([])
    let listener = try SRTListener(host: "127.0.0.1", port: 0) { request in
      seen.withLock { $0.append("\(request.peer.host) \(request.streamID)") }
      return .exchangeKeys(passphrase: "correct horse battery", .complete(window_packets: 512))
    }
    let caller = call(listener.port, passphrase: "correct horse battery")
    guard let socket = accept(listener) else {
      Issue.record("not accepted")
      return
    }
    var sequences: [UInt32] = []
    var ended = false
    let first = socket.firstSequence()
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 16) { buffer in
      for _ in 0..<400 where !ended {
        switch socket.receive(into: buffer) {
        case .message(let length, let sequence):
          #expect(length == 1316 && buffer[0] == 0x47)
          sequences.append(sequence)
        case .nothing: usleep(10_000)
        case .ended: ended = true
        }
      }
    }
    #expect(await caller.value == "sent")
    #expect(ended)
    #expect(sequences.count == 50 && sequences.first == first)
    #expect(zip(sequences, sequences.dropFirst()).allSatisfy { $1 == ($0 + 1) & 0x7FFF_FFFF })
    #expect(seen.withLock { $0 } == ["127.0.0.1 #!::u=C"])
  }

  // A refusal looks the same whether the passphrase is wrong or nobody could know it; clear text never enters.
  @Test func refusesWrongPassphrasesAndClearText() async throws {
    let listener = try SRTListener(host: "127.0.0.1", port: 0) { request in
      .exchangeKeys(
        passphrase: request.streamID.contains("known") ? "the right passphrase" : UUID().uuidString,
        .complete(window_packets: 512))
    }
    let wrong = await call(listener.port, passphrase: "a wrong passphrase", streamID: "#!::u=known").value
    let unknown = await call(listener.port, passphrase: "a wrong passphrase", streamID: "#!::u=other").value
    let clearKnown = await call(listener.port, passphrase: nil, streamID: "#!::u=known").value
    let clearUnknown = await call(listener.port, passphrase: nil, streamID: "#!::u=other").value
    #expect(wrong != "sent" && clearKnown != "sent")
    #expect(wrong == unknown && clearKnown == clearUnknown)
    let accepted = listener.accept() != nil
    #expect(!accepted)
  }

  @Test func refusesBeforeTheKeyExchange() async throws {
    let listener = try SRTListener(host: "127.0.0.1", port: 0) { _ in .refuse }
    #expect(await call(listener.port, passphrase: "whatever it may be").value != "sent")
  }

  // Two listeners with a receive thread each, on one port: every call is admitted by one of them.
  @Test func severalListenersShareOnePort() async throws {
    let calls = Mutex<[Int]>([])
    let first = try SRTListener(host: "127.0.0.1", port: 0) { _ in
      calls.withLock { $0.append(1) }
      return .exchangeKeys(passphrase: "correct horse battery", .complete(window_packets: 512))
    }
    let second = try SRTListener(host: "127.0.0.1", port: first.port) { _ in
      calls.withLock { $0.append(2) }
      return .exchangeKeys(passphrase: "correct horse battery", .complete(window_packets: 512))
    }
    #expect(second.port == first.port && first.udpBuffer_bytes > 0)
    for _ in 0..<24 {
      #expect(await call(first.port, passphrase: "correct horse battery").value == "sent")
      while first.accept() != nil {}
      while second.accept() != nil {}
    }
    let seen = calls.withLock { Set($0) }
    #expect(seen == [1, 2])
  }

  // What waits for its time when the caller ends is still handed over when that comes.
  @Test func aTimelyConnectionHandsOverItsLastWindowAfterTheEnd() async throws {
    let listener = try SRTListener(host: "127.0.0.1", port: 0) { _ in
      .exchangeKeys(passphrase: "correct horse battery", .timely(window_ms: 300))
    }
    let caller = call(listener.port, passphrase: "correct horse battery")
    guard let socket = accept(listener) else {
      Issue.record("not accepted")
      return
    }
    var bytes = 0
    var ends = 0
    withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 16) { buffer in
      for _ in 0..<100 where ends < 50 {
        switch socket.receive(into: buffer) {
        case .message(let length, _): bytes += length
        case .nothing: usleep(10_000)
        case .ended:
          ends += 1
          usleep(10_000)
        }
      }
    }
    #expect(await caller.value == "sent")
    #expect(bytes == 50 * 1316)
  }
}
