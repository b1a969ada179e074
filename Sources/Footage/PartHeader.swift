import Crypto

/// A 16-byte id as the format stores it.
package typealias BinaryID = [UInt8]

/// The header of a part's file: whose it is, its wrapped key, its sealed facts.
///
/// Specification: docs/footage-format.md, "File header".
///
///     | PLASTRN1 | length (32) | part | recording | incident | service | day (32) | created (64) |
///     | previous head (256) | wrapped key (480) | facts length (32) | sealed facts |
package struct PartHeader: Equatable, Sendable {
  package static let magic: [UInt8] = Array("PLASTRN1".utf8)
  package static let fixedLength = 8 + 4 + 16 * 4 + 4 + 8 + 32 + 60 + 4
  /// Facts are a few hundred bytes; more is not a header of ours.
  package static let maximumFacts_bytes = 65_536

  package var part: BinaryID
  package var recording: BinaryID
  package var incident: BinaryID
  package var service: BinaryID
  /// Decimal yyyymmdd.
  package var localDay: UInt32
  package var created_us: Int64
  package var previousHead: [UInt8]
  package var wrappedKey: [UInt8]
  package var sealedFacts: [UInt8]

  package init(
    part: BinaryID, recording: BinaryID, incident: BinaryID, service: BinaryID, localDay: UInt32,
    created_us: Int64, previousHead: [UInt8], wrappedKey: [UInt8], sealedFacts: [UInt8]
  ) {
    self.part = part
    self.recording = recording
    self.incident = incident
    self.service = service
    self.localDay = localDay
    self.created_us = created_us
    self.previousHead = previousHead
    self.wrappedKey = wrappedKey
    self.sealedFacts = sealedFacts
  }

  package var encoded: [UInt8] {
    var w = FieldWriter(reserving: Self.fixedLength + sealedFacts.count)
    w.put(Self.magic)
    w.put(UInt32(Self.fixedLength + sealedFacts.count))
    for id in [part, recording, incident, service] { w.put(id) }
    w.put(localDay)
    w.put(created_us)
    w.put(previousHead)
    w.put(wrappedKey)
    w.put(UInt32(sealedFacts.count))
    w.put(sealedFacts)
    return w.bytes
  }

  /// Reads the header at the start of a file and tells its length.
  package static func decode(_ bytes: [UInt8]) throws(FootageError) -> (header: PartHeader, length: Int) {
    var r = FieldReader(bytes[...])
    guard let magic = r.take(8), let length: UInt32 = r.take() else {
      throw FootageError(.truncated, offset: bytes.count, "the file ends inside its header")
    }
    guard magic == Self.magic else { throw FootageError(.notAMaster, offset: 0, "no PLASTRN1 magic") }
    guard Int(length) >= fixedLength, Int(length) <= fixedLength + maximumFacts_bytes else {
      throw FootageError(
        .tooLarge, offset: 8, "header of \(length) bytes, at most \(fixedLength + maximumFacts_bytes)")
    }
    guard let part = r.take(16), let recording = r.take(16), let incident = r.take(16),
      let service = r.take(16), let day: UInt32 = r.take(), let created: Int64 = r.take(),
      let previous = r.take(32), let wrapped = r.take(60), let factsLength: UInt32 = r.take()
    else { throw FootageError(.truncated, offset: bytes.count, "the file ends inside its header") }
    guard Int(factsLength) == Int(length) - fixedLength else {
      throw FootageError(
        .malformed, offset: fixedLength - 4, "facts of \(factsLength) bytes in a header of \(length)")
    }
    guard let facts = r.take(Int(factsLength)) else {
      throw FootageError(.truncated, offset: bytes.count, "the file ends inside its header")
    }
    let header = PartHeader(
      part: part, recording: recording, incident: incident, service: service, localDay: day,
      created_us: created, previousHead: previous, wrappedKey: wrapped, sealedFacts: facts)
    return (header, Int(length))
  }

  /// The chain's start.
  package var chainStart: [UInt8] { ChainHash.header(encoded) }
}

/// The format's domain-separated hashes.
package enum ChainHash {
  static func tagged(_ tag: StaticString, _ pieces: [[UInt8]]) -> [UInt8] {
    var hash = SHA256()
    tag.withUTF8Buffer { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
    hash.update(data: [0])
    for piece in pieces { hash.update(data: piece) }
    return Array(hash.finalize())
  }

  package static func header(_ header: [UInt8]) -> [UInt8] { tagged("plastron/footage/v1/header", [header]) }

  package static func chunk(header: [UInt8], sealed: [UInt8], previous: [UInt8]) -> [UInt8] {
    chunk(header: header, sealedHash: Array(SHA256.hash(data: sealed)), previous: previous)
  }

  static func chunk(header: [UInt8], sealedHash: [UInt8], previous: [UInt8]) -> [UInt8] {
    tagged("plastron/footage/v1/chunk", [header, sealedHash, previous])
  }
}

/// Between the text of a UUID and the 16 bytes the format stores.
package enum UUIDText {
  package static func binary(_ text: String) -> BinaryID? {
    var out: [UInt8] = []
    var high: UInt8?
    for unit in text.utf8 where unit != UInt8(ascii: "-") {
      let digit: UInt8
      switch unit {
      case 48...57: digit = unit - 48
      case 97...102: digit = unit - 87
      case 65...70: digit = unit - 55
      default: return nil
      }
      if let held = high {
        out.append(held << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    return out.count == 16 && high == nil ? out : nil
  }

  package static func text(_ bytes: BinaryID) -> String {
    var out = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { out += "-" }
      out += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return out
  }
}
