/// How a figure grows.
enum Trend {
  /// By least squares: of `y` for one of `x`.
  static func slope(_ points: [(x: Double, y: Double)]) -> Double {
    let n = Double(points.count)
    let mean = (x: points.reduce(0) { $0 + $1.x } / n, y: points.reduce(0) { $0 + $1.y } / n)
    let spread = points.reduce(0) { $0 + ($1.x - mean.x) * ($1.x - mean.x) }
    return points.reduce(0) { $0 + ($1.x - mean.x) * ($1.y - mean.y) } / max(spread, 1e-9)
  }
}
