"""Kills the server, its database, or both, at random instants, and looks at what is left.

    .venv/bin/python Tests/EndToEnd/chaos.py --rounds 50 --cameras 6 [--seed N]

Every camera keeps what it sent, and when. At the end, for each of them: what is exported is what was sent, byte for byte and in
order, with holes only where a connection broke; of each connection, everything that was sent more than a second before the kill
is there; each hole is a gap of the register with its times, to a second; `plastron footage check` finds nothing.
"""

import argparse
import json
import os
import random
import signal
import sys
import time

from conftest import World, until

SECOND_US = 1_000_000


class Fleet:
    def __init__(self, world, count, seconds):
        self.world = world
        self.cameras = [world.new_camera() for _ in range(count)]
        self.logs = {c: world.scratch / f"sent-{c}.log" for c in self.cameras}
        self.runs = {c: world.record(c, seconds, "--reconnect", "--sent-log", str(self.logs[c])) for c in self.cameras}

    def log(self, camera):
        return [json.loads(line) for line in self.logs[camera].read_text().splitlines() if line.endswith("}")]

    def connections(self, camera):
        return self.log(camera)[-1]["connection"] if self.logs[camera].exists() and self.log(camera) else 0

    def until_all_send(self, more_than=None):
        """Waits until each has a new connection, and has sent on it for a while."""
        for camera in self.cameras:
            before = (more_than or {}).get(camera, 0)
            until(lambda: self.connections(camera) > before, 60)
        time.sleep(0.5)


def processes(world):
    return [world.server.pid] + [world.pid(role) for role in ("keeper", "ingest", "console")]


def postmaster(world):
    return int((world.data / "postgres/data/postmaster.pid").read_text().splitlines()[0])


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def one_round(world, fleet, what, dice):
    """Kills at a random instant; returns when, by the clock that the logs are written by."""
    time.sleep(dice.uniform(0.5, 4))
    before = {c: fleet.connections(c) for c in fleet.cameras}
    pids = processes(world) if what in ("server", "both") else []
    database = postmaster(world) if what in ("database", "both") else None
    at = int(time.time() * SECOND_US)
    kill(pids + ([database] if database else []))
    if pids:
        world.server.wait()
        world.start_server()
        until(world.is_up, 60)
        fleet.until_all_send(before)
    else:
        until(lambda: postmaster_is_new(world, database), 30)
    return at


def postmaster_is_new(world, before):
    try:
        return postmaster(world) != before
    except (FileNotFoundError, IndexError, ValueError):
        return False


def common_prefix(a, b):
    """How far two transport streams agree, in bytes of whole packets: the next epoch may begin with some equal bytes."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low - low % 188


def verify(world, fleet, camera, kills):
    """Raises with what is wrong; returns the bytes that were lost inside the second that may be."""
    row = world.closed(camera, 60)
    sent = fleet.runs[camera].sent.read_bytes()
    exported = memoryview(world.export(row["recording"]))
    log = fleet.log(camera)
    starts = {}
    for line in log:
        starts.setdefault(line["connection"], line)
    order = sorted(starts)
    gaps = [tuple(int(x) for x in r.split("|")) for r in world.sql(
        "SELECT us(g.from_at), us(g.to_at) FROM gap g JOIN recording_part p ON p.id = g.part_id "
        f"WHERE p.recording_id = '{row['recording']}' ORDER BY g.from_at").splitlines()]
    position = lost = 0
    for index, connection in enumerate(order):
        begin = starts[connection]["bytes"]
        end = starts[order[index + 1]]["bytes"] if index + 1 < len(order) else len(sent)
        got = common_prefix(exported[position:position + end - begin], memoryview(sent)[begin:end])
        position += got
        if index + 1 == len(order):
            assert begin + got == len(sent), f"{camera}: the last {len(sent) - begin - got} bytes are missing"
            break
        cut = [k for k in kills if starts[connection]["us"] < k < starts[order[index + 1]]["us"]]
        assert cut, f"{camera}: connection {connection} broke without a kill"
        due = max((line["bytes"] for line in log if line["connection"] == connection and line["us"] <= cut[0] - SECOND_US),
                  default=begin)
        assert begin + got >= due, f"{camera}: {due - begin - got} bytes sent more than a second before the kill are missing"
        lost += max((line["bytes"] for line in log if line["us"] <= cut[0]), default=0) - begin - got
        reconnected = starts[order[index + 1]]["us"]
        assert any(abs(g[0] - cut[0]) <= SECOND_US * 1.5 and abs(g[1] - reconnected) <= SECOND_US for g in gaps), (
            f"{camera}: no gap from {cut[0]} to {reconnected} among {gaps}")
    assert position == len(exported), f"{camera}: {len(exported) - position} bytes of the export were never sent, or not there"
    assert len(gaps) == len(order) - 1, f"{camera}: {len(gaps)} gaps for {len(order) - 1} breaks"
    return lost


def run(world, rounds, cameras, seed, say=print):
    dice = random.Random(seed)
    fleet = Fleet(world, cameras, 0)
    fleet.until_all_send()
    kills = []
    for number, what in enumerate(rounds):
        at = one_round(world, fleet, what, dice)
        if what != "database":  # without its database the server goes on: no connection breaks
            kills.append(at)
        say(f"{number + 1}/{len(rounds)}: {what} killed")
    time.sleep(2)
    incidents = {c: world.incident(c, 30)["incident"] for c in fleet.cameras}
    assert len(set(incidents.values())) == cameras
    for camera in fleet.cameras:
        fleet.runs[camera].process.send_signal(signal.SIGTERM)  # stops sending, and lets its buffer run empty
    for camera in fleet.cameras:
        fleet.runs[camera].process.wait(20)
    lost = [verify(world, fleet, camera, kills) for camera in fleet.cameras]
    world.check_is_clean()
    say(f"seed {seed}: {cameras} cameras, {len(rounds)} kills; nothing older than a second lost; "
        f"inside that second, {max(lost)} bytes a camera at the most over all kills; the check finds nothing")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=50)
    arguments.add_argument("--cameras", type=int, default=6)
    arguments.add_argument("--kill", choices=["server", "database", "both", "mixed"], default="mixed")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = arguments.parse_args()
    kinds = ["server", "server", "database", "both"] if options.kill == "mixed" else [options.kill]
    world = World()
    try:
        run(world, [kinds[n % len(kinds)] for n in range(options.rounds)], options.cameras, options.seed)
    except BaseException:
        print(f"seed {options.seed}", world.log_tail(), file=sys.stderr)
        raise
    finally:
        world.end()


if __name__ == "__main__":
    main()
