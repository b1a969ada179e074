"""How cameras' links do, as people see it; how cameras are received; what their clocks say."""

import datetime
import json
import pathlib
import time

import pytest
from conftest import until


def shown(world, camera, name="operateur"):
    answer = world.session(name).call("GET", "/cameras")
    assert answer.ok, answer.text
    return next(c for c in answer.json() if c["camera"] == camera)


def now(seconds=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("off,said", [(0, "known"), (10, "off"), (-3600, "off")])
def test_a_cameras_clock_stands_beside_its_recording(world, cameras, off, said):
    camera = world.new_camera()
    assert world.device("POST", "/clock", camera, json={"now": now(off)}).status_code == 204
    running = cameras(camera, 3)
    card = world.incident(camera)
    opened = datetime.datetime.fromisoformat(card["openedAt"])
    # Nothing is re-timed.
    assert abs((datetime.datetime.now(datetime.timezone.utc) - opened).total_seconds()) < 60
    running.wait()
    row = world.close(camera)
    assert row["clock"] == said and abs(int(row["clock_offset_ms"]) - off * 1000) < 2000
    entry = next(e for e in world.journal() if e["act"] == "incident.opened" and e["facts"]["camera"] == camera)
    assert entry["facts"]["clock_off"] is (said == "off")
    clock = shown(world, camera)["clock"]
    assert clock["off"] is (said == "off") and abs(clock["offset_ms"] - off * 1000) < 2000


def test_a_clock_told_during_a_recording_flags_it_and_one_never_told_is_unknown(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 6)
    world.incident(camera)
    row = until(lambda: [r for r in world.rows(camera=camera) if r["state"] == "open"])[0]
    assert row["clock"] == "unknown" and "clock_offset_ms" not in row
    assert world.device("POST", "/clock", camera, json={"now": now(10)}).status_code == 204
    # A moment later it is too soon, and nothing is taken.
    soon = world.device("POST", "/clock", camera, json={"now": now(20)})
    assert (soon.status_code, soon.json()["code"]) == (429, "told-too-often") and "5 secondes" in soon.json()["detail"]
    assert world.device("POST", "/clock", camera, json={"now": "yesterday"}).status_code == 400
    assert world.device("POST", "/clock", "nobody", json={"now": now()}).status_code == 401
    running.wait()
    row = world.close(camera)
    assert row["clock"] == "off" and row["clock_source"] == "device" and abs(int(row["clock_offset_ms"]) - 10_000) < 2000
    assert world.acts(row["recording"]).count("recording.clock") == 1


def test_a_clock_in_the_stream_stands_beside_a_recording_that_nobody_watched(world, cameras):
    clip = pathlib.Path(__file__).resolve().parents[1] / "Fixtures/klv.ts"
    shown = 1_224_807_209_913
    silent, telling = world.new_camera(), world.new_camera()
    assert world.device("POST", "/clock", telling, json={"now": now()}).status_code == 204
    running = [cameras(camera, 5, "--from", str(clip)) for camera in (silent, telling)]
    began = {camera: time.time() * 1000 for camera in (silent, telling)}
    for camera, run in zip((silent, telling), running):
        world.incident(camera)
        # The stream is read when the recording is closed.
        row = until(lambda: [r for r in world.rows(camera=camera) if r["state"] == "open"])[0]
        assert row["clock"] == ("unknown" if camera == silent else "known")
        run.wait()
        world.close(camera)
    row = {camera: until(lambda c=camera: next((r for r in world.rows(camera=c) if r.get("decodes")), None), 30) for camera in began}
    # Sixteen years behind, by the stream; one that told keeps its own figure, and the stream flags it.
    assert (row[silent]["clock"], row[silent]["clock_source"]) == ("off", "klv"), row[silent]
    assert abs(int(row[silent]["clock_offset_ms"]) - (shown - began[silent])) < 15_000
    assert (row[telling]["clock"], row[telling]["clock_source"]) == ("off", "device"), row[telling]
    assert abs(int(row[telling]["clock_offset_ms"])) < 2000
    for camera in (silent, telling):
        entries = [e for e in world.journal() if e["act"] == "recording.clock" and e["facts"]["recording"] == row[camera]["recording"]]
        assert [(e["author"], e["facts"]["clock_source"], e["facts"]["clock_off"]) for e in entries] == [("console", "klv", True)]
        # Nothing is re-timed.
        assert abs(datetime.datetime.fromisoformat(row[camera]["from"]).timestamp() * 1000 - began[camera]) < 15_000


def test_a_camera_is_received_as_it_is_set(world):
    camera = world.new_camera()
    assert shown(world, camera)["delivery"] == "complete" and shown(world, camera)["maximumRate_kbps"] == 20000
    assert world.admin("reception", "--camera", camera, "--delivery", "timely", "--window", "400").strip() == "ok"
    administrator = world.session("administrateur")
    assert administrator.call("PUT", f"/cameras/{camera}/reception", json={"maximumRate_kbps": 6000}).status_code == 204
    assert administrator.call("PUT", f"/services/{world.service}/relay", json={"budget_ms": 300}).status_code == 204
    try:
        found = shown(world, camera, "administrateur")
        assert (found["delivery"], found["window_ms"], found["maximumRate_kbps"], found["relayBudget_ms"]) == ("timely", 400, 6000, 300)
    finally:
        world.admin("relay", "--service", world.service, "--budget", "400")
    answer = administrator.call("PUT", f"/services/{world.service}/relay", json={"budget_ms": 501})
    assert answer.status_code == 400 and "0 à 500 ms" in answer.text
    for body in ({"delivery": "timely"}, {"delivery": "soon"}, {"window_ms": 400}, {"maximumRate_kbps": 1}, {"delivery": "timely", "window_ms": 9000}):
        assert administrator.call("PUT", f"/cameras/{camera}/reception", json=body).status_code == 400, body
    assert world.session("operateur").call("PUT", f"/cameras/{camera}/reception", json={"delivery": "complete"}).status_code == 403
    sets = [e for e in world.journal() if e["act"] == "camera.reception-set" and e["facts"]["camera"] == camera]
    assert [e["facts"]["maximum_rate_kbps"] for e in sets] == [20000, 6000] and sets[0]["facts"]["reason"] == "essai"


def test_links_are_seen_by_who_may(world):
    camera = world.new_camera()
    for name in ("operateur", "chef", "administrateur"):
        assert shown(world, camera, name)["connected"] is False
        assert world.session(name).call("GET", f"/cameras/{camera}/health").json() == {"minutes": []}
    for name in ("auditeur", "lecteur", "porteur"):
        assert world.session(name).call("GET", "/cameras").status_code == 403
        assert world.session(name).call("GET", f"/cameras/{camera}/health").status_code == 403
    neighbour = world.session("voisin")
    assert camera not in neighbour.call("GET", "/cameras").text
    assert neighbour.call("GET", f"/cameras/{camera}/health").status_code == 403
    assert world.session("chef").call("GET", "/cameras/none/health").status_code == 404


def test_a_connection_of_seconds_leaves_its_figures(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 3)
    world.incident(camera)
    # Connected from the join, before any report.
    assert until(lambda: shown(world, camera)["connected"], 5, 0.1)
    running.wait()
    assert until(lambda: shown(world, camera)["connected"] is False, 10, 0.1)
    minutes = until(lambda: world.session("chef").call("GET", f"/cameras/{camera}/health").json()["minutes"], 10, 0.2)
    link = minutes[-1]["link"]
    assert sum(m["link"]["packets"] for m in minutes) > 20 and sum(m["link"]["connections"] for m in minutes) == 1
    assert 0 < link["roundTrip_ms"] < 5000 and link["senderLatency_ms"] == 120
    assert all(m["diagnoses"] == [] for m in minutes), minutes
    world.close(camera)


def test_many_minutes_are_one_document(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 2)
    world.incident(camera)
    running.wait()
    recording = world.close(camera)["recording"]
    # More than one answer holds: of yesterday and before, in two days' partitions at least.
    world.sql(f"""
        SELECT ensure_link_health_partition(((now() - n * interval '1 day') AT TIME ZONE 'Europe/Paris')::date) FROM generate_series(0, 2) n;
        INSERT INTO link_health (day, camera_id, recording_id, minute_at, until_at, measured_ms, connections, packets, bytes, lost, retransmitted, duplicates,
            missing, sender_latency_ms, delivery, clock_restarts, discontinuities, foreign_messages)
          SELECT (m AT TIME ZONE 'Europe/Paris')::date, '{camera}', '{recording}', m, m + interval '1 minute', 60000, 0, 1000, 1316000, 0, 0, 0, 0, 120, 'complete', 0, 0, 0
          FROM generate_series(date_trunc('minute', now()) - interval '1700 minutes', date_trunc('minute', now()) - interval '101 minutes', interval '1 minute') m""")
    said = world.command("cameras", "--camera", camera, "--from", now(-2 * 86_400), "--json", account="chef").stdout
    document = json.loads(said)
    listed = [m["minute"] for m in document["minutes"]]
    assert list(document) == ["minutes"] and len(listed) >= 1600 and listed == sorted(set(listed))


def test_the_link_of_a_camera_is_shown_and_its_minutes_are_kept(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 100)
    world.incident(camera)
    found = until(lambda: (lambda c: c if "link" in c else None)(shown(world, camera)), 30, 0.5)
    link = found["link"]
    assert found["connected"] is True
    assert link["packets"] > 0 and link["bytes"] > 0 and link["rate_kbps"] > 50 and link["delivery"] == "complete"
    assert found["diagnoses"] == [] and found["sentence"].startswith("Rien à signaler"), found
    said = world.command("cameras", account="operateur").stdout
    assert f"{camera}  connectée (connected)  complète (complete)" in said and "kbit/s" in said and "aller-retour (rtt)" in said
    # A row for each minute that is over.
    count = f"SELECT count(*), coalesce(sum(packets), 0) FROM link_health WHERE camera_id = '{camera}'"
    until(lambda: not world.sql(count).startswith("0|"), 110, 1)
    minutes = world.session("chef").call("GET", f"/cameras/{camera}/health").json()["minutes"]
    assert sum(m["link"]["packets"] for m in minutes) >= int(world.sql(count).split("|")[1]) > 0
    listed = json.loads(world.command("cameras", "--camera", camera, "--json", account="chef").stdout)
    assert [m["minute"] for m in listed["minutes"]][:1] == [m["minute"] for m in minutes][:1]
    assert minutes[0]["minute"][:16] in world.command("cameras", "--camera", camera, account="chef").stdout
    running.stop()
