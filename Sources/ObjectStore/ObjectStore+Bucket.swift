internal import NIOHTTP1

extension ObjectStore {
  /// Makes sure that what is deleted in the bucket is gone: no versions, no locks, no replicas, and only its owner reads.
  ///
  /// - Throws: ``ObjectStoreError/Code/keepsWhatIsDeleted`` with the reason, or what the store answered.
  // RET-4: replicas and copies are erased with the recording.
  package func checkBucket() throws(ObjectStoreError) {
    let versioning = try send(Call(method: .GET, query: [("versioning", "")]))
    if let status = XMLText(versioning.body).first("Status") {
      throw keeps("versioning is \(status): deleted footage would stay as an older version")
    }
    if try configured("object-lock") { throw keeps("objects can be locked: they could not be erased at their term") }
    if try configured("replication") { throw keeps("it is replicated: a copy would outlive the recording") }
  }

  /// Whether a part of the bucket's configuration is there; a store that does not know it has none.
  private func configured(_ name: String) throws(ObjectStoreError) -> Bool {
    do throws(ObjectStoreError) {
      let answer = try send(Call(method: .GET, query: [(name, "")]))
      return name != "object-lock" || XMLText(answer.body).first("ObjectLockEnabled") == "Enabled"
    } catch {
      // A bucket that is not there answers alike; the caller has asked for its versioning before.
      if error.code == .notFound || error.message.contains("NotImplemented") { return false }
      throw error
    }
  }

  private func keeps(_ why: String) -> ObjectStoreError {
    ObjectStoreError(
      .keepsWhatIsDeleted, "bucket \(location.bucket): \(why). Take a bucket without it.")
  }
}
