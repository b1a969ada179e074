internal import Doctrine
internal import Foundation
internal import Logging
package import Seams

/// The ingest's side of the keeper's seam.
package typealias KeeperClient = SeamClient<IngestCall, IngestReply, IngestDirective>

/// Keeps the admission table as the keeper says and tells it what happened, through any of its absences.
struct KeeperLink: Sendable {
  /// A new try after the other side went away.
  static let retry: Duration = .milliseconds(300)
  /// Between two looks for refused calls, and lines told at once.
  static let refusalLook: Duration = .milliseconds(250)
  static let refusalsAtOnce = 64

  let client: KeeperClient
  let table: AdmissionTable
  let spool: EventSpool
  let shards: IngestShards
  let logger: Logger
  /// The keeper asks for what is open on the disks once more.
  let lookAgain: @Sendable () -> Void
  /// Names this run of the ingest to the keeper.
  let boot = UUID().uuidString.lowercased()

  func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await followDirectives() }
      group.addTask { await sendEvents() }
      group.addTask { await sendRefusals() }
      group.addTask { await sendStatus() }
    }
  }

  private func followDirectives() async {
    while !Task.isCancelled {
      do {
        var isNew = true
        try await client.notices { directive in
          if isNew {
            isNew = false
            shards.reportStreams()
          }
          switch directive {
          case .admission(let admission): table.set(admission)
          case .closeIncident(let incident, let cause, let by):
            shards.post(.close(incident, cause: cause, by: by))
          case .live(let recording, let open): shards.post(.live(recording, open: open))
          case .lookAgain: lookAgain()
          case .heartbeat: break
          }
        }
      } catch {
        logger.debug("keeper away", metadata: ["error": "\(error)"])
      }
      // Known cameras go on being recorded; without a keeper nobody new watches, and nobody is cut off
      // from recording. Live ends: its authorisation can no longer be withdrawn.
      shards.post(.allLiveEnds)
      try? await Task.sleep(for: Self.retry)
    }
  }

  private func sendStatus() async {
    while !Task.isCancelled {
      // An answer that does not come says nothing new: the stream of directives tells of the keeper's absence.
      _ = try? await client.call(.status(shards.takeStatus()))
      try? await Task.sleep(for: .seconds(SeamLimits.heartbeat_s))
    }
  }

  /// Refused calls have a line of their own, so that no storm of them holds an incident's news up. While one batch waits
  /// for the keeper or its database the others gather in the ledger.
  private func sendRefusals() async {
    var number: UInt64 = 0
    while !Task.isCancelled {
      let batch = table.takeRefusals(limit: Self.refusalsAtOnce)
      guard !batch.isEmpty else {
        try? await Task.sleep(for: Self.refusalLook)
        continue
      }
      number += 1
      while !Task.isCancelled {
        do throws(Problem) {
          _ = try await client.call(.refusals(boot: boot, number: number, batch))
          break
        } catch {
          guard error.status == 503 else {
            logger.error("refused calls cannot be told", metadata: ["lines": "\(batch.count)", "problem": "\(error)"])
            break
          }
          try? await Task.sleep(for: Self.retry)
        }
      }
    }
  }

  private func sendEvents() async {
    var size = EventSpool.batch
    var reported = [Int](repeating: 0, count: EventSpool.Rank.allCases.count)
    var noted: UInt64 = 0
    while !Task.isCancelled {
      // What is new first: it takes effect though the register may wait for its database. Then the oldest again.
      var batch = spool.head(size, after: noted)
      let isNew = !batch.isEmpty
      if !isNew { batch = spool.head(size) }
      guard let last = batch.last else {
        for await _ in spool.arrivals { break }
        continue
      }
      do throws(Problem) {
        var isAway = false
        if case .acknowledged(let number, let upTo) = try await client.call(
          .events(boot: boot, oldest: spool.head(1).first?.number ?? last.number, batch))
        {
          spool.acknowledge(upTo: number)
          // A keeper that was restarted has noted nothing.
          noted = upTo
          isAway = number < last.number
        }
        if isAway, !isNew { try? await Task.sleep(for: Self.retry) }
        size = EventSpool.batch
        for rank in EventSpool.Rank.allCases {
          let dropped = spool.dropped(rank) - reported[rank.rawValue]
          guard dropped > 0 else { continue }
          reported[rank.rawValue] += dropped
          // What was dropped of the index is read from the files; the rest is in them, and never in the journal.
          logger.log(
            level: rank == .index ? .error : .critical, "events were dropped while the keeper was away",
            metadata: ["kind": "\(rank)", "count": "\(dropped)"])
        }
      } catch {
        if error.status == 503 {
          try? await Task.sleep(for: Self.retry)
        } else if size > 1 {
          // Too large, or one of them cannot be read: smaller batches find which.
          size /= 2
        } else {
          logger.error("an event cannot be told", metadata: ["number": "\(last.number)", "problem": "\(error)"])
          spool.acknowledge(upTo: last.number)
        }
      }
    }
  }
}
