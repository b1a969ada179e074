"""A hostile camera beside an honest one: no process falls or hangs, and the honest recording is what was sent, byte for byte.

`PLASTRON_HOSTILE_SECONDS` is the time for all kinds together; `make hostile SECONDS=600` sets it.
"""

import json
import os
import subprocess
import threading
import time

import pytest
import requests
from conftest import PROGRAM, World, until

# It takes the machine as far as it goes: nothing beside it.
pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("PLASTRON_HOSTILE_SECONDS", 21))
KINDS = subprocess.run([str(PROGRAM), "hostile", "--list"], capture_output=True, text=True, timeout=20).stdout.split()
EACH = max(1.5, SECONDS / max(1, len(KINDS)))
ROLES = ("ingest", "keeper", "console")
# Of a role's memory, over what it had before: the giant units' bound, twice, and what the allocator keeps.
GROWTH_KB = 400_000


@pytest.fixture(scope="module")
def besieged():
    """A server of its own: what the attack leaves in its limits disturbs no other test."""
    world = World()
    yield world
    print((world.scratch / "server.log").read_text()[-4000:])
    world.end()


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


class Viewer(threading.Thread):
    """Watches whatever the hostile camera has on the wall, so that the console demultiplexes it."""

    def __init__(self, world, camera):
        super().__init__(daemon=True)
        self.world, self.camera = world, camera
        self.over = threading.Event()
        self.joined = self.got_bytes = 0

    def run(self):
        session = self.world.session("operateur")
        while not self.over.is_set():
            try:
                card = next((c for c in self.world.wall(session)["incidents"] if c["camera"] == self.camera), None)
                if card is None:
                    self.over.wait(0.3)
                    continue
                with session.get(f"{session.base}/recordings/{card['recording']}/live", stream=True, timeout=2) as live:
                    self.joined += live.ok
                    for piece in live.iter_content(None):
                        self.got_bytes += len(piece)
                        if self.over.is_set():
                            return
            except (requests.RequestException, KeyError, StopIteration):
                # Nothing comes, or the server ended the view: try again.
                self.over.wait(0.2)


def attack(world, kind, camera, seed):
    run = subprocess.run(
        [str(PROGRAM), "hostile", "--kind", kind, "--port", str(world.ingest_port), "--id", camera, "--clip", str(world.clip),
         "--seconds", f"{EACH:.1f}", "--rate", "40" if kind == "giant-units" else "8", "--threat", "agents", "--seed", str(seed)],
        env=dict(world.environment, PLASTRON_PASSPHRASE=world.passphrases[camera]), capture_output=True, text=True,
        timeout=EACH + 60)
    assert run.returncode == 0, (kind, run.stderr)
    return json.loads(run.stdout)


def test_a_hostile_camera_harms_nobody(besieged):
    world = besieged
    assert len(KINDS) >= 14
    hostile, good = world.new_camera(), world.new_camera()
    pids = {role: world.pid(role) for role in ROLES}
    before_kb = {role: resident_kb(pid) for role, pid in pids.items()}
    honest = world.record(good, 0)
    world.incident(good)
    viewer = Viewer(world, hostile)
    viewer.start()
    told = {}
    try:
        for number, kind in enumerate(KINDS):
            told[kind] = attack(world, kind, hostile, number + 1)
            print(told[kind], {role: resident_kb(pid) - before_kb[role] for role, pid in pids.items()})
            # Nobody fell, nobody hangs, and the honest camera is still on the line.
            assert {role: world.pid(role) for role in ROLES} == pids, kind
            began = time.monotonic()
            assert world.is_up(), kind
            assert good in [card["camera"] for card in world.wall(world.session("operateur"))["incidents"]], kind
            assert time.monotonic() - began < 20, kind
            assert honest.process.poll() is None, kind
    finally:
        viewer.over.set()
        honest.process.terminate()
    assert honest.wait()["connections"] == 1
    viewer.join(30)
    assert not viewer.is_alive()
    # The attacks did take place: bytes were sent inside connections, and somebody watched.
    for kind in ("rubbish", "mutated", "endless-unit", "sections"):
        assert told[kind]["connections"] > 0 and told[kind]["bytes"] > 10_000, told[kind]
    assert told["half-open"]["answers"] > 0 and told["datagrams"]["datagrams"] > 100, told
    assert told["wrong-passphrase"]["connections"] == 0 and told["wrong-passphrase"]["refused"] > 0
    assert viewer.joined > 0 and viewer.got_bytes > 0
    row = world.close(good)
    assert world.export(row["recording"]) == honest.sent.read_bytes()
    assert row["gaps"] == 0
    world.check_is_clean()
    grown = {role: resident_kb(pid) - before_kb[role] for role, pid in pids.items()}
    print({"grown_kb": grown})
    assert max(grown.values()) < GROWTH_KB, grown
    assert {role: world.pid(role) for role in ROLES} == pids
    # The attacker is in the refusals, in a sentence.
    until(lambda: "wrong-passphrase" in {r["code"] for r in world.refusals(hostile)} or "too-many-calls" in {
        r["code"] for r in world.refusals(hostile)}, 15)
