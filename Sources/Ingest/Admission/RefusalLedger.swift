import Doctrine
import Seams

/// Refused calls on their way to the refusal list: the first of a kind at once, what follows within a minute as one line with
/// its number. Pure.
///
/// A kind is a reason and a camera that is enrolled. Of everybody else it is a reason and the network that the calls come
/// from: what a stranger calls themselves is not kept. However many names somebody calls by, and from however many networks,
/// there are at most ``maximumKinds`` and ``maximumStrangers`` lines a minute without proof. The ledger itself is what waits
/// while nobody takes them, and grows no larger by it.
struct RefusalLedger: Sendable {
  static let gather_s: Int64 = 60
  /// Lines a minute that name an enrolled camera without its proof, and lines of strangers; what is beyond them is one line for
  /// each reason. Cameras that proved themselves have their lines in any case: there are as many as are enrolled, with a
  /// handful of reasons each.
  static let maximumKinds = 256
  static let maximumStrangers = 64
  private static let elsewhere = "adresses diverses"

  private enum Origin: Hashable {
    case camera(String)
    case network(String)
    case elsewhere
  }

  private struct Kind: Hashable {
    var code: String
    var isProven: Bool
    var origin: Origin
  }

  private struct Line {
    var refusal: RefusalEntry
    /// Calls that were not told of yet.
    var untold: Int64
    var since: MonotonicTime
    /// Something of it was told in this minute: the rest waits for its end.
    var isOpen: Bool
  }

  private var lines: [Kind: Line] = [:]
  private var strangers = 0
  private var unproven = 0

  /// Takes one refusal; `camera` is nil unless it is enrolled.
  mutating func note(_ refusal: RefusalEntry, network: String, at now: MonotonicTime) {
    var refusal = refusal
    var kind = Kind(
      code: refusal.code, isProven: refusal.proven, origin: refusal.camera.map(Origin.camera) ?? .network(network))
    if lines[kind] == nil, !refusal.proven {
      let hasRoom = refusal.camera == nil ? strangers < Self.maximumStrangers : unproven < Self.maximumKinds
      if !hasRoom {
        kind.origin = .elsewhere
        refusal.camera = nil
        refusal.service = nil
        refusal.peer = Self.elsewhere
      }
    }
    count(kind, 1)
    var line = lines[kind] ?? Line(refusal: refusal, untold: 0, since: now, isOpen: false)
    line.refusal = refusal
    line.untold += refusal.count
    lines[kind] = line
  }

  /// Takes at most `limit` lines that are due; what is not taken goes on gathering.
  mutating func takeDue(at now: MonotonicTime, limit: Int) -> [RefusalEntry] {
    var due: [RefusalEntry] = []
    for (kind, line) in lines {
      guard due.count < limit else { break }
      let isOver = now.since(line.since) >= Self.gather_s * 1_000_000
      guard isOver || !line.isOpen else { continue }
      guard line.untold > 0 else {
        lines[kind] = nil
        count(kind, -1)
        continue
      }
      var refusal = line.refusal
      refusal.count = line.untold
      due.append(refusal)
      lines[kind] = Line(refusal: line.refusal, untold: 0, since: now, isOpen: true)
    }
    return due.sorted { $0.at < $1.at }
  }

  /// Counts a kind that comes or goes.
  private mutating func count(_ kind: Kind, _ change: Int) {
    guard change < 0 || lines[kind] == nil else { return }
    switch kind.origin {
    case .camera: if !kind.isProven { unproven += change }
    case .network: strangers += change
    case .elsewhere: break
    }
  }
}
