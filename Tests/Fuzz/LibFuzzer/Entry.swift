import Glibc

/// The target that the environment names; libFuzzer owns the command line.
private let target: FuzzTarget = {
  let name = getenv("PLASTRON_FUZZ_TARGET").map { String(cString: $0) } ?? ""
  guard let target = FuzzTarget(rawValue: name) else {
    say("PLASTRON_FUZZ_TARGET is one of \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))")
    exit(2)
  }
  return target
}()

private func say(_ sentence: String) {
  let line = Array((sentence + "\n").utf8)
  _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Specification: LLVM, "libFuzzer – a library for coverage-guided fuzz testing", Fuzz Target.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  do {
    try target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  } catch {
    say("\(target.rawValue): \(error)")
    abort()
  }
  return 0
}
