/// A parser of bytes from outside, and what must hold whatever the bytes are.
///
/// One list for three users: libFuzzer (`Tests/Fuzz/LibFuzzer`), the replay of kept inputs in `make test`, and a
/// person who replays one file. docs/design/hostile-input.md says how a fail case is added.
enum FuzzTarget: String, CaseIterable, Sendable {
  case transportStream = "transport-stream"
  case elementaryStream = "elementary-stream"
  case parameterSets = "parameter-sets"
  case streamIdentifier = "stream-identifier"
  case footage
  case metadata
  case sound
  case packetOrder = "packet-order"

  /// Runs the parser over `input`.
  ///
  /// - Throws: ``Violation`` where an invariant does not hold. A trap is a failure as well.
  func run(_ input: [UInt8]) throws {
    switch self {
    case .transportStream: try TransportStreamTarget.run(input)
    case .elementaryStream: try ElementaryStreamTarget.run(input)
    case .parameterSets: try ParameterSetsTarget.run(input)
    case .streamIdentifier: try StreamIdentifierTarget.run(input)
    case .footage: try FootageTarget.run(input)
    case .metadata: try MetadataTarget.run(input)
    case .sound: try SoundTarget.run(input)
    case .packetOrder: try PacketOrderTarget.run(input)
    }
  }
}

/// An invariant that an input broke.
struct Violation: Error, CustomStringConvertible {
  var description: String
}

func hold(_ condition: Bool, _ invariant: @autoclosure () -> String) throws(Violation) {
  if !condition { throw Violation(description: invariant()) }
}

/// Where an input is cut: from the input itself, so that the same bytes are cut at the same places.
struct Cuts: Sequence, IteratorProtocol {
  private let input: [UInt8]
  private let longest: Int
  private var state: UInt64
  private var index = 0

  init(_ input: [UInt8], longest: Int) {
    self.input = input
    self.longest = longest
    state = UInt64(input.count) << 8 | UInt64(input.last ?? 0)
  }

  mutating func next() -> ArraySlice<UInt8>? {
    guard index < input.count else { return nil }
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let end = Swift.min(input.count, index + 1 + Int(state >> 33) % longest)
    defer { index = end }
    return input[index..<end]
  }
}
