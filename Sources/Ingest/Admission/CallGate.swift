import Doctrine

/// Which calls get as far as the key exchange: a question of how many come and from where, never of whose name they carry. Pure.
///
/// The library derives a key inside each exchange (PBKDF2 of 2,048 rounds: 0.4 ms of a core for a key of 128 bits, twice that for
/// 256, which the caller chooses) and sets aside up to half a megabyte for about a second. It decides the exchange before it
/// looks at the next call, so what costs is not how many are under way but how many come in a second.
///
/// A name that a camera bears and one that nobody bears are counted alike, so that what a caller is answered beyond a bound
/// tells nothing. Calls that prove their passphrase are given back: a fleet that comes back at once is held up by the
/// derivations alone.
struct CallGate: Sendable {
  /// From a network where a camera proved itself within the last day.
  static let familiarNetwork = CallBound(perSecond: 200, atOnce: 200)
  /// From any other, and from all the others together: a storm from elsewhere takes nothing from where the fleet is.
  static let strangeNetwork = CallBound(perSecond: 64, atOnce: 64)
  static let strangers = CallBound(perSecond: 128, atOnce: 128)
  /// From all networks where cameras proved themselves: at worst a third of a core, with the strangers' at most a half.
  static let familiars = CallBound(perSecond: 400, atOnce: 400)

  /// One name may have half of what its network has: a device that goes on calling under a wrong passphrase leaves the
  /// other half to the others, and whoever names a camera must call a hundred times a second to be in its way.
  static func ofOneName(_ network: CallBound) -> CallBound {
    CallBound(perSecond: network.perSecond / 2, atOnce: network.atOnce / 2)
  }

  /// How long a proof from a network counts for it.
  static let familiar_s: Int64 = 24 * 3600
  /// A fleet's networks: its operators' gateways, or its cameras' own addresses.
  static let maximumFamiliar = 16_384
  /// Networks, and names in them, counted at once: a count that is forgotten begins at nothing, the bound of all holds.
  static let maximumCounted = 16_384
  /// A count that was not touched for so long is at nothing.
  private static let counted_s: Int64 = 10

  /// A name in a network.
  struct Caller: Hashable, Sendable {
    var network: String
    /// As the call has it; empty where it has none that can be read.
    var name: String
  }

  private var familiar = TimedMap<String, Bool>(lifetime_s: familiar_s, capacity: maximumFamiliar)
  private var byNetwork = TimedMap<String, CallMeter>(lifetime_s: counted_s, capacity: maximumCounted)
  private var byCaller = TimedMap<Caller, CallMeter>(lifetime_s: counted_s, capacity: maximumCounted)
  private var all = CallMeter()
  private var strange = CallMeter()

  /// Whether this call goes on to the key exchange; counts it if so.
  mutating func admits(_ caller: Caller, at now: MonotonicTime) -> Bool {
    let isFamiliar = familiar.value(of: caller.network, at: now) != nil
    let bound = isFamiliar ? Self.familiarNetwork : Self.strangeNetwork
    var network = byNetwork.value(of: caller.network, at: now) ?? CallMeter()
    var name = byCaller.value(of: caller, at: now) ?? CallMeter()
    var total = isFamiliar ? all : strange
    guard total.hasRoom(in: isFamiliar ? Self.familiars : Self.strangers, at: now),
      network.hasRoom(in: bound, at: now), name.hasRoom(in: Self.ofOneName(bound), at: now)
    else { return false }
    total.count()
    network.count()
    name.count()
    if isFamiliar { all = total } else { strange = total }
    byNetwork.set(network, for: caller.network, at: now)
    byCaller.set(name, for: caller, at: now)
    return true
  }

  /// A call that was let through proved its passphrase.
  mutating func proved(_ caller: Caller, at now: MonotonicTime) {
    byNetwork.change(caller.network) { $0.giveBack() }
    byCaller.change(caller) { $0.giveBack() }
    if familiar.value(of: caller.network, at: now) != nil { all.giveBack() } else { strange.giveBack() }
    familiar.set(true, for: caller.network, at: now)
  }
}
