internal import Crypto
internal import Doctrine
internal import Extraction
internal import Glibc
package import ObjectStore
internal import Seams
internal import Vault

/// Where the console reads masters: the footage folder, and the object store where there is one. Read-only.
package struct FootagePlaces: Sendable {
  let root: String
  /// With credentials that may only read.
  let objects: ObjectStore?

  package init(root: String, objects: ObjectStore?) {
    self.root = root
    self.objects = objects
  }

  /// Opens the file of a part, wherever it lies. Blocking.
  func open(_ part: IndexedPart) throws -> any ByteSource {
    try open(part.path, part.isInObjectStore ? .object : .disk)
  }

  private func open(_ path: String, _ place: FootagePlace) throws -> any ByteSource {
    switch place {
    case .disk:
      do { return try DiskSource(root + "/" + path) } catch {
        // Moved since it was asked for.
        guard error.number == ENOENT, let objects else { throw error }
        return try objects.source(path)
      }
    case .object:
      guard let objects else {
        throw Problem.unavailable("Le stockage objet (objects.url)")
      }
      return try objects.source(path)
    }
  }

  /// Reads a granted recording once, before a byte of it is handed out.
  func survey(_ grant: ReadGrant) async throws -> MasterReader {
    try await MasterReader.survey {
      try grant.parts.map { part in
        MasterPart(
          name: part.part.rawValue, source: try open(part.path, part.place), key: SymmetricKey(data: part.key.bytes),
          chunkCount: part.chunkCount)
      }
    }
  }
}
