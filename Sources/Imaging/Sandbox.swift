internal import CAVCodec

/// Takes away from this process all that decoding does not need.
///
/// Resource limits first, then a seccomp filter: no file can be opened, no socket made, no process started.
/// There is no way back.
// P9.
package enum Sandbox {
  package struct Failed: Error {}

  /// Seconds of CPU for one recording's key pictures.
  static let cpu_s: UInt = 60
  /// A 4K picture takes some tens of megabytes.
  static let memory_bytes: UInt = 2 << 30

  package static func enter() throws(Failed) {
    guard plastron_limit(cpu_s, memory_bytes) == 0, plastron_seal() == 0 else { throw Failed() }
  }

  /// Tries what must not work; for the self-test.
  package static var holds: Bool { plastron_can_open() == 0 && plastron_can_connect() == 0 }
}
