package import Doctrine

/// One camera: how it is received, and how its link does now. No name of a person, and no footage.
package struct CameraLink: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var service: ServiceID
  package var serviceName: String
  package var model: String
  package var enabled: Bool
  package var isIssued: Bool
  package var reception: ReceptionSettings
  package var clock: CameraClock?
  /// From its join to its leave.
  package var isConnected: Bool
  /// About its last minute; nil where it is not connected, or nothing was measured yet.
  package var health: LinkHealth?
  /// Worst first; empty where nothing is wrong, or nothing is known.
  package var diagnoses: [LinkDiagnosis]

  package init(
    camera: CameraID, service: ServiceID, serviceName: String, model: String, enabled: Bool, isIssued: Bool,
    reception: ReceptionSettings, clock: CameraClock?, isConnected: Bool, health: LinkHealth?,
    diagnoses: [LinkDiagnosis]
  ) {
    self.camera = camera
    self.service = service
    self.serviceName = serviceName
    self.model = model
    self.enabled = enabled
    self.isIssued = isIssued
    self.reception = reception
    self.clock = clock
    self.isConnected = isConnected
    self.health = health
    self.diagnoses = diagnoses
  }
}

/// Observations counted in buckets of fixed bounds, since a start.
package struct BucketCounts: Equatable, Sendable, Codable {
  package private(set) var counts: [Int]
  package private(set) var sum: Double

  /// - Parameter bounds: upper bounds, ascending; a last one is without end.
  package init(bounds: [Double]) {
    counts = [Int](repeating: 0, count: bounds.count + 1)
    sum = 0
  }

  /// - Parameter bounds: the same as at the start.
  package mutating func add(_ value: Double, bounds: [Double]) {
    counts[min(bounds.firstIndex { value <= $0 } ?? bounds.count, counts.count - 1)] += 1
    sum += value
  }
}

/// What cameras' links did since the keeper's start, and how many do what now.
package struct LinkFigures: Equatable, Sendable, Codable {
  package static let roundTripBounds_ms: [Double] = [10, 20, 50, 100, 200, 400, 800, 1600, 3200]
  package static let lagBounds_ms: [Double] = [50, 100, 250, 500, 1000, 2000, 5000, 10_000, 30_000]

  package var connected = 0
  /// Cameras now, by what is wrong.
  package var diagnosed: [LinkDiagnosis.Code: Int] = [:]
  /// Storms that began.
  package var storms: Int64 = 0
  package var total = LinkTotals()
  /// One observation a camera and report.
  package var roundTrip_ms = BucketCounts(bounds: roundTripBounds_ms)
  package var lag_ms = BucketCounts(bounds: lagBounds_ms)
  /// Minutes that were not kept: the database was away for too long.
  package var minutesDropped: Int64 = 0

  package init() {}
}

/// Counts that only grow.
package struct LinkTotals: Equatable, Sendable, Codable {
  package var bytes: UInt64 = 0
  package var packets: UInt64 = 0
  package var lost: UInt64 = 0
  package var retransmitted: UInt64 = 0
  package var duplicates: UInt64 = 0
  package var missing: UInt64 = 0
  package var clockRestarts: UInt64 = 0
  package var discontinuities: UInt64 = 0
  package var foreign: UInt64 = 0

  package init() {}

  /// - Parameter health: bounded.
  package mutating func add(_ health: LinkHealth) {
    bytes &+= UInt64(health.bytes)
    packets &+= UInt64(health.packets)
    lost &+= UInt64(health.lost)
    retransmitted &+= UInt64(health.retransmitted)
    duplicates &+= UInt64(health.duplicates)
    missing &+= UInt64(health.missing)
    clockRestarts &+= UInt64(health.clockRestarts)
    discontinuities &+= UInt64(health.discontinuities)
    foreign &+= UInt64(health.foreign)
  }
}

/// What a collector that asks for it is told of one camera.
package struct CameraFigures: Equatable, Sendable, Codable {
  package var camera: CameraID
  package var isConnected: Bool
  /// Nil where it is not connected, or nothing was measured yet.
  package var newest: LinkHealth?
  package var total: LinkTotals
  /// Where it still stands.
  package var clock: CameraClock?
  package var isStorming: Bool

  package init(
    camera: CameraID, isConnected: Bool, newest: LinkHealth?, total: LinkTotals, clock: CameraClock?, isStorming: Bool
  ) {
    self.camera = camera
    self.isConnected = isConnected
    self.newest = newest
    self.total = total
    self.clock = clock
    self.isStorming = isStorming
  }
}
