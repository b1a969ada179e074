package import Crypto
package import Footage
internal import Glibc

/// Reads a part's file from its start, chunk by chunk, checking the chain as it goes.
package struct PartReader: ~Copyable {
  private static let block_bytes = 1 << 20

  private let descriptor: Int32
  private let path: String
  private var scanner: PartScanner
  private var ended = false

  package init(path: String, key: SymmetricKey?) throws(VaultError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    self.path = path
    scanner = PartScanner(key: key)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
  }

  /// Goes on behind what is known of a file.
  ///
  /// - Throws: where the file is shorter than what is known of it.
  init(path: String, after known: KnownPoint, of header: PartHeader, key: SymmetricKey?) throws(VaultError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    self.path = path
    scanner = PartScanner(after: known.chain, of: header, length: Int(known.length), key: key)
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
    guard lseek(descriptor, 0, SEEK_END) >= off_t(known.length),
      lseek(descriptor, off_t(known.length), SEEK_SET) == off_t(known.length)
    else { throw VaultError("seek", path, "the file is shorter than \(known.length) bytes") }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }

  /// What has been established so far: header, chain, valid length, whether it is closed.
  package var state: PartScanner { scanner }

  /// The next chunks; nil at the end of the file.
  package mutating func next() throws -> [PartScanner.Item]? {
    while !ended {
      let block = try Directories.readBlock(descriptor, path, Self.block_bytes)
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
    var reader = try PartReader(path: path, key: nil)
    let bytes = try Directories.readBlock(
      reader.descriptor, path, PartHeader.fixedLength + PartHeader.maximumFacts_bytes)
    reader.ended = true
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
    var reader =
      if let known { try PartReader(path: path, after: known, of: try PartReader.header(of: path), key: key) } else {
        try PartReader(path: path, key: key)
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

/// Reads single chunks of a part's file by their place.
package struct ChunkFile: ~Copyable {
  private let descriptor: Int32
  private let path: String

  package init(path: String) throws(VaultError) {
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    self.path = path
    guard descriptor >= 0 else { throw VaultError.system("open", path) }
  }

  deinit { if descriptor >= 0 { _ = close(descriptor) } }

  /// Offset of the next bytes that a chunk may begin with; nil where there are none before the end.
  package borrowing func nextMagic(from start: Int) throws(VaultError) -> Int? {
    var offset = start
    while true {
      let window = try bytes(at: offset, upTo: 1 << 16)
      guard window.count >= ChunkHeader.magic.count else { return nil }
      for index in 0...(window.count - ChunkHeader.magic.count)
      where window[index] == ChunkHeader.magic[0] && window[index...].starts(with: ChunkHeader.magic) {
        return offset + index
      }
      offset += window.count - ChunkHeader.magic.count + 1
    }
  }

  /// The header at an offset; nil where there is none.
  package borrowing func header(at offset: Int) throws(VaultError) -> ChunkHeader? {
    let window = try bytes(at: offset, upTo: ChunkHeader.fixedLength + ChunkHeader.maximumMarks * 4)
    return try? ChunkHeader.decode(window[...], fileOffset: offset)
  }

  private borrowing func bytes(at offset: Int, upTo count: Int) throws(VaultError) -> [UInt8] {
    var got = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      repeat { got = pread(descriptor, buffer.baseAddress, count, off_t(offset)) } while got < 0 && errno == EINTR
      initialized = max(0, got)
    }
    guard got >= 0 else { throw VaultError.system("read", path) }
    return bytes
  }

  /// The ciphertext and tag of a chunk whose header is known.
  package borrowing func sealed(_ header: ChunkHeader, at offset: Int) throws(VaultError) -> [UInt8] {
    let length = Int(header.plaintextLength) + ChunkHeader.tagLength
    let start = offset + header.chunkLength - length
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, initialized in
      while count < length {
        let got = pread(descriptor, buffer.baseAddress.map { $0 + count }, length - count, off_t(start + count))
        if got < 0, errno == EINTR { continue }
        if got <= 0 { break }
        count += got
      }
      initialized = count
    }
    guard count == length else { throw VaultError("read", path, "the file ends inside a chunk") }
    return bytes
  }
}
