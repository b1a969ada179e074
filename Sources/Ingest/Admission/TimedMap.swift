import Doctrine

/// Values that count for a while; where there are too many, the oldest is forgotten. Pure.
///
/// Memory is bounded by ``capacity`` values and as many notes of their order again.
struct TimedMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Entry: Sendable {
    var value: Value
    var since: MonotonicTime
  }

  private struct Note: Sendable {
    var key: Key
    var since: MonotonicTime
  }

  let lifetime_us: Int64
  let capacity: Int
  private var entries: [Key: Entry] = [:]
  /// In the order in which they were set. What was set again or removed since stands here in vain until it is come to.
  private var order: [Note] = []
  private var first = 0

  init(lifetime_s: Int64, capacity: Int) {
    lifetime_us = lifetime_s * 1_000_000
    self.capacity = capacity
  }

  /// Values that are held, those included whose time is over and that nobody took yet.
  var count: Int { entries.count }

  /// The value of a key, if its time is not over.
  func value(of key: Key, at now: MonotonicTime) -> Value? {
    guard let entry = entries[key], now.since(entry.since) <= lifetime_us else { return nil }
    return entry.value
  }

  /// Sets a value; its time begins anew. Where it is one too many, the oldest is forgotten.
  mutating func set(_ value: Value, for key: Key, at now: MonotonicTime) {
    if entries[key] == nil, entries.count >= capacity { removeOldest() }
    entries[key] = Entry(value: value, since: now)
    order.append(Note(key: key, since: now))
    if order.count > 2 * capacity + 16 { forgetNotes() }
  }

  /// Changes a value in place; its time goes on. A no-op where there is none.
  mutating func change(_ key: Key, _ change: (inout Value) -> Void) {
    guard var entry = entries[key] else { return }
    change(&entry.value)
    entries[key] = entry
  }

  mutating func remove(_ key: Key) -> Value? { entries.removeValue(forKey: key)?.value }

  /// Takes the oldest value whose time is over; nil where there is none.
  mutating func takeExpired(at now: MonotonicTime) -> (key: Key, value: Value)? {
    guard let oldest = oldest(), now.since(oldest.since) > lifetime_us else { return nil }
    return remove(oldest.key).map { (oldest.key, $0) }
  }

  private mutating func removeOldest() {
    if let oldest = oldest() { entries[oldest.key] = nil }
  }

  /// The oldest note that stands for a value.
  private mutating func oldest() -> Note? {
    while first < order.count {
      let note = order[first]
      if entries[note.key]?.since == note.since { return note }
      first += 1
    }
    order.removeAll(keepingCapacity: true)
    first = 0
    return nil
  }

  private mutating func forgetNotes() {
    order = order[first...].filter { entries[$0.key]?.since == $0.since }
    first = 0
  }
}
