"""How much gets through a link that is too small, by the sender's settings and by how it is received. A measurement, no test.

Every run is one sender, one link (link.py) and one listener, all real; `make bandwidth` prints the table of
docs/design/links.md. Listeners: `defaults` is libsrt's own listener as it comes (TSBPD 120 ms, late packets dropped),
`complete` and `timely N` are the server's two ways, at the transport (srt-live-transmit with the same socket options), `window N` bounds
the packets that may be under way (SRTO_FC). With --server the runs go into the server itself, as it receives by default.

The link `free` loses nothing and has room: what a cell of it is short of is no doing of a link. srt-live-transmit ends with its connection, and what its window
holds then is gone: a `timely` cell is short by up to its window.
"""

import argparse
import concurrent.futures
import contextlib
import json
import pathlib
import socket
import subprocess
import tempfile
import time

from conftest import PROGRAM, World, free_port
from link import LinkProcess

RATE_KBPS = 1000
ROUND_TRIP_MS = 60
SETTINGS = {
    "none": {}, "maxbw 1.2": {"maxbw": 1.2}, "maxbw 1.5": {"maxbw": 1.5}, "maxbw 2": {"maxbw": 2}, "maxbw 3": {"maxbw": 3},
    "oheadbw 25": {"ohead": 25}, "oheadbw 50": {"ohead": 50},
}
DELIVERIES = {
    "defaults": "", "complete": "&tsbpdmode=0&tlpktdrop=0", "complete, window 256": "&tsbpdmode=0&tlpktdrop=0&fc=256",
    "complete, window 512": "&tsbpdmode=0&tlpktdrop=0&fc=512", "complete, window 768": "&tsbpdmode=0&tlpktdrop=0&fc=768", "timely 500": "&latency=500", "timely 1000": "&latency=1000", "timely 2000": "&latency=2000",
}


def links(kbps):
    """The links by name: (profile, seconds). What the stream needs on the link is its rate, and headers of SRT, UDP and IP."""
    whole = kbps * (1316 + 44) / 1316
    both = {"delay_ms": ROUND_TRIP_MS / 2}

    def up(rate):
        return {**both, "up": {"rate_kbps": rate, "queue_ms": 250}}
    return {
        "free": (both, 30),
        "80 %": (up(whole * 0.8), 30),
        "50 %": (up(whole * 0.5), 30),
        "20 % lost": ({"delay_ms": 75, "loss": 0.2, "seed": 4}, 30),
        "step": (up([[0, whole * 1.5], [10, whole * 0.5], [30, whole * 1.5]]), 50),
    }


def make_clip(folder, rate_kbps):
    clip, video = folder / "clip.ts", f"{rate_kbps - 100 - rate_kbps // 20}k"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=20,noise=alls=20:allf=t", "-f", "lavfi",
         "-i", "sine=sample_rate=48000:duration=20", "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "0",
         "-b:v", video, "-minrate", video, "-maxrate", video, "-bufsize", "200k", "-x264-params", "nal-hrd=cbr",
         "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-f", "mpegts", str(clip)], check=True)
    return clip, clip.stat().st_size * 8 / 20 / 1000


def sender_arguments(sender, setting, clip, kbps, port, seconds, stream="x", passphrase=None):
    bound = SETTINGS[setting]
    maxbw = int(bound["maxbw"] * kbps * 125) if "maxbw" in bound else None
    if sender == "ffmpeg":
        url = f"srt://127.0.0.1:{port}?streamid={stream}&linger=10"
        url += f"&passphrase={passphrase}" if passphrase else ""
        url += f"&maxbw={maxbw}" if maxbw else ""
        url += f"&maxbw=0&inputbw={int(kbps * 125)}&oheadbw={bound['ohead']}" if "ohead" in bound else ""
        return ["ffmpeg", "-v", "quiet", "-re", "-stream_loop", "-1", "-i", str(clip), "-map", "0", "-c", "copy", "-t", str(seconds), "-f", "mpegts", url]
    arguments = [str(PROGRAM), "camera", "--port", str(port), "--id", "x", "--stream-id", stream, "--from", str(clip), "--seconds", str(seconds), "--reconnect"]
    arguments += ["--max-bandwidth", str(maxbw)] if maxbw else []
    arguments += ["--overhead", str(bound["ohead"])] if "ohead" in bound else []
    return arguments


def share(part, whole):
    return f"{100 * part / whole:.0f}" if whole else "-"


class Run:
    """One sender over one link into one listener."""

    def __init__(self, sender, setting, delivery, link):
        self.sender, self.setting, self.delivery, self.link = sender, setting, delivery, link

    def measure(self, folder, clip, kbps, world=None):
        profile, seconds = links(kbps)[self.link]
        port = world.ingest_port if world else free_port(socket.SOCK_DGRAM)
        taken, stats, listener, more = pathlib.Path(tempfile.mktemp(dir=folder)), pathlib.Path(tempfile.mktemp(dir=folder)), None, {}
        stream, passphrase, camera = "x", None, None
        if world:
            camera = world.new_camera()
            stream, passphrase = f"#!::u={camera},m=publish", world.passphrases[camera]
        with LinkProcess(port, [profile]) as link, contextlib.ExitStack() as running:
            if not world:
                output = running.enter_context(open(taken, "wb"))
                listener = subprocess.Popen(
                    ["srt-live-transmit", "-q", "-s", "200", "-pf", "json", "-statsout", str(stats), f"srt://127.0.0.1:{port}?mode=listener{DELIVERIES[self.delivery]}", "file://con"],
                    stdout=output, stderr=subprocess.DEVNULL)
                time.sleep(0.5)
            arguments = sender_arguments(
                self.sender, self.setting, clip, kbps, link.ports[0], seconds, stream.replace("#", "%23") if self.sender == "ffmpeg" else stream, passphrase)
            environment = {**(world.environment if world else {}), "PLASTRON_PASSPHRASE": passphrase or ""}
            arguments += ["--passphrase-file", "none"] if self.sender == "camera" and not passphrase else []
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", **environment})
            time.sleep(seconds)
            self.live = 0 if world else taken.stat().st_size
            # A sender that ends lets its buffer run empty for a while: ffmpeg's linger, the camera's own five seconds.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            time.sleep(0.5)
            self.sent = link.figures()["links"][0]["up"]
            if world:
                size, self.gaps = world.delivered(camera)
            process.poll()
            for one in filter(None, [process, listener]):
                one.kill()
                one.wait()
            self.delivered = size if world else taken.stat().st_size
            self.sender_ended = process.returncode
        self.offered = kbps * 125 * seconds
        self.last = {}
        self.gaps = getattr(self, "gaps", "")
        if not world and stats.exists():
            for line in stats.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    self.last = json.loads(line.strip().rstrip(","))
        taken.unlink(missing_ok=True)
        stats.unlink(missing_ok=True)
        return self

    def figures(self):
        received, rtt = self.last.get("recv", {}), self.last.get("link", {}).get("rtt", 0)
        return {
            "sender": self.sender, "setting": self.setting, "delivery": self.delivery, "link": self.link, "offered": int(self.offered),
            "sent": self.sent["offered_bytes"], "passed": self.sent["passed_bytes"], "delivered": self.delivered, "live": self.live,
            "packets": received.get("packets", 0), "lost": received.get("packetsLost", 0), "retransmitted": received.get("packetsRetransmitted", 0),
            "dropped": received.get("packetsDropped", 0), "rtt_ms": rtt, "gaps": self.gaps, "sender_ended": self.sender_ended,
        }


class Receiver(World):
    """The server, for the runs into it."""

    def delivered(self, camera):
        """Bytes of the recording, and the causes of its gaps."""
        card = next((card for card in self.wall(self.session("operateur"))["incidents"] if card["camera"] == camera), None)
        if card:
            self.session("operateur").call("POST", f"/incidents/{card['incident']}/close")
        row = self.closed(camera, 30)
        causes = self.sql(f"SELECT string_agg(cause, ' ' ORDER BY from_at) FROM gap g JOIN recording_part p ON p.id = g.part_id WHERE p.recording_id = '{row['recording']}'")
        return row["size_bytes"], causes


def table(results):
    lines = ["| link | sender | its setting | received | by the end of the stream kB | delivered in all kB | of what was offered % | against `defaults` % | sent kB | of it delivered % | lost | retransmitted | RTT ms |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    base = {(r["link"], r["sender"], r["setting"]): r["delivered"] for r in results if r["delivery"] == "defaults"}
    for r in results:
        against = base.get((r["link"], r["sender"], r["setting"]))
        lines.append(
            f"| {r['link']} | {r['sender']} | {r['setting']} | {r['delivery']} | {r['live'] // 1000} | {r['delivered'] // 1000} | {share(r['delivered'], r['offered'])} | "
            f"{share(r['delivered'], against)} | {r['sent'] // 1000} | {share(r['delivered'], r['sent'])} | {r['lost']} | {r['retransmitted']} | {r['rtt_ms']:.0f} |{' ' + r['gaps'] if r['gaps'] else ''}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", nargs="*", default=["ffmpeg", "camera"])
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--deliveries", nargs="*", default=None)
    parser.add_argument("--links", nargs="*", default=["free", "80 %", "50 %", "step"])
    parser.add_argument("--server", action="store_true", help="into the server itself")
    parser.add_argument("--rate", type=int, default=RATE_KBPS, help="of the stream, kbit/s")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path, help="write every figure there")
    options = parser.parse_args()
    deliveries = ["server"] if options.server else options.deliveries or list(DELIVERIES)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="plastron-bandwidth-"))
    world = Receiver() if options.server else None
    try:
        clip, kbps = make_clip(folder, options.rate)
        print(f"stream: {kbps:.0f} kbit/s, round trip {ROUND_TRIP_MS} ms, queue 250 ms", flush=True)
        # Where there is room, the settings do not matter.
        runs = [Run(s, b, d, link) for link in options.links for s in options.senders for b in (options.settings if link != "free" else options.settings[:1])
                for d in deliveries]
        with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
            results = [run.figures() for run in pool.map(lambda run: run.measure(folder, clip, kbps, world), runs)]
        print(table(results))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    finally:
        if world:
            world.end()


if __name__ == "__main__":
    main()
