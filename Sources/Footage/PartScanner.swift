package import Crypto

/// Walks the chunks of a part's file, in order, checking the chain as it goes.
///
/// Pure: bytes are pushed in as they are read; nothing is read here. With a key it authenticates and opens
/// each chunk; without, it checks what a third party can check.
package struct PartScanner: Sendable {
  package struct Item: Equatable, Sendable {
    package var header: ChunkHeader
    /// Byte offset of the chunk in the file.
    package var fileOffset: Int
    /// Chain hash after the chunk.
    package var chainHead: [UInt8]
    /// Nil where no key was given.
    package var plaintext: [UInt8]?
  }

  package private(set) var header: PartHeader?
  package private(set) var chain: ChainState?
  /// End of the last valid chunk (or of the header): the valid prefix of the file, in bytes.
  package private(set) var validLength = 0
  package private(set) var isClosed = false
  /// Bytes pushed and not yet part of a whole chunk.
  package var pending_bytes: Int { buffer.count }

  private var buffer: [UInt8] = []
  private let key: SymmetricKey?
  /// Found after chunks that were handed out; thrown when more is asked for.
  private var failure: FootageError?

  package init(key: SymmetricKey?) { self.key = key }

  /// Goes on behind chunks that are known: `length` bytes of the file, whose chain ends as `chain` says.
  package init(after chain: ChainState, of header: PartHeader, length: Int, key: SymmetricKey?) {
    self.header = header
    self.chain = chain
    self.key = key
    validLength = length
  }

  /// Takes the next bytes of the file and returns the chunks they complete.
  ///
  /// Chunks before a fault are handed out; the fault is thrown by this call where there are none, else by the next.
  package mutating func push(_ bytes: some Sequence<UInt8>) throws(FootageError) -> [Item] {
    if let failure { throw failure }
    buffer.append(contentsOf: bytes)
    var items: [Item] = []
    do throws(FootageError) {
      try scan(into: &items)
    } catch {
      failure = error
      if items.isEmpty { throw error }
    }
    return items
  }

  /// Throws the fault that the last ``push(_:)`` held back, if any.
  package func checkHeldFailure() throws(FootageError) { if let failure { throw failure } }

  private mutating func scan(into items: inout [Item]) throws(FootageError) {
    var cursor = 0
    defer { buffer.removeFirst(cursor) }
    if header == nil {
      guard let length = try Self.headerLength(buffer), buffer.count >= length else { return }
      let decoded = try PartHeader.decode(buffer)
      header = decoded.header
      chain = ChainState(header: decoded.header)
      cursor = decoded.length
      validLength = decoded.length
    }
    while let next = try ChunkHeader.decode(buffer[cursor...], fileOffset: validLength) {
      guard buffer.count - cursor >= next.chunkLength else { break }
      guard !isClosed else {
        throw FootageError(.afterClose, offset: validLength, "chunk \(next.index) follows the close")
      }
      let sealedStart = cursor + next.chunkLength - Int(next.plaintextLength) - ChunkHeader.tagLength
      let sealed = Array(buffer[sealedStart..<(cursor + next.chunkLength)])
      var advanced = chain
      try advanced?.accept(next, sealed: sealed, fileOffset: validLength)
      var plaintext: [UInt8]?
      if let key { plaintext = try next.open(sealed, key: key, fileOffset: validLength) }
      chain = advanced
      items.append(
        Item(
          header: next, fileOffset: validLength, chainHead: advanced?.head ?? [], plaintext: plaintext))
      if next.kind == .close { isClosed = true }
      validLength += next.chunkLength
      cursor += next.chunkLength
    }
  }

  private static func headerLength(_ bytes: [UInt8]) throws(FootageError) -> Int? {
    guard bytes.count >= 12 else { return nil }
    guard Array(bytes[0..<8]) == PartHeader.magic else {
      throw FootageError(.notAMaster, offset: 0, "no PLASTRN1 magic")
    }
    let length = bytes[8..<12].reduce(0) { $0 << 8 | Int($1) }
    guard length <= PartHeader.fixedLength + PartHeader.maximumFacts_bytes else {
      throw FootageError(.tooLarge, offset: 8, "header of \(length) bytes")
    }
    return length
  }
}
