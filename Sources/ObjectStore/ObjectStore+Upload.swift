internal import Foundation
internal import NIOHTTP1
package import Vault

extension ObjectStore {
  /// Bytes of one piece of an upload: in memory, hashed and signed at once.
  static let piece_bytes = 8 << 20
  /// A store takes so many pieces at the most.
  static let maximumPieces = 10_000

  /// Stores a file whole, or leaves nothing.
  ///
  /// Specification: one PUT up to a piece, else CreateMultipartUpload, UploadPart, CompleteMultipartUpload.
  ///
  /// - Parameter pieceWritten: called after each piece; throws to break off.
  package func put(
    _ key: String, from source: any ByteSource, size: Int, pieceWritten: () throws -> Void = {}
  ) throws {
    guard size <= Self.piece_bytes * Self.maximumPieces else {
      throw ObjectStoreError(
        .refused, "\(key): \(size) bytes, at most \(Self.piece_bytes * Self.maximumPieces)")
    }
    if size <= Self.piece_bytes {
      _ = try send(Call(method: .PUT, key: key, body: try piece(source, 0..<size)))
      return try pieceWritten()
    }
    let begun = try send(Call(method: .POST, key: key, query: [("uploads", "")]))
    guard let upload = XMLText(begun.body).first("UploadId") else {
      throw ObjectStoreError(.refused, "\(key): no upload id")
    }
    do {
      var parts = ""
      for (index, start) in stride(from: 0, to: size, by: Self.piece_bytes).enumerated() {
        let answer = try send(
          Call(
            method: .PUT, key: key, query: [("partNumber", "\(index + 1)"), ("uploadId", upload)],
            body: try piece(source, start..<min(size, start + Self.piece_bytes))))
        let tag = (answer.headers.first(name: "etag") ?? "").replacing("\"", with: "")
        parts += "<Part><PartNumber>\(index + 1)</PartNumber><ETag>&quot;\(tag)&quot;</ETag></Part>"
        try pieceWritten()
      }
      let list = "<CompleteMultipartUpload>\(parts)</CompleteMultipartUpload>"
      let ended = try send(
        Call(method: .POST, key: key, query: [("uploadId", upload)], body: Array(list.utf8)))
      // A store may say 200 and fail after it.
      if let code = XMLText(ended.body).first("Code") { throw ObjectStoreError(.unavailable, "\(key): \(code)") }
    } catch {
      _ = try? send(Call(method: .DELETE, key: key, query: [("uploadId", upload)]))
      throw error
    }
  }

  /// Ends unfinished uploads of keys that begin so: their pieces are kept, and paid for, until somebody does.
  package func abortUploads(of key: String) throws(ObjectStoreError) {
    // Up to the first slash: stores do not agree on how one is signed in a query.
    let start = (location.prefix + key).prefix { $0 != "/" }
    let listed = try send(Call(method: .GET, query: [("prefix", String(start)), ("uploads", "")]))
    for upload in XMLText(listed.body).all("Upload") {
      let text = XMLText(Array(upload.utf8))
      guard let name = text.first("Key"), let id = text.first("UploadId"), name.hasPrefix(location.prefix + key) else {
        continue
      }
      let own = String(name.dropFirst(location.prefix.count))
      do throws(ObjectStoreError) {
        _ = try send(Call(method: .DELETE, key: own, query: [("uploadId", id)]))
      } catch { guard error.code == .notFound else { throw error } }
    }
  }

  private func piece(_ source: any ByteSource, _ range: Range<Int>) throws -> [UInt8] {
    let bytes = try source.read(at: range.lowerBound, upTo: range.count)
    guard bytes.count == range.count else {
      throw VaultError("read", source.name, "\(bytes.count) bytes where \(range.count) are due")
    }
    return bytes
  }
}
