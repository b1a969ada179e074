/// The name of one thing of one kind, so that a camera's is never taken for a recording's.
///
/// The text is a lower-case UUID for what the server makes; cameras carry the short name they were enrolled
/// under, which is also the `u=` of their stream id.
package struct Identifier<Kind>: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package var rawValue: String

  package init(rawValue: String) { self.rawValue = rawValue }
  package init(_ rawValue: String) { self.rawValue = rawValue }

  package var description: String { rawValue }
}

extension Identifier: Codable {
  package init(from decoder: any Decoder) throws {
    rawValue = try decoder.singleValueContainer().decode(String.self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }
}

package enum ServiceKind {}
package enum AgentKind {}
package enum CameraKind {}
package enum IncidentKind {}
package enum RecordingKind {}
package enum PartKind {}
package enum ThreatKind {}
package enum ViewingKind {}
package enum AccountKind {}
package enum AccreditationKind {}
package enum HoldKind {}
package enum LegalErasureKind {}
package enum DataRequestKind {}

package typealias ServiceID = Identifier<ServiceKind>
package typealias AgentID = Identifier<AgentKind>
package typealias CameraID = Identifier<CameraKind>
package typealias IncidentID = Identifier<IncidentKind>
package typealias RecordingID = Identifier<RecordingKind>
package typealias PartID = Identifier<PartKind>
package typealias ThreatID = Identifier<ThreatKind>
package typealias ViewingID = Identifier<ViewingKind>
package typealias AccountID = Identifier<AccountKind>
package typealias AccreditationID = Identifier<AccreditationKind>
package typealias HoldID = Identifier<HoldKind>
package typealias LegalErasureID = Identifier<LegalErasureKind>
package typealias DataRequestID = Identifier<DataRequestKind>
