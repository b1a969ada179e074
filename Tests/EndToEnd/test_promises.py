"""The promises P1 to P4, each named."""

import os
import pathlib
import re
import stat
import threading
import time

import pytest
from conftest import World, until


@pytest.fixture
def quiet():
    """A server of its own: no camera of another test writes in it."""
    world = World()
    yield world
    world.end()


def test_P1_no_media_byte_is_stored_without_an_active_incident(quiet):
    world = quiet
    camera = world.new_camera()
    assert world.record(camera, 3, "--link-test").wait()["sent_bytes"] > 50_000
    until(lambda: world.device("GET", "/state", camera).json().get("linkTest"), 20)
    assert world.footage() == {}
    # A recording, closed; what the camera goes on sending is not kept.
    going_on = world.record(camera, 14, "--reconnect")
    time.sleep(3)
    row = world.close(camera)
    after = world.footage()
    time.sleep(6)
    assert world.footage() == after
    assert "incident-closed" in {r["code"] for r in world.refusals(camera)}
    going_on.stop()
    assert len(world.rows(camera=camera)) == 1 and row["size_bytes"] > 0
    # Nothing of the media stands in clear in any file of the data folder.
    assert world.files_containing(world.needles()) == []


@pytest.mark.alone
def test_P2_live_only_while_recording_and_threat_are_open(world, cameras):
    camera = world.new_camera()
    cameras(camera, 40)
    card = world.incident(camera)
    operator = world.session("operateur")
    path = f"/recordings/{card['recording']}/live"
    refused = operator.call("GET", path)
    assert refused.status_code == 403 and refused.json()["code"] == "no-threat"
    assert "R241-3" in refused.json()["article"]
    declared = operator.call("POST", f"/incidents/{card['incident']}/threat", json={"ground": "persons", "reason": "rixe"})
    assert declared.status_code == 204, declared.text
    for name, code in [("voisin", "other-service"), ("auditeur", "missing-right"), ("chef", "missing-right"), ("administrateur", "missing-right")]:
        answer = world.session(name).call("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    seen = []

    def watch():
        with operator.get(operator.base + path, stream=True, timeout=30) as live:
            for piece in live.iter_content(None):
                seen.append((time.monotonic(), len(piece)))
    viewer = threading.Thread(target=watch)
    viewer.start()
    until(lambda: sum(size for _, size in seen) > 30_000)
    # The join is in the journal before the first byte.
    joined = [e for e in world.journal() if e["act"] == "viewing.joined" and e["facts"]["recording"] == card["recording"]]
    assert len(joined) == 1 and joined[0]["author"] == "operateur"
    ended = world.session("operateur").call("DELETE", f"/incidents/{card['incident']}/threat")
    at = time.monotonic()
    assert ended.status_code == 204
    viewer.join(5)
    assert not viewer.is_alive()
    assert max(when for when, _ in seen) < at + 1.0
    assert operator.call("GET", path).status_code == 403
    world.close(camera)
    after = operator.call("GET", path)
    assert after.status_code == 403 and after.json()["code"] == "recording-closed"
    until(lambda: "viewing.left" in world.acts(card["recording"]))
    # What went on is told apart from every other relay of the same day.
    log = (world.scratch / "server.log").read_text()
    assert re.search(f"recording={card['recording']} .*live opened", log)
    assert re.search(f"reason=(no-viewer|no-longer-live) recording={card['recording']} .*live closed", log)


def test_P3_the_relay_lives_in_memory_only(world, cameras):
    camera = world.new_camera()
    cameras(camera, 20, "--threat", "agents")
    card = world.incident(camera)
    operator = world.session("operateur")
    with operator.get(f"{operator.base}/recordings/{card['recording']}/live", stream=True, timeout=30) as live:
        assert live.ok and live.headers["cache-control"] == "no-store"
        got = 0
        for piece in live.iter_content(None):
            got += len(piece)
            if got > 60_000:
                break
        # The console has no regular file open for writing but its log.
        pid = world.pid("console")
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.stat(f"/proc/{pid}/fd/{name}")
                flags = int(next(l for l in open(f"/proc/{pid}/fdinfo/{name}") if l.startswith("flags")).split()[1], 8)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(target.st_mode) and flags & (os.O_WRONLY | os.O_RDWR):
                assert os.readlink(f"/proc/{pid}/fd/{name}").endswith("server.log")
    assert world.files_containing(world.needles()) == []
    # No seeking back: a range is not honoured.
    assert operator.get(f"{operator.base}/recordings/{card['recording']}/live", headers={"Range": "bytes=0-10"}, stream=True, timeout=10).status_code == 200
    world.close(camera)


@pytest.mark.parametrize("order", [(), ("--in-order",)], ids=["plain", "in-order"])
def test_P4_the_master_is_what_the_camera_sent(world, cameras, order):
    camera = world.new_camera()
    run = cameras(camera, 6, *order)
    sent = run.wait()["sent_bytes"]
    row = world.close(camera)
    exported = world.export(row["recording"])
    assert len(exported) == sent == row["size_bytes"]
    assert exported == run.sent.read_bytes()
    world.check_is_clean()


def test_P4_what_is_watched_steps_back_behind_what_is_recorded(world):
    until(world.is_up, 30)

    def nice(role, *names):
        """Of the threads that do the work: libdispatch gives some of its own another value, as root."""
        threads = pathlib.Path(f"/proc/{world.pid(role)}/task").iterdir()
        named = [(int(thread.name), (thread / "comm").read_text().strip()) for thread in threads]
        return {os.getpriority(os.PRIO_PROCESS, number) for number, name in named if name.startswith(names)}

    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert nice("ingest", "ingest-", "footage-writer", "SRT:RcvQ", "SRT:SndQ") == nice("keeper", "plastron", "NIO-") == {own}
    assert nice("console", "plastron", "NIO-") == {own + 5}
