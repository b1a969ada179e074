import Foundation
import Testing

@testable import FragmentedMP4
@testable import TransportStream

/// Whole ways: fixtures cut anywhere, mutated, and decoded by ffmpeg from what the muxer made of them.
struct DecodeBackTests {
  static let fixtures = [
    "h264-baseline.ts", "h264-bframes-aac.ts", "h264-interlaced.ts", "h264-2997.ts", "h264-vfr.ts", "h265.ts",
    "h265-bframes.ts", "aac-latm.ts", "opus.ts", "two-programs.ts",
  ]

  private func outputs(_ bytes: [UInt8], _ cut: FragmentMuxer.Cut) -> [MuxerOutput] {
    var muxer = FragmentMuxer(cut: cut, keepsSound: true)
    return demultiplex(bytes).flatMap { muxer.push($0) } + muxer.finish()
  }

  /// A file for each initialization.
  private func files(_ outputs: [MuxerOutput]) -> [[UInt8]] {
    var files: [[UInt8]] = []
    for output in outputs {
      switch output {
      case .initialization(let bytes, _): files.append(bytes)
      case .fragment(let bytes, _): files[files.count - 1] += bytes
      }
    }
    return files
  }

  private func run(_ program: String, _ arguments: [String]) throws -> (output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/\(program)")
    process.arguments = arguments
    let output = Pipe()
    let errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let found = output.fileHandleForReading.readDataToEndOfFile()
    let said = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (String(decoding: found, as: UTF8.self), String(decoding: said, as: UTF8.self))
  }

  /// Pictures that ffmpeg decodes; what it complains of is a failure.
  private func decoded(_ file: [UInt8]) throws -> Int {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("decode-\(UUID().uuidString).mp4")
    defer { try? FileManager.default.removeItem(at: url) }
    try Data(file).write(to: url)
    let result = try run(
      "ffmpeg", ["-v", "error", "-i", url.path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framecrc", "-"])
    #expect(result.errors == "")
    let sound = try run("ffmpeg", ["-v", "error", "-i", url.path, "-f", "null", "-"])
    #expect(sound.errors == "")
    return result.output.split(separator: "\n").count { !$0.hasPrefix("#") }
  }

  @Test(arguments: fixtures)
  func ffmpegDecodesEveryPicture(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    let expected = demultiplex(bytes).units(0x100).count
    #expect(expected >= 12)
    for cut in [FragmentMuxer.Cut.everyPicture, .everyGroup] {
      let files = files(outputs(bytes, cut))
      #expect(files.count == 1)
      #expect(try decoded(try #require(files.first)) == expected, "\(cut)")
    }
  }

  @Test func eachResolutionIsAFileOfItsOwn() throws {
    let bytes = try Fixture.bytes("h264-baseline.ts") + Fixture.bytes("h264-2997.ts") + Fixture.bytes("h265.ts")
    let files = files(outputs(bytes, .everyPicture))
    #expect(files.count == 3)
    #expect(try files.map(decoded).reduce(0, +) >= 25 + 30 + 24)
  }

  @Test(arguments: fixtures)
  func everyCutGivesTheSame(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    let whole = demultiplex(bytes)
    for cut in [1, 2, 3, 5, 7, 47, 94, 187, 188, 189, 376, 377, 1316, 1317, 4096] {
      #expect(demultiplex(bytes, cut: cut) == whole, "cut every \(cut) bytes")
    }
  }

  @Test func mutatedStreamsNeitherTrapNorBreakTheLine() throws {
    var random = SeededGenerator(state: 2026)
    let seeds = try Self.fixtures.map(Fixture.bytes)
    for _ in 0..<200 {
      var bytes = seeds.randomElement(using: &random) ?? []
      if Bool.random(using: &random) { bytes += seeds.randomElement(using: &random) ?? [] }
      for _ in 0..<Int.random(in: 1...30, using: &random) {
        let at = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[at] = .random(in: 0...255, using: &random)
        case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.removeSubrange(at..<min(bytes.count, at + .random(in: 1...600, using: &random)))
        default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 188)], at: at)
        }
      }
      let outputs = outputs(bytes, .everyPicture)
      if case .fragment = outputs.first { Issue.record("a fragment before its initialization") }
      let fragments = outputs.compactMap { if case .fragment(let bytes, _) = $0 { bytes } else { nil } }
      // Nothing is made up: what goes out is what came in, and the boxes.
      #expect(fragments.reduce(0) { $0 + $1.count } <= bytes.count * 2 + fragments.count * 400)
      // By kind, not by number: a start without sound renumbers.
      if outputs.count(where: { if case .initialization = $0 { true } else { false } }) == 1 {
        for (_, entries) in FragmentReader(fragments).tracks {
          #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.decoding < $1.decoding })
        }
      }
    }
  }
}
