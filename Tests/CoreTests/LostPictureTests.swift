import FragmentedMP4
import Testing

@testable import Relay
@testable import TransportStream

/// What a viewer sees after a loss where the camera does not help.
struct LostPictureTests {
  private static let pid: UInt16 = 0x100

  // A camera that sends no second picture to begin with does not lose its tile for good.
  @Test func theWaitForAKeyPictureHasAnEnd() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, Self.pid, [])])
    var pipeline = LivePipeline(keepsSound: false)
    var shown: [Int] = []
    var states: [LiveState.Picture] = []
    func send(_ number: Int, key: Bool) {
      let start = stream.bytes.count
      let sets = key ? H264Units.sequence() + H264Units.picture() : []
      stream.unit(
        sets + H264Units.slice(key: key), pid: Self.pid, presentation: UInt64(number) * 45_000, randomAccess: key)
      for output in pipeline.push(stream.bytes[start...].map(\.self)) {
        if case .fragment = output { shown.append(number) }
      }
      states.append(pipeline.state.picture)
    }
    _ = pipeline.push(stream.bytes)
    // Two pictures a second; one is lost after the fourth.
    for number in 0..<4 { send(number, key: number == 0) }
    stream.lose(pid: Self.pid)
    for number in 5..<20 { send(number, key: false) }
    send(20, key: true)
    #expect(
      states == Array(repeating: .whole, count: 4) + Array(repeating: .lost, count: 10)
        + Array(repeating: .damaged, count: 5) + [.whole])
    #expect(shown == Array(0..<4) + Array(15...20))
  }

  // A unit whose header cannot be read is a lost picture, also where it ends the one before it.
  @Test func aUnitThatCannotBeReadIsALostPicture() {
    var stream = TransportStreamBuilder()
    stream.association([(1, 0x1000)])
    stream.map([(0x1B, Self.pid, [])])
    stream.unit(
      H264Units.sequence() + H264Units.picture() + H264Units.slice(key: true), pid: Self.pid, presentation: 0,
      randomAccess: true)
    // No stuffing at its end: it ends with the next start.
    stream.payload(
      TransportStreamBuilder.packetized(
        H264Units.slice(key: false) + [UInt8](repeating: 0x80, count: 350), presentation: 3600
      ).prefix(184 * 2).map(\.self), pid: Self.pid)
    stream.payload([0, 0, 7] + [UInt8](repeating: 1, count: 181), pid: Self.pid)
    stream.unit(H264Units.slice(key: false), pid: Self.pid, presentation: 7200)
    var pipeline = LivePipeline(keepsSound: false)
    let fragments = pipeline.push(stream.bytes).filter { if case .fragment = $0 { true } else { false } }
    #expect(fragments.count == 2 && pipeline.damage["pes-malformed"] == 1)
    #expect(pipeline.state.picture == .lost)
  }
}
