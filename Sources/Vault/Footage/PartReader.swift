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
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { _ = Glibc.close(descriptor) }
    let size = lseek(descriptor, 0, SEEK_END)
    // A close chunk is its header, a line of JSON and a tag.
    let start = max(0, size - 1024)
    guard size > 0, lseek(descriptor, start, SEEK_SET) == start,
      let tail = try? Directories.readBlock(descriptor, path, 1024)
    else { return false }
    for index in tail.indices.reversed() where tail[index...].starts(with: ChunkHeader.magic) {
      guard let header = try? ChunkHeader.decode(tail[index...], fileOffset: 0) else { continue }
      return header.kind == .close && index + header.chunkLength == tail.count
    }
    return false
  }

  /// The header alone.
  package static func header(of path: String) throws -> PartHeader {
    let bytes = try DiskSource(path).read(at: 0, upTo: PartHeader.fixedLength + PartHeader.maximumFacts_bytes)
    return try PartHeader.decode(bytes).header
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
/// file that cannot be read at all is left as it is and reported.
package enum PartRecovery {
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
  }

  /// - Parameter known: where the index ends; the file is read and authenticated from there. What is before it is read
  ///   again by the monthly check.
  package static func recover(
    _ path: String, part: String, key: SymmetricKey, after known: KnownPoint? = nil
  ) throws -> Recovered {
    // A file that is not as the index knows it is read whole, as if nothing were known.
    if let known, let found = try? recover(path, part: part, key: key, behind: known), found.length >= known.length {
      return found
    }
    return try recover(path, part: part, key: key, behind: nil)
  }

  private static func recover(
    _ path: String, part: String, key: SymmetricKey, behind known: KnownPoint?
  ) throws -> Recovered {
    let source = try DiskSource(path)
    var reader = PartReader(source, key: key)
    if let known {
      // A file that ends before what is known of it is read whole.
      guard try known.length == 0 || !source.read(at: Int(known.length) - 1, upTo: 1).isEmpty else {
        throw VaultError("read", path, "the file is shorter than \(known.length) bytes")
      }
      reader = PartReader(source, after: known, of: try PartReader.header(of: path), key: key)
    }
    var lastArrival = known?.lastArrival_us ?? 0
    var lastEpoch = known?.lastEpoch ?? 0
    var chunks: [CommittedChunk] = []
    do {
      while let items = try reader.next() {
        for item in items {
          lastArrival = max(lastArrival, item.header.lastArrival_us)
          lastEpoch = max(lastEpoch, item.header.epoch)
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
      if known != nil, chunks.isEmpty { throw error }
    }
    let state = reader.state
    guard let header = state.header, let chain = state.chain else {
      throw FootageError(.truncated, offset: 0, "the file has no whole header")
    }
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
      isClosed: state.isClosed || known != nil && chunks.isEmpty && torn == 0 && PartReader.endsWithClose(path),
      torn_bytes: torn, lastArrival_us: lastArrival, lastEpoch: lastEpoch, chunks: chunks)
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
    let window = try source.read(at: offset, upTo: ChunkHeader.fixedLength + ChunkHeader.maximumMarks * 4)
    return try? ChunkHeader.decode(window[...], fileOffset: offset)
  }

  /// The ciphertext and tag of a chunk whose header is known.
  package func sealed(_ header: ChunkHeader, at offset: Int) throws(VaultError) -> [UInt8] {
    let length = Int(header.plaintextLength) + ChunkHeader.tagLength
    let bytes = try source.read(at: offset + header.chunkLength - length, upTo: length)
    guard bytes.count == length else { throw VaultError("read", source.name, "the file ends inside a chunk") }
    return bytes
  }
}
