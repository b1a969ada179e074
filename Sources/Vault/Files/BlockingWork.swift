internal import Dispatch

/// Work that waits for a disk or a store, or computes for long: on a thread of its own, never on one that tasks share.
package enum BlockingWork {
  /// - Parameter isUrgent: false for what nobody waits for.
  package static func run<R: Sendable>(isUrgent: Bool = true, _ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
      DispatchQueue.global(qos: isUrgent ? .userInitiated : .background).async {
        continuation.resume(returning: body())
      }
    }
  }

  /// - Throws: what `body` throws.
  package static func attempt<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    let outcome = await run { Result { try body() } }
    return try outcome.get()
  }
}
