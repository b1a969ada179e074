internal import CAVCodec

/// Decodes pictures that stand alone, to tell whether they decode. The pictures themselves are thrown away.
package struct KeyPictureDecoder: ~Copyable {
  package enum Coding: UInt8 {
    case h264 = 1
    case h265 = 2
  }

  private let context: UnsafeMutablePointer<AVCodecContext>
  private let packet: UnsafeMutablePointer<AVPacket>
  private let frame: UnsafeMutablePointer<AVFrame>

  /// Nil where libavcodec has no decoder for the coding, or memory is out.
  package init?(_ coding: Coding) {
    av_log_set_level(AV_LOG_QUIET)
    let id = coding == .h264 ? AV_CODEC_ID_H264 : AV_CODEC_ID_HEVC
    guard let codec = avcodec_find_decoder(id), let context = avcodec_alloc_context3(codec),
      let packet = av_packet_alloc(), let frame = av_frame_alloc()
    else { return nil }
    // One thread: the sandbox starts none.
    context.pointee.thread_count = 1
    context.pointee.err_recognition = AV_EF_EXPLODE
    guard avcodec_open2(context, codec, nil) == 0 else { return nil }
    self.context = context
    self.packet = packet
    self.frame = frame
  }

  deinit {
    var context: UnsafeMutablePointer<AVCodecContext>? = context
    avcodec_free_context(&context)
    var packet: UnsafeMutablePointer<AVPacket>? = packet
    av_packet_free(&packet)
    var frame: UnsafeMutablePointer<AVFrame>? = frame
    av_frame_free(&frame)
  }

  /// Whether a picture (Annex B, parameter sets before it) decodes without an error.
  package borrowing func decodes(_ picture: [UInt8]) -> Bool {
    guard av_new_packet(packet, Int32(clamping: picture.count)) == 0 else { return false }
    defer {
      av_packet_unref(packet)
      avcodec_flush_buffers(context)
    }
    packet.pointee.data.update(from: picture, count: picture.count)
    guard avcodec_send_packet(context, packet) == 0, avcodec_send_packet(context, nil) == 0,
      avcodec_receive_frame(context, frame) == 0
    else { return false }
    defer { av_frame_unref(frame) }
    return frame.pointee.decode_error_flags == 0 && frame.pointee.width > 0
  }
}
