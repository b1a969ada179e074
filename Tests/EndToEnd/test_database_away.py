"""A database that hangs, then answers again: incidents, threats and live go on, the register follows."""

import os
import signal
import subprocess
import time

import chaos
import pytest
from conftest import World, until


@pytest.fixture(scope="module")
def world():
    world = World()
    yield world
    world.end()


class Hanging:
    """Every process of the database stopped in its tracks: it neither answers nor refuses."""

    def __init__(self, world):
        first = int((world.data / "postgres/data/postmaster.pid").read_text().splitlines()[0])
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True).stdout.split()
        self.pids = [first] + [int(pid) for pid in children]

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in reversed(self.pids):
            os.kill(pid, signal.SIGCONT)


def card_of(world, operator, camera):
    return next((c for c in world.wall(operator)["incidents"] if c["camera"] == camera), None)


def test_what_goes_on_and_what_waits(world):
    running_before, fresh = world.new_camera(), world.new_camera()
    operator, auditor = world.session("operateur"), world.session("auditeur")
    before = world.record(running_before, 45)
    until(lambda: card_of(world, operator, running_before))
    with Hanging(world):
        until(lambda: world.wall(operator)["databaseAway"], 30)
        # A known camera opens an incident; the operator declares, watches and ends, each within a moment.
        during = world.record(fresh, 14)
        card = until(lambda: card_of(world, operator, fresh), 15)
        began = time.monotonic()
        said = operator.call("POST", f"/incidents/{card['incident']}/threat", json={"ground": "agents", "reason": "renfort demandé"})
        assert said.status_code == 204, said.text
        with operator.get(f"{operator.base}/recordings/{card['recording']}/live", stream=True, timeout=20) as live:
            assert live.ok, live.text
            assert next(live.iter_content(2000))
        assert operator.call("DELETE", f"/incidents/{card['incident']}/threat").status_code == 204
        assert time.monotonic() - began < 10
        # What needs the database is refused, clearly and soon.
        answer = auditor.call("GET", "/register")
        assert answer.status_code == 503 and "base" in answer.json()["detail"]
        assert world.session_answer("chef").status_code == 503
        during.wait()
    until(lambda: not world.wall(operator)["databaseAway"], 30)
    before.wait()
    rows = {camera: world.closed(camera, 40) for camera in (running_before, fresh)}
    for camera, run in ((running_before, before), (fresh, during)):
        assert world.export(rows[camera]["recording"]) == run.sent.read_bytes()
    until(lambda: world.sql(f"SELECT ground || closed_at::text IS NOT NULL FROM threat_declaration WHERE incident_id = '{card['incident']}'") == "t", 20)
    assert world.sql(f"SELECT count(*) FROM incident WHERE id = '{card['incident']}'") == "1"
    acts = [e["act"] for e in world.journal() if e["facts"].get("incident") == card["incident"]]
    assert acts.count("incident.opened") == 1 and acts.count("threat.declared") == 1 and acts.count("threat.ended") == 1
    assert "viewing.joined" in world.acts(card["recording"])
    world.check_is_clean()
    agreed = world.command("journal", "compare", account="auditeur", check=False)
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr


def test_keeper_and_ingest_restarted_without_it_go_on(world):
    """What was open goes on, what is known opens, who was logged in watches: from the keeper's sealed memory."""
    running, fresh = world.new_camera(), world.new_camera()
    operator = world.session("operateur")
    before = world.record(running, 0, "--reconnect")
    card = until(lambda: card_of(world, operator, running))
    time.sleep(5)
    with Hanging(world):
        until(lambda: world.wall(operator)["databaseAway"], 30)
        for role in ("keeper", "ingest"):
            world.kill(role)
        until(world.is_up, 40)
        until(lambda: (card_of(world, operator, running) or {}).get("streaming"), 20)
        assert card_of(world, operator, running)["incident"] == card["incident"]
        during = world.record(fresh, 8)
        opened = until(lambda: card_of(world, operator, fresh), 15)
        said = operator.call("POST", f"/incidents/{opened['incident']}/threat", json={"ground": "agents", "reason": "renfort"})
        assert said.status_code == 204, said.text
        with operator.get(f"{operator.base}/recordings/{opened['recording']}/live", stream=True, timeout=20) as live:
            assert live.ok and next(live.iter_content(2000))
        assert world.session_answer("chef").status_code == 503
        during.wait()
        # The sealed memory holds no name of a person in clear, and no footage.
        memory = (world.data / "keeper/memory").read_bytes()
        assert b"Porteur" not in memory and b"CAM-" not in memory
    until(lambda: not world.wall(operator)["databaseAway"], 40)
    before.process.send_signal(signal.SIGTERM)
    before.process.wait(20)
    rows = {camera: world.closed(camera, 60) for camera in (running, fresh)}
    assert world.export(rows[fresh]["recording"]) == during.sent.read_bytes()
    exported, sent = world.export(rows[running]["recording"]), before.sent.read_bytes()
    kept = chaos.common_prefix(memoryview(exported), memoryview(sent))
    assert sent.endswith(exported[kept:]) and 0 <= len(sent) - len(exported) < len(sent) / 2
    assert [e["act"] for e in world.journal() if e["facts"].get("incident") == card["incident"]].count("incident.opened") == 1
    until(lambda: world.command("footage", "check", account="auditeur", check=False).returncode == 0, 20, 1)
    agreed = world.command("journal", "compare", account="auditeur", check=False)
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr
