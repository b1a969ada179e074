"""Simulated cameras over bad links: what is recorded against what was sent, how far behind the wall is, and how long it stands still.

    .venv/bin/python Tests/EndToEnd/lossy.py [--seconds 20] [--only NAME...] [--json FILE]

`make links` runs the whole matrix and prints the table of docs/design/links.md. test_lossy_links.py runs a short one.
"""

import argparse
import bisect
import contextlib
import hashlib
import itertools
import json
import pathlib
import re
import struct
import subprocess
import sys
import threading
import time

from conftest import World
from link import LinkProcess

MESSAGE_BYTES = 1316
KEY_INTERVAL_S = 1.0
# ReceptionSettings.relayBudget_ms
RELAY_BUDGET_S = 0.4


def link(loss, round_trip_ms, **more):
    return {"loss": loss / 100, "delay_ms": round_trip_ms / 2, **more}


SHORT = {
    "1 %, 20 ms": link(1, 20, seed=11),
    "5 %, 40 ms, jitter": link(5, 40, jitter_ms=15, seed=12),
    "10 %, 80 ms": link(10, 80, seed=13),
    "20 %, 150 ms": link(20, 150, seed=14),
    "reordered, doubled": link(1, 60, jitter_ms=10, reorder=0.1, reorder_ms=25, duplicate=0.1, seed=15),
    "bursts of 8": link(0, 60, burst=[0.01, 8], seed=16),
    "3 s outage": link(1, 40, outages=[[4, 7]], seed=17),
}
FULL = {
    **{f"{loss} %, {rtt} ms": link(loss, rtt, seed=loss * 1000 + rtt) for loss in (1, 5, 10, 20) for rtt in (20, 80, 150)},
    **{f"{loss} %, 60 ms, jitter": link(loss, 60, jitter_ms=30, seed=loss * 1000 + 1) for loss in (1, 5, 10, 20)},
    **{f"{loss} %, 60 ms, reordered, doubled": link(loss, 60, reorder=0.1, reorder_ms=30, duplicate=0.1, seed=loss * 1000 + 2) for loss in (1, 20)},
    "bursts of 8": SHORT["bursts of 8"],
    "bursts of 30": link(0, 100, burst=[0.005, 30], seed=18),
    "3 s outage": SHORT["3 s outage"],
    "3 s outage, 10 %, 100 ms": link(10, 100, outages=[[4, 7]], seed=19),
}


def make_clip(folder, seconds, rate_kbps=350):
    """A clip that does not repeat within the run, so that every picture can be told from every other."""
    clip = folder / f"links-{seconds}-{rate_kbps}.ts"
    if not clip.exists():
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=320x240:rate=25:duration={seconds}" + (",noise=alls=40:allf=t" if rate_kbps > 1000 else ""), "-f", "lavfi", "-i",
             f"sine=sample_rate=48000:duration={seconds}", "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0",
             "-bf", "2", "-b:v", f"{rate_kbps}k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "48k", "-f", "mpegts", str(clip)], check=True)
    return clip


def key_of(units):
    """What tells one picture from another: its largest NAL unit."""
    return hashlib.sha256(max(units, key=len).rstrip(b"\0")).digest()


def pictures_sent(stream):
    """Of each picture of a transport stream: its key, and the byte after its last packet."""
    found, current, pid_of_video, end = {}, None, 0x100, 0
    for at in range(0, len(stream) - 187, 188):
        packet = stream[at:at + 188]
        if (packet[1] & 0x1F) << 8 | packet[2] != pid_of_video or not packet[3] & 0x10:
            continue
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        payload = packet[start:]
        if packet[1] & 0x40:
            if current:
                found[key_of(re.split(rb"\x00\x00\x01", bytes(current))[1:])] = end
            current = bytearray(payload[9 + payload[8]:])
        elif current is not None:
            current += payload
        end = at + 188
    return found


def boxes(content, start, end):
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        if size < 8:
            return
        yield kind, start + 8, start + size
        start += size


def first_picture(fragment):
    """The key of the first picture of a fragment of the wall's; None where it has none."""
    for kind, start, end in boxes(fragment, 0, len(fragment)):
        if kind != b"moof":
            continue
        for kind, start, end in boxes(fragment, start, end):
            if kind != b"traf":
                continue
            inner = {kind: (start, end) for kind, start, end in boxes(fragment, start, end)}
            track, = struct.unpack_from(">I", fragment, inner[b"tfhd"][0] + 4)
            if track != 1:
                continue
            _, offset, _, size = struct.unpack_from(">IiII", fragment, inner[b"trun"][0] + 4)
            units, at = [], offset
            while at + 4 <= offset + size:
                length, = struct.unpack_from(">I", fragment, at)
                units.append(fragment[at + 4:at + 4 + length])
                at += 4 + length
            return key_of(units) if units else None
    return None


class Viewer:
    """Somebody in front of the wall: when each picture came."""

    def __init__(self, world, operator, recording):
        self.came = {}
        self.joined = float("inf")
        self.session, self.path = operator, f"{operator.base}/recordings/{recording}/live"
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        pending = b""
        with contextlib.suppress(Exception), self.session.get(self.path, stream=True, timeout=60) as live:
            self.joined = time.time()
            for piece in live.iter_content(None):
                now = time.time()
                pending += piece
                while len(pending) >= 5:
                    kind, size = struct.unpack_from(">BI", pending)
                    if len(pending) < 5 + size:
                        break
                    if kind == 3:
                        self.came.setdefault(first_picture(pending[5:5 + size]), now)
                    pending = pending[5 + size:]


class SentLog:
    """When which byte was handed to the transport."""

    def __init__(self, path):
        entries = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        self.bytes = [entry["bytes"] for entry in entries]
        self.times = [entry["us"] / 1e6 for entry in entries]

    def at(self, count):
        """When the first `count` bytes had been sent."""
        return self.times[min(bisect.bisect_left(self.bytes, count), len(self.times) - 1)]


def messages(stream):
    return [stream[at:at + MESSAGE_BYTES] for at in range(0, len(stream), MESSAGE_BYTES)]


def missing_messages(sent, kept):
    """Numbers of the sent messages that were not kept; fails where what was kept is not what was sent, in its order."""
    kept = messages(kept)
    missing, at = [], 0
    for number, message in enumerate(messages(sent)):
        if at < len(kept) and kept[at] == message:
            at += 1
        else:
            missing.append(number)
    assert at == len(kept), f"message {at} of {len(kept)} was not sent, or not there"
    return missing


class Drive:
    """One camera through one link."""

    def __init__(self, world, name, number, link, options, seconds, clip, watch=True):
        self.world, self.name, self.number, self.link, self.seconds = world, name, number, link, seconds
        self.camera = world.new_camera()
        self.log_path = world.scratch / f"sent-{self.camera}.log"
        self.run = world.record(
            self.camera, seconds, "--port", str(link.ports[number]), "--from", str(clip), "--sent-log", str(self.log_path), "--sent-log-every", "0",
            *(["--threat", "agents"] if watch else []), *options)
        self.viewer = None

    def finish(self):
        self.said = self.run.wait(self.seconds + 40)
        assert self.said, self.run.error
        self.row = self.close()
        self.sent, self.kept = self.run.sent.read_bytes(), self.world.export(self.row["recording"])
        self.log = SentLog(self.log_path)
        self.figures = self.link.figures()["links"][self.number]
        return self

    def close(self):
        """Closes the incident, unless it is closed already, fifteen seconds after the last packet."""
        operator = self.world.session("operateur")
        card = next((card for card in self.world.wall(operator)["incidents"] if card["camera"] == self.camera), None)
        if card:
            operator.call("POST", f"/incidents/{card['incident']}/close")
        return self.world.closed(self.camera, 30)

    def gaps(self):
        rows = self.world.sql(
            "SELECT g.cause, us(g.from_at), us(g.to_at) FROM gap g JOIN recording_part p ON p.id = g.part_id "
            f"WHERE p.recording_id = '{self.row['recording']}' ORDER BY g.from_at")
        return [(cause, int(begin) / 1e6, int(end) / 1e6) for cause, begin, end in (line.split("|") for line in rows.splitlines())]

    def pictures(self):
        """(when its last byte was handed over, when it came on the wall or None) of each picture, as they were sent.

        What the wall sends at once to who joins was sent before; it is left out. So is the stream's last picture, whose end nothing tells.
        """
        if not hasattr(self, "known"):
            sent = [(self.log.at(end), self.viewer.came.get(key)) for key, end in pictures_sent(self.sent).items()]
            self.known = sorted(((left, came) for left, came in sent if left > self.viewer.joined), key=lambda one: one[0])
        return self.known

    def lags(self):
        """(when sent, seconds from the hand-over of a picture's last byte to its coming on the wall) of those that came."""
        return [(left, came - left) for left, came in self.pictures() if came]

    def until_first(self):
        """Seconds from the joining to the first picture that was sent after it: a viewer starts with a key picture."""
        return min((came for _, came in self.pictures() if came), default=float("inf")) - self.viewer.joined

    def left_out(self):
        """How many pictures never came on the wall, of those after the first that came."""
        return sum(came is None for _, came in itertools.dropwhile(lambda one: not one[1], self.pictures()))

    def darkness(self):
        """(from, to) of each time without a new picture on the wall, from the first one until the last picture was sent.

        A wall that stands still until the end has no picture after it: the end counts as one. One that never began stood
        still all the time.
        """
        end = max((left for left, _ in self.pictures()), default=self.log.times[-1])
        instants = sorted(came for _, came in self.pictures() if came) or [self.log.times[0]]
        return list(itertools.pairwise([*instants, max(end, instants[-1])]))

    def longest_darkness(self, apart=()):
        """Seconds; `apart` are (from, to) of outages, in the link's seconds: what touches one of them is left out."""
        started = self.figures["started_us"] / 1e6
        return max((to - begin for begin, to in self.darkness() if not any(begin < started + b and to > started + a for a, b in apart)), default=0.0)


def run_together(world, cases, seconds):
    """Runs cameras at the same time: `cases` are (name, profile, camera's options)."""
    clip = make_clip(world.scratch, seconds + 4)
    operator = world.session("operateur")
    with LinkProcess(world.ingest_port, [profile for _, profile, _ in cases]) as links:
        drives = []
        try:
            for number, (name, _, options) in enumerate(cases):
                drives.append(Drive(world, name, number, links, options, seconds, clip))
            waiting = {drive.camera: drive for drive in drives}
            end = time.monotonic() + 15
            while waiting and time.monotonic() < end:
                for card in world.wall(operator)["incidents"]:
                    if card["camera"] in waiting and card.get("threat"):
                        waiting.pop(card["camera"]).viewer = Viewer(world, operator, card["recording"])
                time.sleep(0.05)
            assert not waiting, f"not on the wall: {sorted(waiting)}"
            return [drive.finish() for drive in drives]
        finally:
            for drive in drives:
                drive.run.stop()


def quantile(values, part):
    values = sorted(values)
    return values[int((len(values) - 1) * part)] if values else float("nan")


def figures_of(drive):
    """Everything that is measured of a drive."""
    lags = [1000 * lag for _, lag in drive.lags()]
    figures, repair = drive.figures, drive.figures["repair_ms"]
    packets = max(1, figures["packets"])
    end = max((left for left, _ in drive.pictures()), default=0)
    worst = max(drive.lags(), key=lambda one: one[1], default=(end, 0))
    return {
        "name": drive.name, "sent_bytes": len(drive.sent), "kept_bytes": len(drive.kept), "whole": drive.kept == drive.sent, "gaps": len(drive.gaps()),
        "packets": figures["packets"], "lost_percent": 100 * figures["repaired"] / packets, "repeated_percent": 100 * figures["repeated"] / packets,
        "never_packets": figures["never"], "repair_ms": {key: repair[key] for key in ("p50", "p99", "max")},
        "lag_ms": {"p50": quantile(lags, 0.5), "p99": quantile(lags, 0.99), "max": quantile(lags, 1), "max_before_end": 1000 * (end - worst[0])}, "pictures": len(drive.pictures()),
        "shown": len(lags), "left_out": drive.left_out(), "until_first_ms": 1000 * drive.until_first(), "dark_ms": 1000 * drive.longest_darkness(),
        "sent_pictures": len(pictures_sent(drive.sent)), "connections": drive.said["connections"],
    }


def line_of(drive):
    f = figures_of(drive)
    repair, lag = f["repair_ms"], f["lag_ms"]
    return (
        f"| {f['name']} | {'yes' if f['whole'] else 'NO'} | {f['gaps']} | {f['lost_percent']:.1f} | {f['repeated_percent']:.0f} | "
        f"{repair['p50']:.0f} / {repair['p99']:.0f} / {repair['max']:.0f} | {lag['p50']:.0f} / {lag['p99']:.0f} / {lag['max']:.0f} | "
        f"{f['dark_ms']:.0f} | {f['left_out']} of {f['left_out'] + f['shown']} | {f['until_first_ms']:.0f} |")


HEADER = """| link, sender | byte for byte | gaps | lost at first % | sent again % | retransmission ms (p50 / p99 / max) | wall's lag ms (p50 / p99 / max) | longest without a new picture ms | pictures left out | joining until the first picture ms |
|---|---|---|---|---|---|---|---|---|---|"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path, help="write every figure there")
    options = parser.parse_args()
    unknown = set(options.only or ()) - set(FULL)
    if unknown:
        parser.error(f"no such link: {sorted(unknown)}; there are {sorted(FULL)}")
    world = World()
    bad, rows = 0, []
    try:
        print(HEADER, flush=True)
        cases = [
            (f"{name}, {order}", profile, [*more, "--reconnect"])
            for name, profile in FULL.items() if not options.only or name in options.only
            for order, more in [("plain", []), ("in order", ["--in-order"])]]
        for start in range(0, len(cases), options.at_once):
            for drive in run_together(world, cases[start:start + options.at_once], options.seconds):
                print(line_of(drive), flush=True)
                rows.append(figures_of(drive))
                bad += drive.kept != drive.sent
                if options.json:
                    options.json.write_text(json.dumps(rows, indent=1))
    finally:
        world.end()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
