/// From the PES packets of one picture stream to its pictures.
///
/// One packet may hold one picture, several, one field of two, or a part of one. A picture is put out with the
/// packet that ends it; only a first field, and every picture of a sender that cuts pictures in parts, waits
/// for the packet after it. Holds one picture at the most.
struct PictureAssembler: Sendable {
  enum Coding: Equatable, Sendable { case h264, h265 }

  private struct Picture {
    var data: [UInt8] = []
    var times: StreamClock.Times
    /// The packet says so; believed where the picture is coded alone, for some senders say it always.
    var isAnnounced = false
    var isIntra = true
    var isRandomAccess = false
    var hasSlices = false
    var startsPicture = true
    var field: H264SliceHeader.Field?
    var parameterSet: UInt8 = 0
    var cameraTime_us: Int64?
    /// Sets that came with it, changed since the configuration.
    var sets: [UInt8] = []
  }

  let pid: UInt16
  let coding: Coding
  private(set) var configuration: TrackConfiguration?
  private var clock = StreamClock()
  private var h264 = H264ParameterSets()
  private var h265 = H265ParameterSets()
  /// A first field, or a picture whose parts may go on.
  private var pending: Picture?
  private var cutsPictures = false

  init(pid: UInt16, coding: Coding) {
    self.pid = pid
    self.coding = coding
  }

  /// A packet of this PID is missing: what is held cannot be completed.
  mutating func abandon() { pending = nil }

  mutating func drain(into events: inout [DemuxerEvent]) {
    if let last = pending { deliver(last, into: &events) }
    pending = nil
  }

  mutating func push(_ unit: ElementaryUnit, unroller: inout TimestampUnroller, into events: inout [DemuxerEvent]) {
    var found: [TransportDamage] = []
    let times = clock.times(
      presentation: unit.presentation, decoding: unit.decoding, unroller: &unroller, pid: pid
    ) { found.append($0) }
    events += found.map { .damage($0) }
    guard let times else { return tell(.timestampMissing(pid: pid), at: 7, &events) }
    let units = ByteStream.units(unit.data)
    guard units.count < ByteStream.maximumUnits else {
      pending = nil
      return tell(.tooManyUnits(pid: pid, limit: ByteStream.maximumUnits), &events)
    }
    var current = Picture(times: times, isAnnounced: unit.randomAccess)
    current.data.reserveCapacity(unit.data.count + 16)
    for nal in units { take(nal, &current, &events) }
    if current.hasSlices || !current.data.isEmpty { settle(current, into: &events) }
  }

  private mutating func take(_ nal: ArraySlice<UInt8>, _ current: inout Picture, _ events: inout [DemuxerEvent]) {
    guard let first = nal.first else { return }
    let kind =
      coding == .h264
      ? PictureUnit(h264: nal, first, sequence: h264.sequence(ofPicture:)) : PictureUnit(h265: nal, first)
    if current.hasSlices, kind.mayStartPicture(after: current.field) {
      settle(current, into: &events)
      current = Picture(times: clock.next() ?? current.times)
    }
    switch kind {
    case .unused, .delimiter: break
    case .set(let type):
      let kept = coding == .h264 ? h264.keep(nal, type: type) : h265.keep(nal, type: type)
      guard let kept else { return tell(.parameterSetMalformed(pid: pid), &events) }
      if kept { append(nal, to: &current.sets) }
    case .information(let information):
      if information.isRecoveryPoint { current.isRandomAccess = true }
      if let time = information.cameraTime_us { current.cameraTime_us = time }
      append(nal, to: &current.data)
    case .slice(let slice):
      if !current.hasSlices {
        current.startsPicture = slice.startsPicture
        current.field = slice.field
        current.parameterSet = slice.parameterSet
      }
      current.hasSlices = true
      if slice.isRandomAccess { current.isRandomAccess = true }
      if !slice.isIntra { current.isIntra = false }
      append(nal, to: &current.data)
    case .other: append(nal, to: &current.data)
    }
  }

  /// A picture, a field or a part of one has come to its end.
  private mutating func settle(_ picture: Picture, into events: inout [DemuxerEvent]) {
    var picture = picture
    if var held = pending {
      let isSecondField =
        held.field.map { a in
          picture.field.map { a.frameNumber == $0.frameNumber && a.isBottom != $0.isBottom } ?? false
        }
        ?? false
      let goesOn = !picture.startsPicture || !picture.hasSlices
      if isSecondField || goesOn {
        guard held.data.count + picture.data.count <= ElementaryAssembler.maximumUnit_bytes else {
          pending = nil
          return tell(.accessUnitTooLarge(pid: pid, limit_bytes: ElementaryAssembler.maximumUnit_bytes), &events)
        }
        held.data += picture.data
        held.sets += picture.sets
        held.cameraTime_us = held.cameraTime_us ?? picture.cameraTime_us
        if isSecondField, picture.startsPicture { held.field = nil }
        picture = held
        guard cutsPictures || held.field != nil else {
          pending = nil
          return deliver(picture, into: &events)
        }
        pending = picture
        return
      }
      pending = nil
      deliver(held, into: &events)
    }
    guard picture.startsPicture else {
      // The start of it has gone out already, or was lost: from now on pictures wait for their parts.
      cutsPictures = true
      return tell(.accessUnitTruncated(pid: pid), &events)
    }
    if picture.field != nil || cutsPictures { pending = picture } else { deliver(picture, into: &events) }
  }

  private mutating func deliver(_ picture: Picture, into events: inout [DemuxerEvent]) {
    guard picture.hasSlices else { return }
    var data = picture.data
    let starts = picture.isRandomAccess || picture.isAnnounced && picture.isIntra
    if starts || configuration == nil {
      let found: TrackConfiguration? =
        coding == .h264
        ? h264.configuration(picture: picture.parameterSet).map { .h264($0) }
        : h265.configuration(picture: picture.parameterSet).map { .h265($0) }
      if let found, found != configuration {
        configuration = found
        events.append(.configured(pid: pid, found))
      } else if found == nil, starts {
        tell(.parameterSetMissing(pid: pid), &events)
      }
    } else if !picture.sets.isEmpty {
      // Changed between two starts: the decoder finds them before the picture.
      data = picture.sets + data
    }
    guard configuration != nil else { return }
    var found: [TransportDamage] = []
    clock.delivered(picture.times.decoding, pid: pid) { found.append($0) }
    events += found.map { .damage($0) }
    if let time = picture.cameraTime_us {
      events.append(.cameraTime(CameraTime(pid: pid, source: .picture, microseconds: time)))
    }
    events.append(
      .accessUnit(
        AccessUnit(
          pid: pid, presentation: picture.times.presentation, decoding: picture.times.decoding,
          isRandomAccess: starts, data: data)))
  }

  private func tell(_ code: TransportDamage.Code, at offset: Int = 0, _ events: inout [DemuxerEvent]) {
    events.append(.damage(TransportDamage(code, offset: offset)))
  }

  private func append(_ nal: ArraySlice<UInt8>, to data: inout [UInt8]) {
    let length = UInt32(nal.count)
    for shift: UInt32 in [24, 16, 8, 0] { data.append(UInt8(truncatingIfNeeded: length >> shift)) }
    data.append(contentsOf: nal)
  }
}
