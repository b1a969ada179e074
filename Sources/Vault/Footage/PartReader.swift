package import Crypto
package import Footage
internal import Glibc

/// Reads a part from its start, chunk by chunk, checking the chain as it goes.
package struct PartReader {
  private let source: any ByteSource
  private var scanner: PartScanner
  private var offset = 0
  private var ended = false

  package init(_ source: any ByteSource, key: SymmetricKey?) {
    self.source = source
    scanner = PartScanner(key: key)
  }

  package init(path: String, key: SymmetricKey?) throws(VaultError) { self.init(try DiskSource(path), key: key) }

  /// Goes on behind what is known of a file.
  init(_ source: any ByteSource, after known: KnownPoint, of header: PartHeader, key: SymmetricKey?) {
    self.source = source
    scanner = PartScanner(after: known.chain, of: header, length: Int(known.length), key: key)
    offset = Int(known.length)
  }

  /// What has been established so far: header, chain, valid length, whether it is closed.
  package var state: PartScanner { scanner }

  /// The next chunks; nil at the end of the file.
  package mutating func next() throws -> [PartScanner.Item]? {
    while !ended {
      let block = try source.read(at: offset, upTo: source.block_bytes)
      offset += block.count
      if block.isEmpty {
        ended = true
        try scanner.checkHeldFailure()
        return nil
      }
      let items = try scanner.push(block)
      if !items.isEmpty { return items }
    }
    return nil
  }

  /// Whether a file ends with a whole close chunk: read from its tail, not from its start.
  package static func endsWithClose(_ path: String) -> Bool {
    guard let source = try? DiskSource(path) else { return false }
    return (try? close(of: source)) != nil
  }

  /// The close chunk that a file ends with; nil where it has none.
  static func close(of source: DiskSource) throws(VaultError) -> ChunkHeader? {
    // A close chunk is its header, a line of JSON and a tag.
    let tail = try source.read(at: max(0, Int(try source.status().length_bytes) - 1024), upTo: 1024)
    for index in tail.indices.reversed() where tail[index...].starts(with: ChunkHeader.magic) {
      guard let header = try? ChunkHeader.decode(tail[index...], fileOffset: 0) else { continue }
      return header.kind == .close && index + header.chunkLength == tail.count ? header : nil
    }
    return nil
  }

  /// The header alone.
  ///
  /// - Throws: ``FootageError/Code/truncated`` only where the file is shorter than its header.
  package static func header(of path: String) throws -> PartHeader { try header(of: DiskSource(path)) }

  static func header(of source: DiskSource) throws -> PartHeader {
    // Facts are a few hundred bytes: nearly every header is whole in the first read.
    let bytes = try source.read(at: 0, upTo: 1024)
    if let decoded = try? PartHeader.decode(bytes) { return decoded.header }
    return try PartHeader.decode(
      source.read(at: 0, upTo: PartHeader.fixedLength + PartHeader.maximumFacts_bytes)
    ).header
  }

  /// The last epoch of a part: of its close chunk, else of all its chunks, unauthenticated. Blocking.
  package static func lastEpoch(of path: String) throws -> UInt32 {
    let source = try DiskSource(path)
    if let close = try close(of: source) { return close.epoch }
    var reader = PartReader(source, key: nil)
    var last: UInt32 = 0
    do {
      while let items = try reader.next() { last = items.reduce(last) { max($0, $1.header.epoch) } }
    } catch is FootageError {
      // A torn end: what is before it counts.
    }
    return last
  }
}

/// Both ends of a part's file, read without what is between them.
package struct PartEnds: Sendable {
  package var header: PartHeader
  package var isClosed: Bool
  /// When it was last written to, seconds since 1970.
  package var changed_s: Int64

  /// Blocking.
  ///
  /// - Throws: ``FootageError/Code/truncated`` only where the file is shorter than its header; ``VaultError`` where it cannot
  ///   be read.
  package init(_ path: String) throws {
    let source = try DiskSource(path)
    header = try PartReader.header(of: source)
    isClosed = try PartReader.close(of: source) != nil
    changed_s = try source.status().changed_s
  }
}

/// How far a part's file is known already: reading it again begins there.
package struct KnownPoint: Sendable {
  package var chain: ChainState
  /// Bytes of the file up to there.
  package var length: Int64
  package var lastArrival_us: Int64
  package var lastEpoch: UInt32

  package init(chain: ChainState, length: Int64, lastArrival_us: Int64, lastEpoch: UInt32) {
    self.chain = chain
    self.length = length
    self.lastArrival_us = lastArrival_us
    self.lastEpoch = lastEpoch
  }
}

/// Brings a part that a stop left open back to its valid prefix.
///
/// Invariants: (1) what is kept is a chain of whole, authentic chunks; (2) what is cut is kept aside; (3) a
/// file that cannot be read at all is left as it is and reported; (4) what is read is bounded by the last seconds of the
/// recording and by ``maximumUnindexed_bytes``, unless file and index disagree.
package enum PartRecovery {
  /// What the index lacks at most that is still read here; of more the register reads the file itself when the part is closed.
  package static let maximumUnindexed_bytes: Int64 = 32 << 20

  package struct Recovered: Sendable {
    package var header: PartHeader
    package var chain: ChainState
    package var length: Int64
    package var isClosed: Bool
    /// Bytes of the torn tail that were moved aside.
    package var torn_bytes: Int64
    package var lastArrival_us: Int64
    package var lastEpoch: UInt32
    /// What was read: all of it, or what follows the known point.
    package var chunks: [CommittedChunk]
    /// Packets that never came, and that a stop kept from being told.
    package var holes: [SequenceHole]
    /// Whether ``chunks`` follow what the index has without a hole.
    package var reachesIndex: Bool
  }

  /// - Parameters:
  ///   - known: where the index ends; the file is read and authenticated from there, or from the last seconds before it. What
  ///     is before that is read again by the monthly check.
  ///   - isIndexKnown: false where nobody knows what the index has: only the last seconds are read.
  package static func recover(
    _ path: String, part: String, key: SymmetricKey, after known: KnownPoint? = nil, isIndexKnown: Bool = true
  ) throws -> Recovered {
    let source = try DiskSource(path)
    let unindexed_bytes = try source.status().length_bytes - (known?.length ?? 0)
    // Nil inside: the whole file is its end. Nil outside: it has none that can be read alone.
    let tail: KnownPoint?? = try? PartTail.start(of: source, key: key)
    if !isIndexKnown || unindexed_bytes > maximumUnindexed_bytes, let tail = tail ?? nil,
      tail.length > known?.length ?? 0
    {
      if let found = try? recover(source, part, key, from: tail, index: nil, reachesIndex: false) { return found }
    } else if let known {
      // A file that is not as the index knows it is read whole, as if nothing were known. What is before the point is read
      // for the holes in it only.
      if let tail {
        let begin = tail.map { $0.length < known.length ? $0 : known }
        if let found = try? recover(source, part, key, from: begin, index: known) { return found }
      }
      if let found = try? recover(source, part, key, from: known, index: known) { return found }
    }
    return try recover(source, part, key, from: nil, index: nil, reachesIndex: isIndexKnown)
  }

  /// - Parameters:
  ///   - begin: where reading begins; nil: at the start.
  ///   - known: what the file must agree with.
  private static func recover(
    _ source: DiskSource, _ part: String, _ key: SymmetricKey, from begin: KnownPoint?, index known: KnownPoint?,
    reachesIndex: Bool = true
  ) throws -> Recovered {
    let path = source.name
    func disagrees() -> VaultError { VaultError("read", path, "the file is not as the index knows it") }
    var reader = PartReader(source, key: key)
    if let begin {
      // A file that ends before what is known of it is read whole.
      guard try begin.length == 0 || !source.read(at: Int(begin.length) - 1, upTo: 1).isEmpty else {
        throw VaultError("read", path, "the file is shorter than \(begin.length) bytes")
      }
      reader = PartReader(source, after: begin, of: try PartReader.header(of: source), key: key)
    }
    var lastArrival = max(begin?.lastArrival_us ?? 0, known?.lastArrival_us ?? 0)
    var lastEpoch = max(begin?.lastEpoch ?? 0, known?.lastEpoch ?? 0)
    var chunks: [CommittedChunk] = []
    var transport: [ChunkHeader] = []
    var read = 0
    do {
      while let items = try reader.next() {
        for item in items {
          read += 1
          lastArrival = max(lastArrival, item.header.lastArrival_us)
          lastEpoch = max(lastEpoch, item.header.epoch)
          let note = item.header.kind == .gap ? item.plaintext.flatMap(GapNote.decode) : nil
          if note?.cause != GapNote.encoderCause { transport.append(item.header) }
          if let known, item.header.index < known.chain.nextIndex {
            let isLast = item.header.index + 1 == known.chain.nextIndex
            let end = Int64(item.fileOffset + item.header.chunkLength)
            guard !isLast || item.chainHead == known.chain.head && end == known.length else { throw disagrees() }
            continue
          }
          chunks.append(
            CommittedChunk(
              part: part, header: item.header, fileOffset: Int64(item.fileOffset),
              head: item.chainHead, note: item.header.kind == .gap || item.header.kind == .close ? item.plaintext : nil)
          )
        }
      }
    } catch let error as FootageError where reader.state.header != nil {
      // The valid prefix ends before what could not be read: the end of a write that a stop tore. A file that has its
      // close chunk was whole once: what is wrong in it is damage, and is not ours to cut.
      if PartReader.endsWithClose(path) { throw error }
      // Right behind the known point it may be the index that is wrong: nothing is cut on its word.
      if begin != nil, read == 0 { throw error }
    }
    let state = reader.state
    guard let header = state.header, let chain = state.chain else {
      throw FootageError(.truncated, offset: 0, "the file has no whole header")
    }
    // Nothing is cut that the index has.
    if let known, Int64(state.validLength) < known.length { throw disagrees() }
    var file = try DurableFile.append(path)
    let torn = file.length - Int64(state.validLength)
    if torn > 0 {
      var number = 1
      while access("\(path).torn-\(number)", F_OK) == 0 { number += 1 }
      try Directories.copyTail(of: path, from: Int64(state.validLength), to: "\(path).torn-\(number)")
      try file.truncate(to: Int64(state.validLength))
      try file.flush()
    }
    return Recovered(
      header: header, chain: chain, length: Int64(state.validLength),
      isClosed: state.isClosed || begin != nil && read == 0 && torn == 0 && PartReader.endsWithClose(path),
      torn_bytes: torn, lastArrival_us: lastArrival, lastEpoch: lastEpoch, chunks: chunks,
      holes: SequenceHole.untold(in: transport), reachesIndex: reachesIndex)
  }
}

/// Reads single chunks of a part by their place.
package struct ChunkFile {
  private let source: any ByteSource

  package init(_ source: any ByteSource) { self.source = source }

  /// Offset of the next bytes that a chunk may begin with; nil where there are none before the end.
  package func nextMagic(from start: Int) throws(VaultError) -> Int? {
    var offset = start
    while true {
      let window = try source.read(at: offset, upTo: 1 << 16)
      guard window.count >= ChunkHeader.magic.count else { return nil }
      for index in 0...(window.count - ChunkHeader.magic.count)
      where window[index] == ChunkHeader.magic[0] && window[index...].starts(with: ChunkHeader.magic) {
        return offset + index
      }
      offset += window.count - ChunkHeader.magic.count + 1
    }
  }

  /// The header at an offset; nil where there is none.
  package func header(at offset: Int) throws(VaultError) -> ChunkHeader? {
    // Most have few marks.
    for marks in [64, ChunkHeader.maximumMarks] {
      let window = try source.read(at: offset, upTo: ChunkHeader.fixedLength + marks * 4)
      if let header = try? ChunkHeader.decode(window[...], fileOffset: offset) { return header }
    }
    return nil
  }

  /// The ciphertext and tag of a chunk whose header is known.
  package func sealed(_ header: ChunkHeader, at offset: Int) throws(VaultError) -> [UInt8] {
    let length = Int(header.plaintextLength) + ChunkHeader.tagLength
    let bytes = try source.read(at: offset + header.chunkLength - length, upTo: length)
    guard bytes.count == length else { throw VaultError("read", source.name, "the file ends inside a chunk") }
    return bytes
  }
}
