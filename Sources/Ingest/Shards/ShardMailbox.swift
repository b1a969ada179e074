import Synchronization

/// What one thread is told by others, until its next turn.
///
/// Not bounded by itself: commands are few, and connections are bounded by what the listeners admit.
final class ShardMailbox: Sendable {
  private let list = Mutex<[ShardMessage]>([])
  /// Looked at in each turn without a lock.
  private let isFilled = Atomic<Bool>(false)

  func post(_ message: ShardMessage) {
    list.withLock { $0.append(message) }
    isFilled.store(true, ordering: .releasing)
  }

  func take() -> [ShardMessage] {
    guard isFilled.exchange(false, ordering: .acquiring) else { return [] }
    return list.withLock { list in
      defer { list.removeAll() }
      return list
    }
  }
}
