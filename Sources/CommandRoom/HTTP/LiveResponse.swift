internal import Doctrine
internal import Hummingbird
internal import NIOCore
internal import Relay
internal import Seams

/// The body of a live view: frames of one byte kind, 32-bit big-endian length, payload.
///
/// Kinds: 1 media type (text), 2 initialization segment, 3 media fragment, 4 end (text: why), 5 state (``LiveState``, JSON).
enum LiveFrame {
  static func encode(_ item: RelayItem) -> ByteBuffer {
    var buffer = ByteBuffer()
    switch item {
    case .initialization(let bytes, let mimeType):
      append(1, Array(mimeType.utf8), to: &buffer)
      append(2, bytes, to: &buffer)
    case .fragment(let bytes):
      append(3, bytes, to: &buffer)
    case .state(let state):
      append(5, Array("{\"picture\":\"\(state.picture.rawValue)\",\"lag_ms\":\(state.lag_ms)}".utf8), to: &buffer)
    }
    return buffer
  }

  static func end(_ reason: String) -> ByteBuffer {
    var buffer = ByteBuffer()
    append(4, Array(reason.utf8), to: &buffer)
    return buffer
  }

  private static func append(_ kind: UInt8, _ payload: [UInt8], to buffer: inout ByteBuffer) {
    buffer.writeInteger(kind)
    buffer.writeInteger(UInt32(payload.count))
    buffer.writeBytes(payload)
  }
}

extension ConsoleAPI {
  /// Joins a live view. The keeper has journalled the join before the first byte leaves.
  func live(_ request: Request, _ context: ConsoleContext) async throws -> Response {
    let token = try sessionToken(request)
    let recording = RecordingID(try context.parameters.require("recording"))
    guard case .joined(let viewing, let sound, let wall) = try await keeper.call(.joinLive(token: token, recording))
    else {
      throw Problem.fault
    }
    // However this ends, begun or not: the viewer leaves, and the leave is journalled.
    let reading = readings.begin(viewing, live: recording)
    guard let channel = await hub.channel(recording, keepsSound: sound, grantedAfter: wall),
      let viewer = await hub.subscribe(viewing, to: channel)
    else { throw Problem.unavailable("Le direct") }
    return Response(
      status: .ok, headers: [.contentType: "application/vnd.plastron.live", .cacheControl: "no-store"],
      body: ResponseBody { [request] writer in
        defer { withExtendedLifetime(reading) {} }
        try await request.body.consumeWithCancellationOnInboundClose { _ in
          for await item in viewer.items {
            try Task.checkCancellation()
            guard channel.isOpen(viewer.id) else { break }
            try await writer.write(LiveFrame.encode(item))
          }
        }
        try await writer.write(LiveFrame.end("Direct terminé (live ended)"))
        try await writer.finish(nil)
      })
  }
}
