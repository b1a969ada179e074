"""A database restored from an older dump, beside today's footage and journal: everything comes back, nothing is erased meanwhile."""

import os
import signal
import subprocess

import pytest
from conftest import World, until


@pytest.fixture(scope="module")
def world():
    world = World()
    yield world
    world.end()


def postgres(world, program, *arguments):
    password = (world.data / "keys/postgres-plastron_owner").read_text()
    result = subprocess.run(
        [program, "-h", str(world.data / "postgres/socket"), "-U", "plastron_owner", "plastron", *arguments],
        env=dict(os.environ, PGPASSWORD=password), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def dump(world):
    path = world.scratch / "dump.sql"
    path.write_text(postgres(world, "pg_dump"))
    return path


def restore(world, path):
    """As docs/guide/operations.md says it."""
    postgres(world, "psql", "-q", "-c", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public")
    postgres(world, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(path))
    keeper = world.pid("keeper")
    os.kill(keeper, signal.SIGKILL)
    until(lambda: world.pid("keeper") != keeper and world.is_up(), 60)


def view(world, name, *columns):
    rows = world.session("auditeur").call("GET", f"/register/{name}", params={"limit": 200}).json()["rows"]
    return sorted([[row.get(c) for c in columns] for row in rows], key=str)


def facts(world):
    return {
        "recordings": view(world, "recordings", "recording", "state", "camera", "matricule", "size_bytes", "gaps", "term", "held_by", "chainHead", "from"),
        "holds": view(world, "holds", "hold", "recording", "kind", "reference", "authority", "requested_on", "review_on", "placed_by", "released_by"),
        "accreditations": view(world, "accreditations", "accreditation", "account", "role", "act", "given_by", "until", "ended_by"),
        "segments": world.sql("SELECT count(*), sum(media_bytes) FROM segment"),
        "service": world.sql("SELECT name, regime, regime_version, term_months FROM service ORDER BY name"),
    }


def record(world, camera, seconds=4):
    before = {row["recording"] for row in world.rows(camera=camera)}
    run = world.record(camera, seconds)
    run.wait()
    return world.closed(camera, 30, before), run.sent.read_bytes()


def hold(world, recording, reference):
    answer = world.session("chef").call("POST", f"/recordings/{recording}/holds", json={
        "kind": "judicial", "reference": reference, "authority": "parquet", "requestedOn": "2026-01-01", "reviewOn": "2099-01-01"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_what_happened_after_the_dump_comes_back(world):
    first, second = world.new_camera(), world.new_camera()
    before, sent_before = record(world, first)
    path = dump(world)
    after, sent_after = record(world, second)
    hold(world, before["recording"], "PV 1")
    kept = hold(world, after["recording"], "PV 2")
    released = hold(world, after["recording"], "PV 3")
    head = world.session("chef")
    assert head.call("POST", f"/holds/{released}/release", json={"reason": "classée"}).status_code == 204
    world.accredit("chef", "temoin1", "reader", world.service)
    assert head.call("POST", f"/services/{world.service}/regime", json={"term_months": 4, "act": "note 9"}).status_code == 201
    wanted = facts(world)
    signed = (world.data / "journal/checkpoint").read_text()
    restore(world, path)
    assert facts(world) == wanted
    assert kept in str(wanted["holds"])
    for row, sent in ((before, sent_before), (after, sent_after)):
        assert world.export(row["recording"]) == sent
    # No smaller tree was signed, the index is the files', the files are the index's, and the sweeper need not ask.
    assert int((world.data / "journal/checkpoint").read_text().splitlines()[1]) >= int(signed.splitlines()[1])
    world.check_is_clean()
    compared = world.command("journal", "compare", account="auditeur", check=False)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert "sweeper: runs" in world.admin("status")
    assert "erasure.begun" not in [e["act"] for e in world.journal()]


def test_what_the_journal_does_not_carry_stops_the_sweeper(world):
    path = dump(world)
    world.person("M-99", "Nouvelle Recrue")
    restore(world, path)
    status = world.admin("status")
    assert "STOPPED" in status and "agent.created × 1" in status
    entry = [e for e in world.journal() if e["act"] == "register.brought-forward"][-1]
    assert entry["facts"]["left"] == {"agent.created": 1}
