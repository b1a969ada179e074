internal import Glibc
internal import Synchronization

/// A bounded set of connections, each owned by a thread of its own.
///
/// Work is a closure that runs on such a thread with the connection lent to it. The waiting line is bounded:
/// past it, work is refused with ``DatabaseError/Code/poolExhausted`` at once. A lost connection is made
/// anew before the next piece of work; the piece that met the loss fails with `connectionLost`.
package final class Pool: Sendable {
  private typealias Job = @Sendable (borrowing Connection) -> Void
  private typealias Abandon = @Sendable (DatabaseError) -> Void

  private struct Line {
    var jobs: [(run: Job, abandon: Abandon)] = []
    var closed = false
  }

  /// Work that waits; more means the database is too slow for what is asked of it.
  package static let maximumWaiting = 1024

  private let conninfo: String
  private let patience_ms: Int32
  private let line = LockedLine()
  private let lost = Losses()

  /// Connections that were lost, or could not be made, since the start.
  package var losses: Int { lost.count.load(ordering: .relaxed) }

  private final class Losses: Sendable {
    let count = Atomic<Int>(0)
  }

  /// What takes long by nature is waited for this long, where there is a limit at all.
  package static let long_ms: Int32 = 600_000

  /// Starts `connections` threads; each connects when its first work comes.
  ///
  /// - Parameter patience_ms: how long a statement's answer is waited for; for ever where negative.
  package init(conninfo: String, connections: Int, patience_ms: Int32 = -1) {
    self.conninfo = conninfo
    self.patience_ms = patience_ms
    for _ in 0..<max(1, connections) { startWorker() }
  }

  /// Ends the threads once the waiting work is done.
  package func close() { line.close() }

  /// Runs `body` on a connection.
  @discardableResult
  package func run<R: Sendable>(
    isLong: Bool = false, _ body: @escaping @Sendable (borrowing Connection) throws -> R
  ) async throws -> R {
    let patience_ms = isLong && self.patience_ms >= 0 ? Self.long_ms : self.patience_ms
    return try await withCheckedThrowingContinuation { continuation in
      let accepted = line.append(
        run: { connection in
          connection.wait(atMost_ms: patience_ms)
          do { continuation.resume(returning: try body(connection)) } catch { continuation.resume(throwing: error) }
        },
        abandon: { continuation.resume(throwing: $0) }, limit: Self.maximumWaiting)
      if !accepted {
        continuation.resume(
          throwing: DatabaseError(
            .poolExhausted, "\(Self.maximumWaiting) operations wait for the database; try again later"))
      }
    }
  }

  /// Runs `body` inside a transaction.
  @discardableResult
  package func transaction<R: Sendable>(
    isLong: Bool = false, _ body: @escaping @Sendable (borrowing Connection) throws -> R
  ) async throws -> R {
    try await run(isLong: isLong) { connection in try connection.transaction(body) }
  }

  /// Whether the database answers.
  package func answers() async -> Bool { (try? await run { try $0.query("SELECT 1") }) != nil }

  private func startWorker() {
    let worker = Worker(conninfo: conninfo, line: line, lost: lost)
    let context = Unmanaged.passRetained(worker).toOpaque()
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Worker>.fromOpaque(context).takeRetainedValue().loop()
        return nil
      }, context)
    precondition(status == 0, "no thread for a database connection: \(status)")
    pthread_detach(thread)
  }

  /// The waiting line: a mutex and a condition, as the workers block on it.
  private final class LockedLine: @unchecked Sendable {
    // Safety: `line` is touched only between lock and unlock of `mutex`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var line = Line()

    init() {
      pthread_mutex_init(mutex, nil)
      pthread_cond_init(condition, nil)
    }

    deinit {
      pthread_cond_destroy(condition)
      pthread_mutex_destroy(mutex)
      condition.deallocate()
      mutex.deallocate()
    }

    func append(run: @escaping Job, abandon: @escaping Abandon, limit: Int) -> Bool {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      guard !line.closed, line.jobs.count < limit else { return false }
      line.jobs.append((run, abandon))
      pthread_cond_signal(condition)
      return true
    }

    /// Waits for work; nil when the pool is closed and nothing is left.
    func next() -> (run: Job, abandon: Abandon)? {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      while line.jobs.isEmpty {
        if line.closed { return nil }
        pthread_cond_wait(condition, mutex)
      }
      return line.jobs.removeFirst()
    }

    func close() {
      pthread_mutex_lock(mutex)
      line.closed = true
      pthread_cond_broadcast(condition)
      pthread_mutex_unlock(mutex)
    }
  }

  private final class Worker: Sendable {
    let conninfo: String
    let line: LockedLine
    let lost: Losses

    init(conninfo: String, line: LockedLine, lost: Losses) {
      self.conninfo = conninfo
      self.line = line
      self.lost = lost
    }

    func loop() {
      while let job = line.next() {
        do throws(DatabaseError) {
          let connection = try Connection(conninfo)
          serve(connection, first: job)
          lost.count.add(1, ordering: .relaxed)
        } catch {
          lost.count.add(1, ordering: .relaxed)
          job.abandon(error)
        }
      }
    }

    /// Serves on one connection until it is lost or the pool closes.
    private func serve(_ connection: borrowing Connection, first: (run: Job, abandon: Abandon)) {
      first.run(connection)
      while connection.isUsable, let job = line.next() { job.run(connection) }
    }
  }
}
