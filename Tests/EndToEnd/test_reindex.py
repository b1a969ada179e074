"""The database lost whole, without any dump: the register is rebuilt from footage, journal and keys."""

import os
import shutil
import signal
import subprocess

import pytest
from conftest import World, until
from test_restore import hold, record, view


@pytest.fixture
def world():
    world = World()
    yield world
    world.end()


def facts(world, auditor):
    def rows(name, *columns):
        listed = auditor.call("GET", f"/register/{name}", params={"limit": 200}).json()["rows"]
        return sorted([[row.get(c) for c in columns] for row in listed], key=str)
    return {
        "recordings": rows("recordings", "recording", "state", "camera", "matricule", "size_bytes", "gaps", "term", "held_by", "chainHead"),
        "holds": rows("holds", "hold", "recording", "kind", "reference", "authority", "requested_on", "review_on", "placed_by", "released_by"),
    }


def test_a_lost_database_is_rebuilt_from_the_files(world):
    first, second, third = (record(world, world.new_camera()) for _ in range(3))
    kept = hold(world, first[0]["recording"], "PV 1")
    released = hold(world, second[0]["recording"], "PV 2")
    head = world.session("chef")
    assert head.call("POST", f"/holds/{released}/release", json={"reason": "classée"}).status_code == 204
    # A shorter term from now on; what was recorded before has it too.
    assert head.call("POST", f"/services/{world.service}/regime", json={"term_months": 4, "act": "note 9"}).status_code == 201
    # One is erased, as the law orders: two persons.
    gone = third[0]["recording"]
    assert head.call("POST", f"/recordings/{gone}/erasure", json={"ground": "right-of-erasure", "reference": "DPO 1"}).status_code == 201
    confirmed = world.session("lecteur").call("POST", f"/recordings/{gone}/erasure/confirmation")
    assert confirmed.status_code == 204, confirmed.text
    until(lambda: "erasure.certificate" in world.acts(gone), 30)
    wanted = facts(world, world.session("auditeur"))
    services = world.sql("SELECT id, name, regime, regime_version, term_months FROM service ORDER BY name")
    agents = world.sql("SELECT id, matricule, name, rank FROM agent ORDER BY matricule")
    segments = world.sql("SELECT count(*), sum(media_bytes), sum(file_bytes) FROM segment")
    journal = len(world.journal())
    # The machine's database folder is lost; footage, journal and keys are there.
    world.server.stdin.close()
    world.server.wait(30)
    shutil.rmtree(world.data / "postgres")
    world.start_server()
    until(world.is_up, 90)
    assert world.sql("SELECT count(*) FROM recording") == "0"
    assert len(list((world.data / "footage").rglob("*.plm"))) == 2
    said = subprocess.run(
        [str(world.program), "footage", "reindex"], env=world.environment, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    assert "parts: 2" in said.stdout and "camera.enrolled × 3" in said.stdout and "account.created" in said.stdout, said.stdout
    # Nothing is erased before a person has looked.
    assert "STOPPED" in world.admin("status")
    assert world.sql("SELECT id, name, regime, regime_version, term_months FROM service ORDER BY name") == services
    assert world.sql("SELECT id, matricule, name, rank FROM agent ORDER BY matricule") == agents
    assert world.sql("SELECT count(*), sum(media_bytes), sum(file_bytes) FROM segment") == segments
    assert world.sql(f"SELECT state FROM recording WHERE id = '{gone}'") == "erased"
    # People are made again by hand, as the command said; then everything reads as it did.
    agent = dict(line.split("|")[1::-1] for line in (l.rsplit("|", 2)[0] for l in agents.splitlines()))
    for name, number in [("auditeur", "M-3"), ("lecteur", "M-4"), ("temoin1", "M-6"), ("temoin2", "M-7"), ("chef", "M-20")]:
        world.admin("account", "--name", name, "--agent", agent[number])
    world.seat_head("chef", world.service)
    for name, role in [("auditeur", "auditor"), ("lecteur", "reader")]:
        world.accredit("chef", name, role, world.service)
    found = facts(world, world.session("auditeur"))
    assert found == wanted
    assert kept in str(found["holds"])
    for row, sent in (first, second):
        assert world.export(row["recording"]) == sent
    world.check_is_clean()
    assert len(world.journal()) > journal
    agreed = world.command("journal", "compare", account="auditeur", check=False)
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr
    # A register that is in use is not rebuilt.
    again = subprocess.run(
        [str(world.program), "footage", "reindex"], env=world.environment, capture_output=True, text=True, timeout=120)
    assert again.returncode == 1 and "Register in use" in again.stderr, again.stdout + again.stderr
    assert facts(world, world.session("auditeur")) == wanted
