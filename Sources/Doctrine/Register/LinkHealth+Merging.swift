extension LinkHealth {
  /// Local days that minutes are kept, this one included: enough to look into a complaint of the month. They never outlive
  /// their recording, whose erasure takes them along.
  package static let kept_days = 30
  /// Figures above this are no count of packets or bytes: what comes from the process that faces the network is bounded.
  package static let maximumCount: Int64 = 1 << 50
  private static let maximumTime_ms: Int64 = 86_400_000
  private static let maximumDrift_ppm = 1_000_000.0

  /// The same with every figure in its range, so that nothing that is told can stop who adds it up.
  package var bounded: LinkHealth {
    func count(_ value: Int64) -> Int64 { min(max(0, value), Self.maximumCount) }
    var health = self
    health.to = max(from, to)
    health.measured_ms = min(max(0, health.to.microseconds.subtracting(from.microseconds) / 1000), Self.maximumTime_ms)
    health.connections = Int(count(Int64(connections)))
    health.packets = count(packets)
    health.bytes = count(bytes)
    health.lost = count(lost)
    health.retransmitted = count(retransmitted)
    health.duplicates = count(duplicates)
    health.missing = count(missing)
    health.clockRestarts = count(clockRestarts)
    health.discontinuities = count(discontinuities)
    health.foreign = count(foreign)
    health.roundTrip_ms = roundTrip_ms.flatMap { trip in
      trip.isFinite ? min(max(0, trip), Double(Self.maximumTime_ms)) : nil
    }
    health.senderLatency_ms = min(max(0, senderLatency_ms), Int(Self.maximumTime_ms))
    health.lag_ms = lag_ms.map { min(max(0, $0), Self.maximumTime_ms) }
    health.drift_ppm = drift_ppm.flatMap { drift in
      drift.isFinite ? min(max(-Self.maximumDrift_ppm, drift), Self.maximumDrift_ppm) : nil
    }
    if case .timely(let window_ms) = delivery {
      health.delivery = .timely(window_ms: min(max(0, window_ms), 3_600_000))
    }
    return health
  }

  /// Adds what was seen later of the same camera: counts add up, states become the later's, of the lag the longest stays.
  package mutating func add(_ later: LinkHealth) {
    func sum(_ a: Int64, _ b: Int64) -> Int64 { min(a.adding(b), Self.maximumCount) }
    from = min(from, later.from)
    measured_ms = measured_ms.adding(later.measured_ms)
    connections = Int(sum(Int64(connections), Int64(later.connections)))
    packets = sum(packets, later.packets)
    bytes = sum(bytes, later.bytes)
    lost = sum(lost, later.lost)
    retransmitted = sum(retransmitted, later.retransmitted)
    duplicates = sum(duplicates, later.duplicates)
    missing = sum(missing, later.missing)
    clockRestarts = sum(clockRestarts, later.clockRestarts)
    discontinuities = sum(discontinuities, later.discontinuities)
    foreign = sum(foreign, later.foreign)
    lag_ms = if let lag_ms, let other = later.lag_ms { max(lag_ms, other) } else { lag_ms ?? later.lag_ms }
    guard later.to >= to else { return }
    recording = later.recording
    to = later.to
    roundTrip_ms = later.roundTrip_ms ?? roundTrip_ms
    senderLatency_ms = later.senderLatency_ms
    delivery = later.delivery
    drift_ppm = later.drift_ppm ?? drift_ppm
    clockOffset_ms = later.clockOffset_ms ?? clockOffset_ms
  }

  /// Mean rate over what was measured.
  package var rate_kbps: Int64 { measured_ms > 0 ? bytes.multiplied(by: 8) / measured_ms : 0 }

  /// The minute that it began in.
  package var minute: UTCTime { UTCTime(microseconds: from.seconds.flooredDivision(by: 60) &* 60_000_000) }

  /// Of the packets that came, how many by being sent again; 0 to 1.
  package var retransmittedShare: Double { packets > 0 ? Double(retransmitted) / Double(packets) : 0 }

  /// Of the packets that were sent, as far as known, how many were lost on the way; 0 to 1.
  package var lostShare: Double {
    packets > 0 ? min(1, Double(lost) / Double(packets)) : 0
  }
}

/// How a camera's link did in one minute of one recording: a row of the register.
package struct LinkMinute: Equatable, Sendable, Codable {
  /// Local day of the minute.
  package var day: LocalDate
  package var start: UTCTime
  package var health: LinkHealth

  package init(day: LocalDate, start: UTCTime, health: LinkHealth) {
    self.day = day
    self.start = start
    self.health = health
  }
}

extension Int64 {
  fileprivate func adding(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  fileprivate func subtracting(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }

  fileprivate func multiplied(by factor: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max : product
  }
}
