internal import Crypto
internal import Footage

/// The end of a file that nobody knows a point of: where to begin so that what came last is read.
///
/// A chunk that opens under the part's key was written by this server, and its header says where the chain stood before it. So
/// reading can begin with any of them; what is before it is read again by the monthly check, as what is before an indexed
/// point is.
enum PartTail {
  /// A hole is told ten seconds after it was given up, and durable a second later: what a stop left untold is no older.
  static let reach_us: Int64 = 20_000_000
  /// Twice the largest chunk that a reader takes.
  private static let firstWindow_bytes = 4 << 20
  /// Some twenty seconds at the largest rate that a camera may send at.
  private static let largestWindow_bytes = 64 << 20

  /// - Returns: nil where the whole file is within reach.
  /// - Throws: where no chunk of the end opens, or the file cannot be read.
  static func start(of source: DiskSource, key: SymmetricKey) throws -> KnownPoint? {
    let length = Int(try source.status().length_bytes)
    let file = ChunkFile(source)
    var window = firstWindow_bytes
    while length > window {
      let found = try firstAuthentic(in: file, from: length - window, key)
      if let found, try window >= largestWindow_bytes || reaches(found, file) {
        return KnownPoint(
          chain: ChainState(nextIndex: found.header.index, head: found.header.previous), length: Int64(found.offset),
          lastArrival_us: found.header.firstArrival_us, lastEpoch: found.header.epoch)
      }
      guard window < largestWindow_bytes else {
        throw VaultError("read", source.name, "no chunk opens in its last \(window) bytes")
      }
      window *= 2
    }
    return nil
  }

  private typealias Place = (header: ChunkHeader, offset: Int)

  private static func firstAuthentic(in file: ChunkFile, from start: Int, _ key: SymmetricKey) throws -> Place? {
    var offset = start
    while let found = try file.nextMagic(from: offset) {
      if let header = try file.header(at: found), let sealed = try? file.sealed(header, at: found),
        (try? header.open(sealed, key: key, fileOffset: found)) != nil
      {
        return (header, found)
      }
      offset = found + 1
    }
    return nil
  }

  /// Whether the chunks from a place on cover the time that is to be read.
  private static func reaches(_ place: Place, _ file: ChunkFile) throws -> Bool {
    var (last, offset) = place
    var newest_us = last.lastArrival_us
    while let next = try file.header(at: offset + last.chunkLength), next.index == last.index + 1 {
      offset += last.chunkLength
      newest_us = max(newest_us, next.lastArrival_us)
      last = next
    }
    return newest_us - place.header.firstArrival_us >= reach_us
  }
}
