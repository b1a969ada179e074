import Foundation

/// What to set in a camera's client so that the server receives it: shown once, at the enrolment.
///
/// The secret stands in no command line where the client has another way; where it has none, that is said.
/// The bandwidth bound is the finding of docs/design/links.md.
struct ClientSettings {
  /// What a client may send for each byte of its stream: retransmissions for a link that loses a fifth, and not enough to
  /// flood one that is too small.
  static let bound_percent = 150
  /// libsrt's own, said outright as some clients have another. In complete delivery nothing waits for it; in timely delivery
  /// the window is this or the camera's own setting, whichever is longer.
  static let latency_ms = 120

  let server: String
  let port: UInt16
  let camera: String
  let passphrase: String
  /// Rate of the camera's stream, sound included.
  let rate_kbps: Int

  private var streamID: String { "#!::u=\(camera),m=publish" }
  /// SRTO_MAXBW counts bytes per second.
  private var bound_bytesPerSecond: Int { rate_kbps * 125 * Self.bound_percent / 100 }
  /// For clients that count microseconds.
  private var latency_us: Int { Self.latency_ms * 1000 }
  private var address: String { "srt://\(server):\(port)" }

  var text: String {
    """
    Réglages de l'appareil pour \(rate_kbps) kbit/s, à refaire si le débit change (settings of the device, anew if its rate changes). Latence : \(Self.latency_ms) ms, en microsecondes pour ffmpeg et OBS, en millisecondes ailleurs (latency: in microseconds for ffmpeg and OBS, in milliseconds elsewhere).

    ffmpeg : écrivez ces lignes dans \(camera).ffpreset, lisible par vous seul ; la phrase secrète ne passe ainsi par aucune ligne de commande (write these lines to a file that only you can read: the passphrase is on no command line):
    streamid=\(streamID)
    passphrase=\(passphrase)
    pbkeylen=16
    maxbw=\(bound_bytesPerSecond)
    latency=\(latency_us)
    linger=5
    puis, dans une boucle qui la relance (then, in a loop that starts it again):
      while sleep 0.5; do ffmpeg ... -f mpegts -fpre \(camera).ffpreset \(address); done

    OBS : Paramètres, Flux, Personnalisé (Settings, Stream, Custom); le profil d'OBS garde la phrase secrète (OBS keeps it in its profile):
      serveur (server): \(address)?mode=caller&passphrase=\(passphrase)&pbkeylen=16&maxbw=\(bound_bytesPerSecond)&latency=\(latency_us)&linger=5
      clé (stream key): \(streamID)

    Larix : Connexions, nouvelle (Connections, new), SRT:
      URL \(address) · mode caller (push) · streamid \(streamID) · passphrase \(passphrase) · pbkeylen 16 · maxbw \(bound_bytesPerSecond) · latency \(Self.latency_ms)
    ou ce lien, en code QR montré au porteur et à personne d'autre (or this link, as a QR code shown to the wearer and to nobody else):
      \(larixLink)

    GStreamer : l'application pose la propriété « passphrase » de srtsink ; gst-launch-1.0 n'a que sa ligne de commande, que tout compte de la machine lit (an application sets srtsink's property; gst-launch-1.0 has only its command line, which every account of that machine can read):
      srtsink uri="\(address)?mode=caller&maxbw=\(bound_bytesPerSecond)&latency=\(Self.latency_ms)" streamid="\(streamID)" pbkeylen=16 passphrase=...

    srt-live-transmit : n'a que l'adresse en ligne de commande (has only the address on its command line):
      \(address)?mode=caller&streamid=%23!::u=\(camera),m=publish&pbkeylen=16&maxbw=\(bound_bytesPerSecond)&latency=\(Self.latency_ms)&linger=5&passphrase=...

    Caméra simulée (simulated camera):
      PLASTRON_PASSPHRASE=... plastron camera --host \(server) --port \(port) --id \(camera) --max-bandwidth \(bound_bytesPerSecond) --latency \(Self.latency_ms) --reconnect --from CLIP.ts
    """
  }

  /// Larix Grove: every setting of a connection in one address.
  private var larixLink: String {
    let fields = [
      ("name", camera), ("url", address), ("mode", "va"), ("srtmode", "c"), ("srtstreamid", streamID),
      ("srtpass", passphrase),
      ("srtpbkl", "16"), ("srtmaxbw", "\(bound_bytesPerSecond)"), ("srtlatency", "\(Self.latency_ms)"),
    ]
    let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
    return "larix://set/v1?"
      + fields.map { "conn[][\($0)]=\($1.addingPercentEncoding(withAllowedCharacters: plain) ?? "")" }.joined(
        separator: "&")
  }
}
