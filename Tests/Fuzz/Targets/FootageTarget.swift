import Crypto

@testable import Footage

/// The reader of a master: what recovery, check, replay and export read of a file that anybody may have altered.
///
/// The input is read as a file; again with its chunks' places in the chain put right, so that the fuzzer gets
/// past the hashes; and last as content, sealed into a file that must open to the same and must not once a bit
/// of it is turned. Invariants: how the file is cut changes nothing; the valid prefix lies in the file.
enum FootageTarget {
  private static let key = SymmetricKey(data: [UInt8](repeating: 0x5A, count: 32))

  static func run(_ input: [UInt8]) throws {
    try scan(input)
    try scan(mended(input))
    try roundTrip(input)
    _ = try? Sealing.open(input, under: key, purpose: Sealing.factsPurpose, subject: [1])
    _ = UUIDText.binary(String(decoding: input.prefix(64), as: UTF8.self)).map(UUIDText.text)
  }

  private struct Outcome: Equatable {
    var items: [PartScanner.Item] = []
    var valid = 0
    var closed = false
    var failure: FootageError?
  }

  private static func outcome(_ input: [UInt8], longest: Int, key: SymmetricKey?) -> Outcome {
    var scanner = PartScanner(key: key)
    var outcome = Outcome()
    do throws(FootageError) {
      for piece in Cuts(input, longest: longest) { outcome.items += try scanner.push(piece) }
      try scanner.checkHeldFailure()
    } catch {
      outcome.failure = error
    }
    outcome.valid = scanner.validLength
    outcome.closed = scanner.isClosed
    return outcome
  }

  private static func scan(_ input: [UInt8]) throws {
    let whole = outcome(input, longest: .max, key: nil)
    try hold(whole.valid >= 0 && whole.valid <= input.count, "a valid prefix of \(whole.valid) in \(input.count)")
    try hold(whole == outcome(input, longest: 97, key: nil), "cut elsewhere, the file reads differently")
    var end = 0
    for item in whole.items {
      try hold(item.fileOffset >= end, "chunk \(item.header.index) begins inside the one before")
      end = item.fileOffset + item.header.chunkLength
    }
    try hold(end <= whole.valid, "a chunk past the valid prefix")
    _ = outcome(input, longest: .max, key: key)
  }

  /// The input with every chunk's index and previous hash as the chain wants them.
  private static func mended(_ input: [UInt8]) throws -> [UInt8] {
    guard let start = try? PartHeader.decode(input) else { return input }
    var out = Array(input[..<start.length])
    var chain = ChainState(header: start.header)
    var rest = input[start.length...]
    while let header = try? ChunkHeader.decode(rest, fileOffset: 0), header.chunkLength <= rest.count {
      var moved = header
      moved.index = chain.nextIndex
      moved.previous = chain.head
      let sealed = Array(rest.prefix(header.chunkLength).dropFirst(header.encoded.count))
      out += moved.encoded + sealed
      try chain.accept(moved, sealed: sealed, fileOffset: 0)
      rest = rest.dropFirst(header.chunkLength)
    }
    return out + rest
  }

  private static func roundTrip(_ input: [UInt8]) throws {
    let header = PartHeader(
      part: .init(repeating: 1, count: 16), recording: .init(repeating: 2, count: 16),
      incident: .init(repeating: 3, count: 16), service: .init(repeating: 4, count: 16), localDay: 20_261_121,
      created_us: 42, previousHead: .init(repeating: 0, count: 32), wrappedKey: .init(repeating: 5, count: 60),
      sealedFacts: Array(input.prefix(48)))
    var chain = ChainState(header: header)
    var file = header.encoded
    var contents: [[UInt8]] = []
    for piece in Cuts(input, longest: 4096).prefix(16) {
      contents.append(Array(piece))
      _ = try chain.seal(
        ChunkContent(
          kind: contents.count == 1 ? .epoch : .media, epoch: 1, firstArrival_us: .min, lastArrival_us: .max,
          marks: piece.prefix(4).map(UInt32.init), plaintext: Array(piece)), key: key, into: &file)
    }
    let read = outcome(file, longest: 1500, key: key)
    try hold(read.failure == nil && read.valid == file.count, "what was sealed does not open: \(read)")
    try hold(read.items.map(\.plaintext) == contents, "what was sealed opens to something else")
    guard !contents.isEmpty else { return }
    let place = header.encoded.count + (input.count &* 31 + Int(input[0])) % (file.count - header.encoded.count)
    file[place] ^= 1 << (input[0] & 7)
    let altered = outcome(file, longest: .max, key: key)
    try hold(altered.items.map(\.plaintext) != contents || altered.valid != file.count, "a turned bit is not seen")
  }
}
