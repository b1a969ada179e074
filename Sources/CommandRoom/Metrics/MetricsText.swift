/// Metrics in Prometheus' text format.
///
/// Specification: Prometheus exposition format 0.0.4: a `# HELP` and a `# TYPE` line for each family, then its samples.
struct MetricsText: Equatable {
  enum Kind: String {
    case gauge
    case counter
    case histogram
  }

  private(set) var text = ""

  /// Adds a family with its samples; one without samples is left out.
  mutating func add(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(name: String, value: String)], value: Double)]
  ) {
    guard !samples.isEmpty else { return }
    begin(name, kind, help)
    for sample in samples { line(name, sample.labels, sample.value) }
  }

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
    add(name, kind, help, [([], value)])
  }

  /// - Parameters:
  ///   - labels: of every sample, besides the bucket's.
  ///   - bounds: upper bounds, ascending, without the last, which is infinite.
  ///   - counts: how many fell into each, not added up; one more than there are bounds.
  mutating func add(
    histogram name: String, _ help: String, _ labels: [(name: String, value: String)], bounds: [Double], counts: [Int],
    sum: Double
  ) {
    guard counts.count == bounds.count + 1 else { return }
    begin(name, .histogram, help)
    var total = 0
    for (index, count) in counts.enumerated() {
      total += count
      line(name + "_bucket", labels + [("le", index < bounds.count ? "\(bounds[index])" : "+Inf")], Double(total))
    }
    line(name + "_sum", labels, sum)
    line(name + "_count", labels, Double(total))
  }

  private mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  private mutating func line(_ name: String, _ labels: [(name: String, value: String)], _ value: Double) {
    let inner = labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
    let number = value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    text += name + (inner.isEmpty ? "" : "{\(inner)}") + " \(number)\n"
  }

  private static func escaped(_ value: String) -> String {
    value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }
}
