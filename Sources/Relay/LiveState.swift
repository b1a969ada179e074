/// What a tile says of its picture besides showing it.
package struct LiveState: Equatable, Sendable {
  package enum Picture: String, Sendable {
    case whole
    /// Pictures are left out up to the next that can be decoded alone: something before it is missing.
    case lost
    /// None came for too long: pictures are shown without what they refer to.
    case damaged
  }

  package var picture: Picture
  /// How far the pictures are behind the best of this view, in milliseconds, by tenths of a second.
  package var lag_ms: Int64

  package init(picture: Picture = .whole, lag_ms: Int64 = 0) {
    self.picture = picture
    self.lag_ms = lag_ms
  }
}
