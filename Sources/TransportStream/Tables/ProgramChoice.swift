/// Which of the picture streams is followed, of all programs.
///
/// The first one in the tables' order. It is left when the tables no longer name it, or when it has sent
/// nothing while another one began ``silentUnits`` pictures; then the other one is followed. So a program
/// that comes back does not take the picture from the one that is being watched.
struct ProgramChoice: Sendable {
  /// Some four seconds of pictures of another stream: longer than a group of pictures' burst or a lost second.
  static let silentUnits = 100

  struct Choice: Equatable, Sendable {
    var program: UInt16
    var picture: ProgramMapTable.Stream
  }

  private(set) var choice: Choice?
  /// Pictures that each other stream began since the followed one was heard. At most one entry a named stream.
  private var others: [UInt16: Int] = [:]
  private var candidates: [Choice] = []

  /// PIDs of picture streams that are not followed.
  func isCandidate(_ pid: UInt16) -> Bool { others[pid] != nil }

  /// The tables changed; returns whether another stream is followed now, or none.
  mutating func programsChanged(_ programs: [ProgramDirectory.Program]) -> Bool {
    let before = choice
    candidates = programs.flatMap { program in
      program.streams.filter(\.coding.isPicture).map { Choice(program: program.number, picture: $0) }
    }
    if let current = choice, !candidates.contains(current) {
      // The same program goes on with another PID or coding, or else the first program that has a picture.
      choice = candidates.first { $0.program == current.program } ?? candidates.first
    } else if choice == nil {
      choice = candidates.first
    }
    others = [:]
    for candidate in candidates where candidate.picture.pid != choice?.picture.pid { others[candidate.picture.pid] = 0 }
    return choice != before
  }

  /// The followed stream sent something that can be read.
  mutating func pictureHeard() {
    for pid in others.keys where others[pid] != 0 { others[pid] = 0 }
  }

  /// Another stream began a picture; returns the PID of the one that was left for it, if it was.
  mutating func otherBegan(_ pid: UInt16) -> UInt16? {
    guard let count = others[pid], let silent = choice?.picture.pid,
      let next = candidates.first(where: { $0.picture.pid == pid })
    else { return nil }
    guard count + 1 >= Self.silentUnits else {
      others[pid] = count + 1
      return nil
    }
    choice = next
    others[pid] = nil
    others[silent] = 0
    pictureHeard()
    return silent
  }
}
