'use strict';
// Said from here on: a lag, a time without a picture.
const BEHIND_MS = 500, SILENT_MS = 2000;
// Plays one live view: frames of kind (8), length (32), payload from a streaming fetch into Media Source Extensions.
class LivePlayer {
  constructor(video, recording, onMessage, onEnd) {
    this.video = video; this.recording = recording; this.onMessage = onMessage; this.onEnd = onEnd;
    this.abort = new AbortController(); this.queue = []; this.buffer = null; this.source = null; this.ended = false; this.state = { picture: 'whole', lag_ms: 0 };
  }
  async start() {
    let response;
    try {
      response = await fetch(`/api/v1/recordings/${encodeURIComponent(this.recording)}/live`, { signal: this.abort.signal, cache: 'no-store' });
    } catch { return this.finish('Liaison avec le serveur perdue · link lost'); }
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      return this.finish(problem.detail || `Refus ${response.status}`, problem.code || String(response.status));
    }
    this.onMessage('Connexion… · joining');
    this.watch = setInterval(() => { if (this.last) this.onMessage(this.said()); }, 1000);
    try { await this.read(response.body.getReader()); } catch { this.finish('Direct interrompu · live interrupted'); }
  }
  async read(reader) {
    let held = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return this.finish('Direct terminé · live ended');
      const joined = new Uint8Array(held.length + value.length);
      joined.set(held); joined.set(value, held.length);
      let at = 0;
      while (joined.length - at >= 5) {
        const length = new DataView(joined.buffer, joined.byteOffset + at + 1, 4).getUint32(0);
        if (joined.length - at < 5 + length) break;
        this.frame(joined[at], joined.slice(at + 5, at + 5 + length));
        at += 5 + length;
      }
      held = joined.slice(at);
    }
  }
  frame(kind, payload) {
    if (kind === 1) this.type = new TextDecoder().decode(payload);
    else if (kind === 2) this.open(payload);
    else if (kind === 3) { if (this.state.picture === 'lost') this.state.picture = 'whole'; this.last = performance.now(); this.append(payload); }
    else if (kind === 5) { this.state = JSON.parse(new TextDecoder().decode(payload)); this.onMessage(this.said()); }
    else if (kind === 4) this.finish(new TextDecoder().decode(payload));
  }
  open(initialization) {
    if (!window.MediaSource || !MediaSource.isTypeSupported(this.type)) return this.finish(`Codage non lu par ce navigateur : ${this.type}`);
    this.close();
    this.queue = [initialization];
    const source = new MediaSource();
    this.source = source;
    this.url = URL.createObjectURL(source);
    this.video.src = this.url;
    source.addEventListener('sourceopen', () => {
      if (this.source !== source) return;
      this.buffer = source.addSourceBuffer(this.type);
      this.buffer.addEventListener('updateend', () => this.drain());
      this.drain();
    }, { once: true });
  }
  append(fragment) {
    // A page in the background must not gather minutes: keep what is newest.
    if (this.queue.length > 400) this.queue.splice(1, 200);
    this.queue.push(fragment);
    this.drain();
  }
  drain() {
    const b = this.buffer;
    if (!b || b.updating || !this.source || this.source.readyState !== 'open') return;
    try {
      if (b.buffered.length) {
        const start = b.buffered.start(0), end = b.buffered.end(b.buffered.length - 1), v = this.video;
        if (v.currentTime < start || end - v.currentTime > 2) v.currentTime = Math.max(start, end - 0.15);
        if (v.paused) v.play().catch(() => {});
        this.onMessage(this.said());
        // No seeking back: what was shown is forgotten within seconds.
        if (!this.queue.length && v.currentTime - start > 10) { b.remove(start, v.currentTime - 5); return; }
      }
      if (this.queue.length) b.appendBuffer(this.queue.shift());
    } catch { this.finish('Image illisible · picture unreadable'); }
  }
  // What the picture does not show of itself.
  said() {
    const silent_s = Math.floor((performance.now() - this.last) / 1000);
    if (silent_s * 1000 >= SILENT_MS) return `Sans image depuis ${silent_s} s · no picture for ${silent_s} s`;
    if (this.state.picture === 'lost') return 'Image perdue, reprise à la prochaine image complète · picture lost, resuming at the next whole one';
    if (this.state.picture === 'damaged') return 'Image abîmée : la caméra n’envoie pas d’image complète · damaged: no whole picture from the camera';
    if (this.state.lag_ms < BEHIND_MS) return '';
    const s = this.state.lag_ms / 1000;
    return `Retard ${s.toFixed(1).replace('.', ',')} s · ${s.toFixed(1)} s behind`;
  }
  close() {
    this.buffer = null; this.source = null;
    if (this.url) { URL.revokeObjectURL(this.url); this.url = null; }
    this.video.removeAttribute('src'); this.video.load();
  }
  finish(message, code) {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.watch);
    this.abort.abort();
    this.close();
    this.onMessage(message);
    this.onEnd(code);
  }
  stop() { this.finish(''); }
}
