internal import Doctrine
internal import Footage
internal import Foundation
internal import Seams
internal import Vault

/// Files that a stop left open, or that were closed so lately that nobody may have been told.
struct RecentParts: Sendable {
  /// An incident lasts hours; a recording that began earlier than this is not waited for.
  static let days = 3
  /// Closes are told within seconds, or when the keeper is back; older files are known.
  static let untold_s: Int64 = 2 * 3600

  /// A file that cannot be read now. It is left as it is.
  struct Unreadable: Sendable {
    var path: String
    var error: String
  }

  private(set) var parts: [FoundPart] = []
  /// Of every file: an incident that has one is not opened a second time.
  private(set) var incidents: Set<IncidentID> = []
  /// Files that a stop left before their header was whole, as they are called now.
  private(set) var setAside: [String] = []
  private(set) var unreadable: [Unreadable] = []
  /// Closed so long ago that they are known.
  private var known: [FoundPart] = []

  /// Looks through the days that count. Blocking.
  ///
  /// - Parameter isStart: nobody records yet: a file that is shorter than its header is what a stop left of it. There is
  ///   nothing in it, and its name must be free. While somebody does it is a file that is just being made.
  static func find(below root: String, at now: UTCTime, isStart: Bool) -> RecentParts {
    let today = LegalCalendar(initialOffset_s: 0, transitions: []).day(of: now)
    var found = RecentParts()
    let prefixes = Volumes.prefixes(below: root)
    for back in -1...days {
      let date = today.adding(days: -back).description.split(separator: "-").joined(separator: "/")
      for prefix in prefixes {
        let day = prefix + date
        for name in Directories.names(in: "\(root)/\(day)") where name.hasSuffix(".plm") {
          found.look(at: "\(day)/\(name)", below: root, now, isStart: isStart)
        }
      }
    }
    // Of a recording that goes on its other files count, however old: they know the last epoch.
    let open = Set(found.parts.filter { !$0.isClosed }.map(\.recording))
    found.parts += found.known.filter { open.contains($0.recording) }
    found.known = []
    return found
  }

  private mutating func look(at path: String, below root: String, _ now: UTCTime, isStart: Bool) {
    let full = "\(root)/\(path)"
    do {
      let ends = try PartEnds(full)
      incidents.insert(IncidentID(UUIDText.text(ends.header.incident)))
      if !ends.isClosed || now.microseconds / 1_000_000 - ends.changed_s < Self.untold_s {
        parts.append(FoundPart(ends.header, path: path, isClosed: ends.isClosed))
      } else {
        known.append(FoundPart(ends.header, path: path, isClosed: true))
      }
    } catch let error as FootageError where error.code == .truncated {
      guard isStart else { return }
      do {
        try FileManager.default.moveItem(atPath: full, toPath: full + ".headless")
        setAside.append(path + ".headless")
      } catch {
        unreadable.append(Unreadable(path: path, error: "\(error)"))
      }
    } catch {
      unreadable.append(Unreadable(path: path, error: "\(error)"))
    }
  }
}

extension FoundPart {
  /// Pages of at most so many parts; those of one recording are in one, even where that makes it longer.
  static func pages(of parts: [FoundPart], limit: Int = SeamLimits.foundPage) -> [[FoundPart]] {
    var pages: [[FoundPart]] = []
    for recording in Dictionary(grouping: parts, by: \.recording).sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      if let last = pages.last, last.count + recording.value.count <= limit {
        pages[pages.count - 1] += recording.value
      } else {
        pages.append(recording.value)
      }
    }
    return pages
  }
}
