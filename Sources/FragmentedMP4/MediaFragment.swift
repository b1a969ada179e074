package import TransportStream

/// One sample of a fragment, on the file's own time line.
package struct Sample: Equatable, Sendable {
  package var decoding: MediaTime90k
  /// Presentation minus decoding time; negative only where a sender is at fault.
  package var compositionOffset_90k: Int32
  package var duration_90k: UInt32
  package var isRandomAccess: Bool
  package var data: [UInt8]
}

/// A `moof` box and its `mdat`: consecutive samples of the tracks.
///
/// Specification: ISO/IEC 14496-12, 8.8.4 to 8.8.8, 8.8.12.
///
///     moof  mfhd  traf*( tfhd tfdt trun )
///     mdat
package struct MediaFragment: Sendable {
  package var bytes: [UInt8]

  package init(sequence: UInt32, runs: [(track: UInt32, samples: [Sample])]) {
    var w = BoxWriter()
    var offsetFields: [(position: Int, run: Int)] = []
    w.box("moof") { w in
      w.fullBox("mfhd") { $0.u32(sequence) }
      for (index, run) in runs.enumerated() {
        w.box("traf") { w in
          w.fullBox("tfhd", flags: 0x02_0000) { $0.u32(run.track) }
          w.fullBox("tfdt", version: 1) { w in
            w.u64(UInt64(bitPattern: max(0, run.samples.first?.decoding.ticks ?? 0)))
          }
          w.fullBox("trun", version: 1, flags: 0x00_0F01) { w in
            w.u32(UInt32(run.samples.count))
            offsetFields.append((w.bytes.count, index))
            w.u32(0)
            for sample in run.samples {
              w.u32(sample.duration_90k)
              w.u32(UInt32(sample.data.count))
              w.u32(sample.isRandomAccess ? 0x0200_0000 : 0x0101_0000)
              w.u32(UInt32(bitPattern: sample.compositionOffset_90k))
            }
          }
        }
      }
    }
    var position = w.bytes.count + 8
    var starts: [Int] = []
    for run in runs {
      starts.append(position)
      position += run.samples.reduce(0) { $0 + $1.data.count }
    }
    for field in offsetFields { w.setU32(at: field.position, UInt32(starts[field.run])) }
    w.box("mdat") { w in
      for run in runs { for sample in run.samples { w.append(sample.data) } }
    }
    bytes = w.bytes
  }
}
