package import Crypto

/// The kinds of chunk a part consists of.
package enum ChunkKind: UInt8, Sendable {
  case media = 1
  case fill = 2
  case gap = 3
  case epoch = 4
  case close = 5
}

/// The clear header of a chunk, which is also the associated data of its seal.
///
/// Specification: docs/footage-format.md, "Chunk".
///
///     | PLCH | header length (32) | kind | flags | marks (16) | index (64) | epoch (32) | packets (32) |
///     | first sequence (64) | first arrival | last arrival | first clock | length (32) |
///     | plaintext hash (256) | previous (256) | nonce (96) | marks (32 each) | ciphertext | tag (128) |
package struct ChunkHeader: Equatable, Sendable {
  package static let magic: [UInt8] = Array("PLCH".utf8)
  package static let fixedLength = 4 + 4 + 1 + 1 + 2 + 8 + 4 + 4 + 8 + 8 + 8 + 8 + 4 + 32 + 32 + 12
  package static let tagLength = 16
  package static let maximumMarks = 16_000
  /// Writers end a chunk at 1 MiB; a reader takes twice that and refuses more.
  package static let maximumPlaintext_bytes = 2 << 20
  package static let noClock = UInt64.max

  package var kind: ChunkKind
  package var index: UInt64
  package var epoch: UInt32
  package var packetCount: UInt32
  package var firstSequence: UInt64
  package var firstArrival_us: Int64
  package var lastArrival_us: Int64
  /// First program clock reference, 90 kHz; ``noClock`` where there is none.
  package var firstClock: UInt64
  package var plaintextLength: UInt32
  package var plaintextHash: [UInt8]
  package var previous: [UInt8]
  package var nonce: [UInt8]
  /// Offsets of random-access packets in the plaintext, in bytes.
  package var marks: [UInt32]

  package var encoded: [UInt8] {
    var w = FieldWriter(reserving: Self.fixedLength + marks.count * 4)
    w.put(Self.magic)
    w.put(UInt32(Self.fixedLength + marks.count * 4))
    w.put(kind.rawValue)
    w.put(UInt8(marks.isEmpty ? 0 : 1))
    w.put(UInt16(marks.count))
    w.put(index)
    w.put(epoch)
    w.put(packetCount)
    w.put(firstSequence)
    w.put(firstArrival_us)
    w.put(lastArrival_us)
    w.put(firstClock)
    w.put(plaintextLength)
    w.put(plaintextHash)
    w.put(previous)
    w.put(nonce)
    for mark in marks { w.put(mark) }
    return w.bytes
  }

  /// Bytes of the whole chunk on disk.
  package var chunkLength: Int {
    Self.fixedLength + marks.count * 4 + Int(plaintextLength) + Self.tagLength
  }

  /// Reads a header; nil while too few bytes are there.
  package static func decode(
    _ bytes: ArraySlice<UInt8>, fileOffset: Int
  ) throws(FootageError) -> ChunkHeader? {
    guard bytes.count >= fixedLength else { return nil }
    var r = FieldReader(bytes)
    guard let magic = r.take(4), magic == Self.magic else {
      throw FootageError(.malformed, offset: fileOffset, "no chunk begins here")
    }
    guard let length: UInt32 = r.take(), let kindCode: UInt8 = r.take(), let flags: UInt8 = r.take(),
      let markCount: UInt16 = r.take(), let kind = ChunkKind(rawValue: kindCode),
      Int(length) == fixedLength + Int(markCount) * 4, Int(markCount) <= maximumMarks,
      flags == (markCount == 0 ? 0 : 1)
    else { throw FootageError(.malformed, offset: fileOffset, "the chunk's header does not add up") }
    guard bytes.count >= Int(length) else { return nil }
    guard let index: UInt64 = r.take(), let epoch: UInt32 = r.take(), let packets: UInt32 = r.take(),
      let sequence: UInt64 = r.take(), let first: Int64 = r.take(), let last: Int64 = r.take(),
      let clock: UInt64 = r.take(), let plainLength: UInt32 = r.take(), let plainHash = r.take(32),
      let previous = r.take(32), let nonce = r.take(12)
    else { return nil }
    guard Int(plainLength) <= maximumPlaintext_bytes else {
      throw FootageError(
        .tooLarge, offset: fileOffset, "chunk of \(plainLength) bytes, at most \(maximumPlaintext_bytes)")
    }
    var marks: [UInt32] = []
    for _ in 0..<markCount {
      guard let mark: UInt32 = r.take() else { return nil }
      marks.append(mark)
    }
    return ChunkHeader(
      kind: kind, index: index, epoch: epoch, packetCount: packets, firstSequence: sequence,
      firstArrival_us: first, lastArrival_us: last, firstClock: clock, plaintextLength: plainLength,
      plaintextHash: plainHash, previous: previous, nonce: nonce, marks: marks)
  }
}

/// What goes into one chunk, before it is sealed.
package struct ChunkContent: Equatable, Sendable {
  package var kind: ChunkKind
  package var epoch: UInt32
  package var packetCount: UInt32
  package var firstSequence: UInt64
  package var firstArrival_us: Int64
  package var lastArrival_us: Int64
  package var firstClock: UInt64
  package var marks: [UInt32]
  package var plaintext: [UInt8]

  package init(
    kind: ChunkKind, epoch: UInt32, packetCount: UInt32 = 0, firstSequence: UInt64 = 0,
    firstArrival_us: Int64, lastArrival_us: Int64, firstClock: UInt64 = ChunkHeader.noClock,
    marks: [UInt32] = [], plaintext: [UInt8]
  ) {
    self.kind = kind
    self.epoch = epoch
    self.packetCount = packetCount
    self.firstSequence = firstSequence
    self.firstArrival_us = firstArrival_us
    self.lastArrival_us = lastArrival_us
    self.firstClock = firstClock
    self.marks = marks
    self.plaintext = plaintext
  }
}

/// The end of a part's chain: what the next chunk must follow.
package struct ChainState: Equatable, Sendable {
  package var nextIndex: UInt64
  package var head: [UInt8]

  package init(header: PartHeader) {
    nextIndex = 0
    head = header.chainStart
  }

  /// A chain of which so many chunks are known, and the hash after them.
  package init(nextIndex: UInt64, head: [UInt8]) {
    self.nextIndex = nextIndex
    self.head = head
  }

  /// Seals `content` as the next chunk, appends its bytes to `out`, and moves the chain on.
  ///
  /// One pass each of AES-GCM and of two SHA-256, one allocation of the chunk's size (the box), one copy (into `out`).
  package mutating func seal(
    _ content: ChunkContent, key: SymmetricKey, into out: inout [UInt8]
  ) throws -> ChunkHeader {
    guard content.plaintext.count <= ChunkHeader.maximumPlaintext_bytes else {
      throw FootageError(
        .tooLarge, offset: 0,
        "chunk of \(content.plaintext.count) bytes, at most \(ChunkHeader.maximumPlaintext_bytes)")
    }
    let nonce = AES.GCM.Nonce()
    let header = ChunkHeader(
      kind: content.kind, index: nextIndex, epoch: content.epoch, packetCount: content.packetCount,
      firstSequence: content.firstSequence, firstArrival_us: content.firstArrival_us,
      lastArrival_us: content.lastArrival_us, firstClock: content.firstClock,
      plaintextLength: UInt32(content.plaintext.count),
      plaintextHash: Array(SHA256.hash(data: content.plaintext)), previous: head, nonce: Array(nonce),
      marks: Array(content.marks.prefix(ChunkHeader.maximumMarks)))
    let associated = header.encoded
    let box = try AES.GCM.seal(content.plaintext, using: key, nonce: nonce, authenticating: associated)
    var hash = SHA256()
    hash.update(data: box.ciphertext)
    hash.update(data: box.tag)
    head = ChainHash.chunk(header: associated, sealedHash: Array(hash.finalize()), previous: head)
    nextIndex += 1
    out.reserveCapacity(out.count + header.chunkLength)
    out += associated
    out.append(contentsOf: box.ciphertext)
    out.append(contentsOf: box.tag)
    return header
  }

  /// Checks that a chunk is the next of the chain, without any key, and moves the chain on.
  package mutating func accept(
    _ header: ChunkHeader, sealed: [UInt8], fileOffset: Int
  ) throws(FootageError) {
    guard header.index == nextIndex else {
      throw FootageError(
        .indexOutOfOrder, offset: fileOffset, "chunk \(header.index) stands where \(nextIndex) is due")
    }
    guard header.previous == head else {
      throw FootageError(.chainBroken, offset: fileOffset, "chunk \(header.index) does not follow the one before")
    }
    head = ChainHash.chunk(header: header.encoded, sealed: sealed, previous: head)
    nextIndex += 1
  }
}

extension ChunkHeader {
  /// The chain hash after this chunk, if it follows what it says it follows.
  package func chainHash(sealed: [UInt8]) -> [UInt8] {
    ChainHash.chunk(header: encoded, sealed: sealed, previous: previous)
  }

  /// Opens the sealed bytes of this chunk (ciphertext ‖ tag).
  package func open(
    _ sealed: [UInt8], key: SymmetricKey, fileOffset: Int
  ) throws(FootageError) -> [UInt8] {
    let plaintext: [UInt8]
    do {
      let box = try AES.GCM.SealedBox(
        nonce: AES.GCM.Nonce(data: nonce), ciphertext: sealed.dropLast(Self.tagLength),
        tag: sealed.suffix(Self.tagLength))
      plaintext = Array(try AES.GCM.open(box, using: key, authenticating: encoded))
    } catch {
      throw FootageError(.notAuthentic, offset: fileOffset, "chunk \(index) was altered, or the key is not its own")
    }
    guard Array(SHA256.hash(data: plaintext)) == plaintextHash else {
      throw FootageError(
        .plaintextMismatch, offset: fileOffset, "chunk \(index) opens to other bytes than it commits to")
    }
    return plaintext
  }
}
