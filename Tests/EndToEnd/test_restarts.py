"""What is decided stays decided, and what is told is told, whatever process dies in between."""

import os
import signal
import subprocess
import threading
import time

import pytest
import requests
from conftest import PROGRAM, until


def size(world, recording):
    path = world.sql(f"SELECT path FROM recording_part WHERE recording_id = '{recording}' ORDER BY number DESC LIMIT 1")
    return (world.data / "footage" / path).stat().st_size


def test_a_close_that_a_dying_ingest_did_not_hear_is_carried_out(world, cameras):
    camera = world.new_camera()
    run = cameras(camera, 40, "--reconnect")
    card = world.incident(camera)
    until(lambda: world.sql(f"SELECT count(*) FROM recording_part WHERE recording_id = '{card['recording']}'") == "1")
    stopped = world.pid("ingest")
    os.kill(stopped, signal.SIGSTOP)
    answer = world.session("operateur").call("POST", f"/incidents/{card['incident']}/close")
    assert answer.status_code == 204
    os.kill(stopped, signal.SIGKILL)
    row = world.closed(camera, 20)
    assert row["incident"] == card["incident"]
    # The camera goes on calling and is not recorded under the closed incident.
    before = size(world, card["recording"])
    time.sleep(3)
    assert size(world, card["recording"]) == before
    run.stop()
    until(lambda: camera not in [c["camera"] for c in world.wall(world.session("operateur"))["incidents"]] or world.close(camera))
    world.check_is_clean()


def test_an_incident_that_ended_untold_is_closed_after_all(world, cameras):
    camera = world.new_camera()
    run = cameras(camera, 3)
    card = world.incident(camera)
    until(lambda: world.sql(f"SELECT count(*) FROM recording_part WHERE recording_id = '{card['recording']}'") == "1")
    keeper, ingest = world.pid("keeper"), world.pid("ingest")
    os.kill(keeper, signal.SIGSTOP)
    run.wait()
    time.sleep(17)  # the wearer stopped: the ingest closes the file, and nobody hears of it
    os.kill(ingest, signal.SIGKILL)
    os.kill(keeper, signal.SIGKILL)
    until(lambda: world.pid("keeper") != keeper and world.is_up(), 30)
    row = world.closed(camera, 30)
    assert row["incident"] == card["incident"]
    assert world.export(row["recording"]) == run.sent.read_bytes()
    world.check_is_clean()


def test_live_comes_back_after_the_ingest_was_killed(world, cameras):
    camera = world.new_camera()
    cameras(camera, 40, "--reconnect", "--threat", "agents")
    card = world.incident(camera)
    world.kill("ingest")
    until(lambda: world.incident(camera)["streaming"], 20)
    operator = world.session("operateur")
    got = 0
    with operator.get(f"{operator.base}/recordings/{card['recording']}/live", stream=True, timeout=20) as live:
        assert live.ok
        for piece in live.iter_content(None):
            got += len(piece)
            if got > 30_000:
                break
    assert got > 30_000
    world.close(camera)


def test_the_wall_is_true_after_the_keeper_was_killed(world, cameras):
    camera = world.new_camera()
    cameras(camera, 30)
    world.incident(camera)
    world.kill("keeper")
    until(world.is_up, 20)
    until(lambda: world.incident(camera)["streaming"], 10)
    world.close(camera)


@pytest.mark.alone
def test_logging_out_ends_live_and_wall(world, cameras):
    camera = world.new_camera()
    cameras(camera, 40, "--threat", "property")
    card = world.incident(camera)
    operator = world.session("operateur")
    counts = {"live": 0, "wall": 0}
    ended = {}

    def follow(name, path):
        with operator.get(operator.base + path, stream=True, timeout=30) as answer:
            for piece in answer.iter_content(None):
                counts[name] += len(piece)
        ended[name] = time.monotonic()
    threads = [
        threading.Thread(target=follow, args=("live", f"/recordings/{card['recording']}/live")),
        threading.Thread(target=follow, args=("wall", "/wall"))]
    for thread in threads:
        thread.start()
    until(lambda: counts["live"] > 20_000 and counts["wall"] > 0)
    out = requests.delete(
        operator.base + "/session", headers={"X-Plastron-CSRF": operator.headers["X-Plastron-CSRF"]},
        cookies=operator.cookies, verify=operator.verify, timeout=10)
    at = time.monotonic()
    assert out.status_code == 204
    for thread in threads:
        thread.join(15)
    assert set(ended) == {"live", "wall"}
    assert ended["live"] - at < 2 and ended["wall"] - at < 12
    world.close(camera)


def test_a_name_from_outside_cannot_stop_the_journal(world):
    url = f"https://localhost:{world.console_port}/api/v1/session"
    for name in ["\u0000", "operateur\u0000x", "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "ignore") + "\u0007", "x" * 5000]:
        answer = requests.post(url, json={"name": name, "password": "x"}, verify=str(world.data / "tls/certificate.pem"), timeout=20)
        assert answer.status_code in (400, 401)
    before = len(world.journal())
    until(lambda: int(world.sql("SELECT max(position) + 1 FROM journal")) >= before)
    world.kill("keeper")
    until(world.is_up, 20)


def test_a_second_server_in_one_data_folder_is_refused_and_harms_nothing(world):
    before = {role: world.pid(role) for role in ("keeper", "ingest", "console")}
    second = subprocess.run(
        [str(PROGRAM), "serve"], env=world.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert second.returncode != 0 and "another process" in second.stderr
    keeper = subprocess.run(
        [str(PROGRAM), "keeper"], env=dict(world.environment, PLASTRON_DATABASE_URL=world.conninfo()), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=20)
    assert keeper.returncode != 0 and "another process" in keeper.stderr
    assert before == {role: world.pid(role) for role in before} and world.is_up()


def test_what_is_asked_wrongly_is_answered_clearly(world):
    def said(*arguments):
        result = subprocess.run([str(PROGRAM), "admin", *arguments], env=world.environment, capture_output=True, text=True, timeout=20)
        assert result.returncode != 0
        return result.stderr
    assert "existe déjà" in said("agent", "--service", world.service, "--matricule", "M-1", "--name", "A", "--rank", "r")
    assert "n'est pas admise" in said("enrol", "--service", world.service, "--camera", "bad name")
    assert "L'agent" in said("account", "--name", "nouveau", "--agent", "00000000-0000-0000-0000-000000000000")
    assert "caractères" in said("account", "--name", "Majuscule", "--agent", world.agent)
    assert world.command("register", "--state", "foo", account="auditeur", check=False).returncode != 0
