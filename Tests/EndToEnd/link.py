"""A bad link on loopback: UDP datagrams between cameras and a server are lost, delayed, reordered and held up, by a seed.

`Direction` is pure: it is told of a datagram and answers when copies of it come out. `LinkProcess` carries real
datagrams through it in a process of its own, so that a busy test does not disturb the link's clock.

A profile is a dictionary, of a link or of one of its directions under `up` (camera to server) and `down`:
  delay_ms        one way, 0 unless said
  jitter_ms       added to the delay, evenly spread; datagrams stay in order
  reorder         share of datagrams that are held `reorder_ms` (20) longer and are overtaken
  duplicate       share of datagrams that come twice
  loss            share of datagrams that are lost, each by itself
  burst           [share of datagrams that begin a burst, mean length of a burst in datagrams]: Gilbert and Elliott
  rate_kbps       what passes, headers of IP and UDP included, or a schedule [[from_s, kbps or null], ...]
  queue_ms        what the queue before the limit holds (250); what does not fit is dropped
  outages         [[from_s, to_s], ...]: nothing passes
Times count from the first datagram of a camera.
"""

import heapq
import itertools
import json
import pathlib
import random
import select
import socket
import subprocess
import sys
import threading
import time

# Headers of IPv4 and UDP, which a real link carries too.
HEADER_BYTES = 28


class Direction:
    """One way of a link. Times are seconds since the link's first datagram."""

    def __init__(self, profile, seed):
        self.random = random.Random(seed)
        self.delay = profile.get("delay_ms", 0) / 1000
        self.jitter = profile.get("jitter_ms", 0) / 1000
        self.reorder = profile.get("reorder", 0)
        self.reorder_by = profile.get("reorder_ms", 20) / 1000
        self.duplicate = profile.get("duplicate", 0)
        self.loss = profile.get("loss", 0)
        begins, length = profile.get("burst", (0, 1))
        self.burst_begins, self.burst_ends = begins, 1 / length
        rate = profile.get("rate_kbps")
        self.rates = rate if isinstance(rate, list) else [[0, rate]]
        self.queue = profile.get("queue_ms", 250) / 1000
        self.outages = profile.get("outages", [])
        self.in_burst = False
        self.free_at = 0.0
        self.last = 0.0
        self.figures = dict.fromkeys(
            ["offered", "offered_bytes", "lost", "queue_drops", "duplicated", "reordered", "passed", "passed_bytes"], 0)

    def rate_at(self, now):
        """Bytes a second that pass now; None without a limit."""
        kbps = None
        for start, rate in self.rates:
            if now >= start:
                kbps = rate
        return None if kbps is None else kbps * 125

    def is_lost(self, now):
        # The states of the burst go on whatever else happens to the datagram.
        self.in_burst = self.random.random() >= self.burst_ends if self.in_burst else self.random.random() < self.burst_begins
        alone = self.random.random() < self.loss
        return self.in_burst or alone or any(start <= now < end for start, end in self.outages)

    def offered(self, now, size):
        """When copies of a datagram come out: no time where it is lost."""
        figures = self.figures
        figures["offered"] += 1
        figures["offered_bytes"] += size
        if self.is_lost(now):
            figures["lost"] += 1
            return []
        at = now
        rate = self.rate_at(now)
        if rate is not None:
            begins = max(now, self.free_at)
            if begins - now > self.queue:
                figures["queue_drops"] += 1
                return []
            at = self.free_at = begins + (size + HEADER_BYTES) / rate
        at += self.delay + (self.random.random() * self.jitter if self.jitter else 0)
        if self.reorder and self.random.random() < self.reorder:
            figures["reordered"] += 1
            at += self.reorder_by
        else:
            at = self.last = max(at, self.last)
        figures["passed"] += 1
        figures["passed_bytes"] += size
        if self.duplicate and self.random.random() < self.duplicate:
            figures["duplicated"] += 1
            return [at, at + 0.001]
        return [at]


class Link:
    """One port for cameras; each has a socket of its own towards the server, as behind an address translator."""

    def __init__(self, profile, server):
        self.server = tuple(server)
        shared = {k: v for k, v in profile.items() if k not in ("up", "down", "seed")}
        seed = profile.get("seed", 1)
        self.up = Direction({**shared, **profile.get("up", {})}, f"{seed} up")
        self.down = Direction({**shared, **profile.get("down", {})}, f"{seed} down")
        self.cameras = self.open()
        self.cameras.bind(("127.0.0.1", 0))
        self.port = self.cameras.getsockname()[1]
        self.towards = {}
        self.started = None
        self.started_us = None
        self.first, self.missing, self.repairs, self.repeated = {}, set(), [], 0

    @staticmethod
    def open():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        return s

    def saw(self, source, data, now, times):
        """Follows the packets of a camera: how long one that was lost at first needs until a copy passes."""
        # An SRT data packet begins with a zero bit and its number.
        if len(data) < 16 or data[0] & 0x80:
            return
        packet = (source, data[:4])
        first = self.first.get(packet)
        if first is None:
            self.first[packet] = first = now
            if not times:
                self.missing.add(packet)
        else:
            self.repeated += 1
        if times and packet in self.missing:
            self.missing.remove(packet)
            self.repairs.append(times[0] - first)

    def figures(self):
        repairs = sorted(self.repairs)
        return {
            "port": self.port, "started_us": self.started_us, "up": self.up.figures, "down": self.down.figures,
            # Packets of the camera: as sent first, sent again, repaired by that, and never passed.
            "packets": len(self.first), "repeated": self.repeated, "repaired": len(repairs), "never": len(self.missing),
            "repair_ms": {name: round(1000 * repairs[int((len(repairs) - 1) * part)], 1) if repairs else 0.0
                          for name, part in [("p50", 0.5), ("p99", 0.99), ("max", 1)]},
        }


class Carrier:
    """Carries the datagrams of several links on one thread."""

    def __init__(self, links):
        self.links = links
        self.due = []
        self.number = itertools.count()
        self.sockets = {link.cameras: (link, None) for link in links}
        self.late_ms = []
        self.stopping = False
        self.lock = threading.Lock()

    def run(self):
        while not self.stopping:
            wait = min(0.05, max(0, self.due[0][0] - time.monotonic())) if self.due else 0.05
            readable, _, _ = select.select(list(self.sockets), [], [], wait)
            with self.lock:
                for s in readable:
                    self.receive(s)
                self.deliver()

    def receive(self, s):
        known = self.sockets.get(s)
        for _ in range(64):
            try:
                data, source = s.recvfrom(2048)
            except OSError:
                return
            now = time.monotonic()
            if known is None:
                continue
            link, camera = known
            if link.started is None:
                link.started, link.started_us = now, time.time_ns() // 1000
            if camera is None:
                if source not in link.towards:
                    self.bind(link, source)
                times = link.up.offered(now - link.started, len(data))
                link.saw(source, data, now - link.started, times)
                target = (link, source, True)
            else:
                times = link.down.offered(now - link.started, len(data))
                target = (link, camera, False)
            for at in times:
                heapq.heappush(self.due, (link.started + at, next(self.number), target, data))

    def bind(self, link, source):
        old = link.towards.pop(source, None)
        if old is not None:
            del self.sockets[old]
            old.close()
        link.towards[source] = s = Link.open()
        s.connect(link.server)
        self.sockets[s] = (link, source)

    def deliver(self):
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            at, _, (link, camera, is_up), data = heapq.heappop(self.due)
            try:
                if is_up:
                    link.towards[camera].send(data)
                else:
                    link.cameras.sendto(data, camera)
            except OSError:
                # Nobody listens, or a full buffer: lost, as on any link.
                pass
            if len(self.late_ms) < 200_000:
                self.late_ms.append((now - at) * 1000)
            now = time.monotonic()

    def rebind(self, index):
        with self.lock:
            for source in list(self.links[index].towards):
                self.bind(self.links[index], source)

    def figures(self):
        with self.lock:
            late = sorted(self.late_ms)
            share = {name: round(late[int(len(late) * part)], 3) for name, part in [("p50", 0.5), ("p99", 0.99)]} if late else {}
            return {"links": [link.figures() for link in self.links], "late_ms": share}


class LinkProcess:
    """Links that run in a process of their own until they are ended: `ports[n]` leads to the server by profile n."""

    def __init__(self, server_port, profiles):
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # A profile may lead to a server of its own.
        self.ports = self.ask([{"server": ["127.0.0.1", profile.get("server_port", server_port)], "profile": profile} for profile in profiles])

    def ask(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def figures(self):
        return self.ask("figures")

    def rebind(self, index):
        """From now on the server sees link `index` come from another port."""
        self.ask(["rebind", index])

    def end(self):
        self.process.stdin.close()
        self.process.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def main():
    links = [Link(asked["profile"], asked["server"]) for asked in json.loads(sys.stdin.readline())]
    carrier = Carrier(links)
    thread = threading.Thread(target=carrier.run, daemon=True)
    thread.start()
    print(json.dumps([link.port for link in links]), flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if message == "figures":
            print(json.dumps(carrier.figures()), flush=True)
        else:
            carrier.rebind(message[1])
            print("null", flush=True)
    carrier.stopping = True


if __name__ == "__main__":
    main()
