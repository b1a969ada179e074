/// What an auditor can look at.
package enum RegisterView: String, Sendable, Codable, CaseIterable {
  case recordings
  case viewings
  case extractions
  case erasures
  case holds
  case accreditations
  case regimes
  case refusals
  case requests
  case journal
}

/// What an auditor asks the register for: facts, never content (MET-5).
package struct RegisterFilter: Equatable, Sendable, Codable {
  /// The facts that LAW allows to search by.
  package enum Key: String, Sendable, Codable, CaseIterable {
    case service
    /// Registration number or name.
    case agent
    case camera
    case incident
    case recording
    case state
    case account
    /// Procedure number or intervention.
    case reference
    case act
    /// `yes`: without agent or place, and not justified.
    case unjustified
  }

  package var values: [Key: String]
  /// What overlaps this time, for recordings; what happened in it, for everything else.
  package var from: UTCTime?
  package var to: UTCTime?
  package var limit: Int
  /// ``RegisterPage/next`` of the page before.
  package var after: String?

  /// Rows of one answer at the most; the next page goes on `after` the last row.
  package static let maximumLimit = 1000

  package init(
    _ values: [Key: String] = [:], from: UTCTime? = nil, to: UTCTime? = nil, limit: Int = 200, after: String? = nil
  ) {
    self.values = values
    self.from = from
    self.to = to
    self.limit = max(1, min(limit, Self.maximumLimit))
    self.after = after
  }
}

/// One page of a view: rows of cells by column, newest first.
package struct RegisterPage: Equatable, Sendable, Codable {
  package enum Kind: String, Sendable, Codable {
    case text
    case integer
    case boolean
    /// Microseconds since 1970, UTC.
    case time
    case day
  }

  package struct Column: Equatable, Sendable, Codable {
    package var name: String
    package var kind: Kind

    package init(_ name: String, _ kind: Kind) {
      self.name = name
      self.kind = kind
    }
  }

  package var columns: [Column]
  package var rows: [[String?]]
  /// Give as `after` for the next page; nil at the end.
  package var next: String?

  package init(columns: [Column], rows: [[String?]], next: String?) {
    self.columns = columns
    self.rows = rows
    self.next = next
  }
}
