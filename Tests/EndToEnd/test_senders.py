"""Cameras of others: ffmpeg, srt-live-transmit, GStreamer. What they sent is recorded to the byte, shown live, and decodes."""

import json
import pathlib
import re
import shlex
import struct
import subprocess
import time

import pytest
from conftest import until
from lossy import Viewer

SECONDS = 9
# A message of any of these senders: seven packets.
MESSAGE_BYTES = 1316


class LiveFile(Viewer):
    """A viewer that keeps what the wall plays, as a file."""

    def __init__(self, world, operator, recording, path):
        self.path_of_file = path
        super().__init__(world, operator, recording)

    def watch(self):
        pending = b""
        with open(self.path_of_file, "wb") as file, self.session.get(self.path, stream=True, timeout=60) as live:
            for piece in live.iter_content(None):
                pending += piece
                while len(pending) >= 5:
                    kind, size = struct.unpack_from(">BI", pending)
                    if len(pending) < 5 + size:
                        break
                    if kind in (2, 3):
                        file.write(pending[5:5 + size])
                    pending = pending[5 + size:]


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=120)


def picture(codec, *more):
    return [
        "-f", "lavfi", "-i", f"testsrc=size=320x240:rate=25:duration={SECONDS}", "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}",
        "-f", "lavfi", "-i", f"sine=frequency=880:sample_rate=48000:duration={SECONDS}", "-map", "0", "-map", "1", *more, "-c:v", codec, "-preset", "veryfast",
        "-g", "25", "-bf", "2", "-b:v", "300k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "48k", "-f", "mpegts"]


def klv_clip(folder):
    """A clip with a KLV stream (SMPTE ST 336) beside its picture, as drones and some body cameras send for their position."""
    unit, clip = folder / "unit.klv", folder / "klv.ts"
    unit.write_bytes(bytes.fromhex("060e2b34020b01010e01030101000000") + bytes([32]) + bytes(range(32)))
    subprocess.run(
        ["gst-launch-1.0", "-q", "mpegtsmux", "name=m", "!", "filesink", f"location={clip}", "videotestsrc", f"num-buffers={25 * SECONDS}", "!",
         "video/x-raw,width=320,height=240,framerate=25/1", "!", "x264enc", "key-int-max=25", "bitrate=300", "!", "m.", "multifilesrc", f"location={unit}",
         f"num-buffers={5 * SECONDS}", "caps=meta/x-klv,parsed=true", "do-timestamp=true", "!", "m."], check=True, timeout=60)
    return clip


class Unit:
    """A municipal police service: its regime lets sound pass in the live relay."""

    def __init__(self, world):
        self.world = world
        self.service = world.admin("service", "--name", "PM avec son", "--regime", "pm", "--cameras", "50", "--act", "essai", "--date", "2026-01-01").strip()
        self.agent = world.person("S-1", "Porteur", self.service)
        for name in ("chef-pm", "operateur-pm", "auditeur-pm"):
            world.admin("account", "--name", name, "--agent", world.person(f"S-{name}", name, self.service))
        world.seat_head("chef-pm", self.service)
        world.accredit("chef-pm", "operateur-pm", "operator", self.service)
        world.accredit("chef-pm", "auditeur-pm", "auditor", self.service)

    def rows(self, camera):
        return self.world.session("auditeur-pm").call("GET", "/register", params={"camera": camera}).json()["rows"]


class Sender:
    """One sender of others, running: its bytes also go to `sent`."""

    def __init__(self, world, unit, folder, name, clip=None, streams=()):
        self.world, self.folder, self.name, self.clip, self.streams = world, folder, name, clip, streams
        self.camera = world.new_camera(service=unit.service, agent=unit.agent)
        self.passphrase = world.passphrases[self.camera]
        # What enrolment printed, word for word, and a threat, so that it is shown live.
        self.printed = world.client_settings[self.camera].replace("m=publish", "m=publish,plastron_threat=agents").replace("passphrase=...", f"passphrase={self.passphrase}")
        self.sent, self.live, self.kept = folder / f"{name}-sent.ts", folder / f"{name}-live.mp4", folder / f"{name}-kept.ts"
        self.processes = getattr(self, "start_" + name.split(" ")[0].replace("-", "_").lower())()

    def run(self, arguments, **more):
        return subprocess.Popen([str(a) for a in arguments], stderr=subprocess.PIPE, stdin=more.pop("stdin", subprocess.DEVNULL), **more)

    def start_ffmpeg(self):
        settings = self.folder / f"{self.name}.ffpreset"
        lines, address = re.search(r"ffpreset.*?:\n((?:\w+=.*\n)+).*\n.*-fpre \S+ (srt://[^\s;]+)", self.printed).groups()
        settings.write_text(lines)
        same = ["-map", "0", "-c", "copy", "-f", "mpegts"]
        process = self.run(["ffmpeg", "-v", "error", "-re", "-i", self.clip, *same, "-fpre", settings, address, *same, self.sent])
        self.arguments = until(lambda: next((line for line in [pathlib.Path(f"/proc/{process.pid}/cmdline").read_text()] if address in line), None))
        return [process]

    def start_srt_live_transmit(self):
        source = self.run(["ffmpeg", "-v", "error", "-re", "-i", self.clip, "-map", "0", "-c", "copy", "-f", "mpegts", "-"], stdout=subprocess.PIPE)
        both = self.run(["tee", self.sent], stdin=source.stdout, stdout=subprocess.PIPE)
        sender = self.run(
            ["srt-live-transmit", "-q", "file://con", re.search(r"srt-live-transmit .*\n  (\S+)", self.printed)[1]],
            stdin=both.stdout, stdout=subprocess.DEVNULL)
        return [source, both, sender]

    def start_gstreamer(self):
        return [self.run(
            ["gst-launch-1.0", "-q", "mpegtsmux", "name=m", "alignment=7", "!", "tee", "name=t", "!", "queue", "!", *shlex.split(re.search(r"  (srtsink .*)", self.printed)[1]), "t.", "!", "queue", "!", "filesink", f"location={self.sent}",
             "videotestsrc", "is-live=true", f"num-buffers={25 * SECONDS}", "!", "video/x-raw,width=320,height=240,framerate=25/1", "!", "x264enc", "bitrate=300", "key-int-max=25",
             "bframes=2", "speed-preset=veryfast", "!", "h264parse", "!", "m.", "audiotestsrc", "is-live=true", f"num-buffers={SECONDS * 47}", "!", "audio/x-raw,rate=48000", "!",
             "voaacenc", "!", "aacparse", "!", "m."])]

    def wait(self):
        end = time.monotonic() + 60
        if len(self.processes) > 1:
            # srt-live-transmit does not see the end of its input: it is switched off once it has sent everything.
            self.processes[0].wait(60)
            time.sleep(1.5)
            self.processes[-1].terminate()
        for process in self.processes:
            process.wait(max(1, end - time.monotonic()))
        self.errors = b"".join(process.stderr.read() for process in self.processes).decode()

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture(scope="module")
def senders(world, tmp_path_factory):
    """All of them at the same time, each watched by somebody, recorded and exported."""
    folder = tmp_path_factory.mktemp("senders")
    h264, hevc, two = folder / "h264.ts", folder / "hevc.ts", folder / "two.ts"
    ffmpeg(*picture("libx264"), h264)
    ffmpeg(*picture("libx265", "-x265-params", "log-level=error:keyint=25:bframes=2"), hevc)
    ffmpeg(*picture("libx264", "-map", "2"), two)
    until(world.is_up, 30)
    unit = Unit(world)
    running = []
    try:
        for name, clip, streams in [
            ("ffmpeg H.264", h264, ["h264", "aac"]), ("ffmpeg HEVC", hevc, ["hevc", "aac"]), ("ffmpeg two sounds", two, ["h264", "aac", "aac"]),
            ("ffmpeg KLV", klv_clip(folder), ["h264", "klv"]), ("srt-live-transmit", h264, ["h264", "aac"]), ("GStreamer", None, ["h264", "aac"]),
        ]:
            running.append(Sender(world, unit, folder, name, clip, streams))
        operator = world.session("operateur-pm")
        waiting, end = list(running), time.monotonic() + 15
        while waiting and time.monotonic() < end:
            cards = {card["camera"]: card for card in world.wall(operator)["incidents"]}
            for sender in list(waiting):
                card = cards.get(sender.camera)
                if card and card.get("threat"):
                    sender.viewer = LiveFile(world, operator, card["recording"], sender.live)
                    waiting.remove(sender)
            time.sleep(0.1)
        for sender in running:
            sender.wait()
        time.sleep(1)
        for sender in running:
            if sender not in waiting:
                # It may have closed itself: nobody sends any more.
                card = next((card for card in world.wall(operator)["incidents"] if card["camera"] == sender.camera), None)
                if card:
                    operator.call("POST", f"/incidents/{card['incident']}/close")
                sender.row = until(lambda: [r for r in unit.rows(sender.camera) if r["state"] == "closed"], 30)[-1]
                sender.viewer.thread.join(10)
                sender.kept.write_bytes(world.export(sender.row["recording"], head="chef-pm"))
        yield {sender.name: sender for sender in running}
    finally:
        for sender in running:
            sender.stop()


NAMES = ["ffmpeg H.264", "ffmpeg HEVC", "ffmpeg two sounds", "ffmpeg KLV", "srt-live-transmit", "GStreamer"]


def decoded(path):
    """Errors of ffmpeg's that decodes everything in a file, and the codecs of its streams."""
    played = subprocess.run(["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-map", "0:v", "-map", "0:a?", "-f", "null", "-"], capture_output=True, text=True, timeout=60)
    probed = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "json", str(path)], capture_output=True, text=True, check=True).stdout)
    return played.returncode, played.stderr, {stream["codec_name"]: int(stream["nb_read_packets"]) for stream in probed["streams"]}, [s["codec_name"] for s in probed["streams"]]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_recorded_to_the_byte(senders, name):
    sender = senders[name]
    sent, kept = sender.sent.read_bytes(), sender.kept.read_bytes()
    assert len(sent) > 200_000, sender.errors
    if name == "GStreamer":
        # It sends the program's tables once more to who has just connected, before everything else.
        header, kept = kept[:2 * 188], kept[2 * 188:]
        assert [header[at + 1] << 8 & 0x1F00 | header[at + 2] for at in (0, 188)] == [0x00, 0x20]
    # srt-live-transmit, which does not see the end of its input, leaves less than a message of it in its buffer; srtsink knows no
    # linger, and may close before its last messages have left.
    end = len(sent) - len(kept)
    left = {"srt-live-transmit": MESSAGE_BYTES - 1, "GStreamer": 2 * MESSAGE_BYTES}.get(name, 0)
    assert kept == sent[:len(kept)] and end <= left, (len(kept), len(sent))
    # srt-live-transmit goes without a word: where the link was taken for lost, the time up to the close is a gap.
    assert sender.row["gaps"] <= (name == "srt-live-transmit")
    code, errors, packets, streams = decoded(sender.kept)
    assert sorted(streams) == sorted(sender.streams) and all(packets.values()), packets
    assert (code, errors) == (0, "") or end, errors


@pytest.mark.parametrize("name", NAMES)
def test_it_is_shown_live_and_decodes_without_error(senders, name):
    sender = senders[name]
    code, errors, packets, streams = decoded(sender.live)
    assert (code, errors) == (0, ""), errors[:500]
    # The first sound is played; another, and data streams, are in the recording only.
    assert streams == [stream for stream in dict.fromkeys(sender.streams) if stream != "klv"]
    assert packets[streams[0]] > 25 * SECONDS / 2


@pytest.mark.parametrize("name", NAMES)
def test_its_latency_is_understood_in_the_unit_that_is_printed(world, senders, name):
    minutes = world.session("chef-pm").call("GET", f"/cameras/{senders[name].camera}/health").json()["minutes"]
    assert minutes and all(m["link"]["senderLatency_ms"] == 120 for m in minutes), minutes


def test_ffmpeg_has_its_passphrase_from_a_file(senders):
    for name in NAMES[:4]:
        sender = senders[name]
        assert sender.passphrase not in sender.arguments and ".ffpreset" in sender.arguments
