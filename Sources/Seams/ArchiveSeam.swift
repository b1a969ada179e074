package import Doctrine

/// What the archive process is to do next.
package enum ArchiveWork: Equatable, Sendable, Codable {
  /// Stores the file of a closed part, reads it back, and says so.
  case move(PartIndexFacts)
  /// Removes an object whose key is destroyed.
  ///
  /// `location` names the store it was moved to; empty where it may be in this one.
  case erase(PartID, path: String, location: String)
}

/// From the archive, which moves closed masters to an object store. It holds no key and decides nothing.
package enum ArchiveCall: Equatable, Sendable, Codable {
  /// The bucket keeps nothing that is deleted; nil where that was established, else the reason why it is not used.
  case checked(refusal: String?)
  case next
  /// The object is there whole: its chain was read back and ends as the index says.
  case moved(PartID, location: String)
  case erased(PartID)
  /// It could not be done; the part stays where it is.
  case failed(PartID, reason: String)
  /// Masters found on this machine's disks: what lies in the store already is given back as work, to be read there first.
  case found([PartID])
}

package enum ArchiveReply: Equatable, Sendable, Codable {
  case work(ArchiveWork?)
  case done
}

package enum ArchiveNotice: Sendable, Codable { case heartbeat }
