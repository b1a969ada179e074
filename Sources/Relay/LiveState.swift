/// What a tile says of its picture besides showing it.
package struct LiveState: Equatable, Sendable {
  /// Pictures are left out up to the next that can be decoded alone: something before it is missing.
  package var waitsForKeyPicture: Bool
  /// How far the pictures are behind the best of this view, in milliseconds, by tenths of a second.
  package var lag_ms: Int64

  package init(waitsForKeyPicture: Bool = false, lag_ms: Int64 = 0) {
    self.waitsForKeyPicture = waitsForKeyPicture
    self.lag_ms = lag_ms
  }
}
