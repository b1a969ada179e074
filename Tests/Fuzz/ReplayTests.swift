import Foundation
import Testing

/// The kept inputs, run through their targets without a sanitizer: what once failed does not fail again.
struct FuzzReplayTests {
  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures")

  private static func inputs(_ folder: String, _ target: FuzzTarget) -> [URL] {
    let path = fixtures.appendingPathComponent(folder).appendingPathComponent(target.rawValue)
    let names = try? FileManager.default.contentsOfDirectory(atPath: path.path)
    return (names ?? []).sorted().map { path.appendingPathComponent($0) }
  }

  @Test(.timeLimit(.minutes(1)), arguments: FuzzTarget.allCases)
  func everyKeptInputHoldsItsInvariants(_ target: FuzzTarget) throws {
    let corpus = Self.inputs("corpus", target)
    #expect(!corpus.isEmpty, "a target without a seed starts from nothing")
    for file in corpus + Self.inputs("fail-cases", target) {
      let input = [UInt8](try Data(contentsOf: file))
      #expect(throws: Never.self, "\(file.lastPathComponent)") { try target.run(input) }
    }
  }

  // A target that takes anything would find nothing.
  @Test func theInvariantsAreSeenToBreak() {
    #expect(throws: Violation.self) { try Boxes.names([0, 0, 0, 9, 0x6D, 0x6F, 0x6F, 0x66]) }
    #expect(throws: Violation.self) { try hold(false, "an invariant") }
  }

  @Test func everyFolderOfInputsHasItsTarget() throws {
    for folder in ["corpus", "fail-cases"] {
      for name in try FileManager.default.contentsOfDirectory(atPath: Self.fixtures.appendingPathComponent(folder).path)
      {
        #expect(FuzzTarget(rawValue: name) != nil, "\(folder)/\(name)")
      }
    }
  }
}
