internal import AsyncHTTPClient
internal import Foundation
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Seams

/// Shows each checkpoint to a witness outside, with the proof that nothing before it changed.
///
/// The keeper has no way to the network; what is shown is public: sizes, roots, hashes.
/// Specification: C2SP tlog-witness, `add-checkpoint`.
// P8, LOG-6.
struct WitnessPoster: Sendable {
  /// Between two looks.
  static let interval: Duration = .seconds(60)
  /// After a failure: keeper or witness may be starting.
  static let retry: Duration = .seconds(3)
  static let maximumAnswer_bytes = 64 << 10

  let keeper: ConsoleKeeper
  let client: HTTPClient
  let url: String
  let logger: Logger

  func run() async {
    /// The size that the witness has; it says so where it knows better.
    var witnessed: UInt64 = 0
    while !Task.isCancelled {
      do {
        witnessed = try await show(after: witnessed)
        try await Task.sleep(for: Self.interval)
      } catch {
        logger.warning("the witness could not be told", metadata: ["error": "\(error)"])
        try? await Task.sleep(for: Self.retry)
      }
    }
  }

  /// Shows the newest checkpoint where it is larger; returns the size that the witness has by now.
  private func show(after known: UInt64) async throws -> UInt64 {
    var old = known
    // Once more where the witness says that it has another size.
    for _ in 0..<2 {
      guard
        case .journal(.forWitness(let size, let note, let proof)) = try await keeper.call(
          .journal(token: nil, .forWitness(old: old))), size > old
      else { return old }
      let (status, body) = try await post("old \(old)\n" + proof.map { $0 + "\n" }.joined() + "\n" + note)
      switch status {
      case 200:
        _ = try await keeper.call(.journal(token: nil, .cosigned(note: note + body)))
        logger.info("checkpoint witnessed", metadata: ["size": "\(size)"])
        return size
      case 409:
        guard let theirs = UInt64(body.trimmingCharacters(in: .whitespacesAndNewlines)) else { return old }
        if theirs > size {
          logger.critical("the witness knows a larger journal than this one: restored from a copy, or forked?")
          return old
        }
        old = theirs
      case 422:
        logger.critical("the witness does not accept the proof: this journal is not the one it knows")
        return old
      default:
        logger.warning("the witness refuses", metadata: ["status": "\(status)"])
        return old
      }
    }
    return old
  }

  private func post(_ text: String) async throws -> (status: UInt, body: String) {
    var request = HTTPClientRequest(url: url + (url.hasSuffix("/") ? "" : "/") + "add-checkpoint")
    request.method = .POST
    request.headers.add(name: "Content-Type", value: "text/plain")
    request.body = .bytes(ByteBuffer(string: text))
    let response = try await client.execute(request, timeout: .seconds(20))
    let body = try await response.body.collect(upTo: Self.maximumAnswer_bytes)
    return (response.status.code, String(buffer: body))
  }
}
