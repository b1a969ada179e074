import Glibc
import Imaging

// Reads key pictures from standard input and answers with one line of JSON: how many decode.
//
//     | coding (8): 1 H.264, 2 H.265 | length (32, big-endian) | Annex B picture | ...
//
// It is started by the console, has no arguments but --self-test, and is sealed before the first byte is read.

/// A picture larger than this is not one: the sender refuses it too.
let maximumPicture_bytes = 16 << 20

func readFully(_ count: Int) -> [UInt8]? {
  var got = 0
  let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    while got < count {
      let n = read(STDIN_FILENO, buffer.baseAddress.map { $0 + got }, count - got)
      if n <= 0 { break }
      got += n
    }
    initialized = got
  }
  return got == count ? bytes : nil
}

func say(_ text: String) {
  let bytes = Array((text + "\n").utf8)
  _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func run() -> Int32 {
  // Decoders are made before the seal: their libraries may look at the machine.
  guard let h264 = KeyPictureDecoder(.h264), let h265 = KeyPictureDecoder(.h265) else { return 70 }
  do {
    try Sandbox.enter()
  } catch {
    return 71
  }
  if CommandLine.arguments.dropFirst().first == "--self-test" {
    say(Sandbox.holds ? "sealed" : "NOT SEALED")
    return Sandbox.holds ? 0 : 1
  }
  var decoded = 0
  var failed = 0
  var firstFailure: Int?
  while let head = readFully(5), let coding = KeyPictureDecoder.Coding(rawValue: head[0]) {
    let length = head[1...].reduce(0) { $0 << 8 | Int($1) }
    guard (1...maximumPicture_bytes).contains(length), let picture = readFully(length) else { break }
    let good = coding == .h264 ? h264.decodes(picture) : h265.decodes(picture)
    if good {
      decoded += 1
    } else {
      if firstFailure == nil { firstFailure = decoded + failed }
      failed += 1
    }
  }
  let first = firstFailure.map(String.init) ?? "null"
  say("{\"decoded\":\(decoded),\"failed\":\(failed),\"firstFailure\":\(first)}")
  return 0
}

// _exit: nothing is to run after the seal.
_exit(run())
