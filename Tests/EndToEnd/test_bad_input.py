"""What hostile or faulty cameras and clients send: a clear refusal or a counted damage, and nothing is lost."""

import json
import random
import re

import pytest
import requests
from conftest import until


def outside(run):
    """What the caller is told, without what differs by chance."""
    run.wait()
    return re.sub(r"\d+", "", run.error)


def test_every_refusal_looks_the_same_from_outside_and_is_told_inside(world, cameras):
    camera, unissued, disabled = world.new_camera(), world.new_camera(issued=False), world.new_camera()
    world.admin("camera", "--camera", disabled, "--disable-admission")
    before = world.footage()
    wrong = "une mauvaise phrase"
    seen = {
        "wrong": outside(cameras(camera, 1, passphrase=wrong)),
        "unknown": outside(cameras("CAM-INCONNUE", 1, passphrase=wrong)),
        "unissued": outside(cameras(unissued, 1, passphrase=wrong)),
        "disabled": outside(cameras(disabled, 1, passphrase=wrong)),
        "malformed": outside(cameras(camera, 1, "--stream-id", "n'importe quoi", passphrase=wrong)),
    }
    assert len(set(seen.values())) == 1, seen
    clear = {outside(cameras(name, 1, "--passphrase-file", "none")) for name in (camera, "CAM-INCONNUE", unissued)}
    assert len(clear) == 1, clear
    # With the right passphrase the identity is proven, and the true reason is given inside.
    for name in (unissued, disabled):
        cameras(name, 2).wait()
    codes = lambda name: {r["code"] for r in world.refusals(name)}
    until(lambda: "wrong-passphrase" in codes(camera), 15)
    # What a stranger calls themselves is not kept.
    until(lambda: "unknown-camera" in {r["code"] for r in world.refusals()})
    assert not codes("CAM-INCONNUE")
    until(lambda: "not-issued" in codes(unissued))
    until(lambda: "camera-disabled" in codes(disabled))
    until(lambda: "stream-id" in {r["code"] for r in world.refusals()})
    assert all(len(r["sentence"]) > 20 for r in world.refusals())
    proven = {r["code"]: r["proven"] for r in world.refusals(unissued)}
    assert proven["not-issued"] is True and not proven.get("wrong-passphrase", False)
    assert world.footage() == before
    said = world.command("refusals", account="auditeur").stdout
    assert "not-issued" in said and unissued in said


def garbage():
    return random.Random(1).randbytes(400_000)


def broken_continuity(clip):
    packets = [clip[i:i + 188] for i in range(0, len(clip), 188)]
    return b"".join(p for i, p in enumerate(packets) if i % 13)


def absurd_sections(clip):
    out = bytearray(clip)
    for at in range(0, len(out), 188):
        if out[at + 1] & 0x40 and (out[at + 1] & 0x1F) << 8 | out[at + 2] in (0, 0x1000):
            out[at + 6] |= 0x0F
            out[at + 7] = 0xFF
    return bytes(out)


def jumping_stamps(clip):
    out = bytearray(clip)
    for number, at in enumerate(range(0, len(out), 188)):
        if out[at + 3] & 0x20 and out[at + 4] >= 7 and out[at + 5] & 0x10 and number % 3 == 0:
            out[at + 6] ^= 0x70
        if out[at + 1] & 0x40 and out[at + 4:at + 7] == b"\0\0\1":
            out[at + 13] ^= 0x08
    return bytes(out)


@pytest.mark.parametrize("kind", ["garbage", "text", "continuity", "sections", "stamps"])
def test_bad_payloads_are_kept_byte_for_byte_and_harm_nobody(world, cameras, kind, tmp_path):
    clip = world.clip.read_bytes()
    payload = {
        "garbage": garbage(), "text": b"this is not a transport stream, whatever it says\n" * 4000,
        "continuity": broken_continuity(clip), "sections": absurd_sections(clip), "stamps": jumping_stamps(clip)}[kind]
    file = tmp_path / "payload"
    file.write_bytes(payload)
    bad, good = world.new_camera(), world.new_camera()
    honest = cameras(good, 6)
    pids = [world.pid(role) for role in ("ingest", "keeper", "console")]
    run = cameras(bad, 0, "--raw", "--from", str(file), "--threat", "agents")
    card = world.incident(bad)
    # Somebody watches: the demultiplexer sees it all.
    operator = world.session("operateur")
    with operator.get(f"{operator.base}/recordings/{card['recording']}/live", stream=True, timeout=30) as live:
        assert live.ok
        run.wait()
    honest.wait()
    row = world.close(bad)
    assert world.export(row["recording"]) == payload
    assert (row["damage"] > 0) == (kind in ("garbage", "text"))
    assert world.export(world.close(good)["recording"]) == honest.sent.read_bytes()
    assert pids == [world.pid(role) for role in ("ingest", "keeper", "console")]


def is_problem(answer, status):
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == status and body["type"].startswith("urn:plastron:problem:") and len(body["detail"]) > 10
    return body["code"]


def test_the_api_answers_bad_requests_with_problem_documents(world):
    operator, chef = world.session("operateur"), world.session("chef")
    nobody = requests.Session()
    nobody.verify, nobody.trust_env = operator.verify, False
    base = operator.base
    nothing = "00000000-0000-0000-0000-000000000000"
    for method, path in [
        ("GET", "/session"), ("GET", "/wall"), ("GET", "/register"), ("GET", "/refusals"), ("GET", "/footage/check"),
        ("GET", f"/recordings/{nothing}/live"), ("POST", f"/incidents/{nothing}/close"), ("POST", "/cameras/X/issue"),
        ("POST", f"/recordings/{nothing}/extraction")]:
        assert is_problem(nobody.request(method, base + path, json={}), 401) == "unauthenticated"
    assert is_problem(operator.call("GET", f"/recordings/{nothing}/live"), 404) == "not-found"
    assert is_problem(operator.call("GET", "/recordings/%27%3B--/live"), 404) == "not-found"
    assert is_problem(operator.call("POST", f"/incidents/{nothing}/close"), 404) == "not-found"
    assert is_problem(operator.call("GET", "/nowhere"), 404) == "not-found"
    assert is_problem(operator.call("POST", f"/incidents/{nothing}/threat", data="{not json"), 400) == "bad-request"
    assert is_problem(operator.call("POST", f"/incidents/{nothing}/threat", json={"ground": "war"}), 400) == "bad-request"
    assert is_problem(operator.call("POST", f"/incidents/{nothing}/threat", data="x" * 200_000), 413) == "too-large"
    assert is_problem(operator.call("GET", "/register"), 403) == "missing-right"
    assert is_problem(world.session("auditeur").call("GET", "/wall"), 403) == "missing-right"
    assert is_problem(chef.call("POST", f"/recordings/{nothing}/extraction", json={"reason": "judicial", "reference": "x", "form": "ts"}), 404) == "not-found"
    assert is_problem(chef.call("POST", f"/recordings/{nothing}/extraction", json={"reason": "curiosity", "reference": "x", "form": "ts"}), 400) == "bad-request"
    assert is_problem(world.session("auditeur").call("GET", "/register", params={"from": "hier"}), 400) == "bad-request"
    # A change without the session's own value in a header comes from another site.
    del operator.headers["X-Plastron-CSRF"]
    assert is_problem(operator.call("POST", f"/incidents/{nothing}/close"), 403) == "csrf"
    assert is_problem(world.device("GET", "/state", "nobody"), 401) == "unauthenticated"


def test_wrong_passwords_lock_and_never_tell_which_was_wrong(world):
    world.admin("account", "--name", "distrait", "--agent", world.agent)
    url = f"https://localhost:{world.console_port}/api/v1/session"
    verify = str(world.data / "tls/certificate.pem")
    post = lambda name, password: requests.post(url, json={"name": name, "password": password}, verify=verify, timeout=20)
    answers = [post("distrait", "faux mot de passe") for _ in range(5)] + [post("personne", "faux mot de passe")]
    assert {is_problem(a, 401) for a in answers} == {"wrong-credentials"}
    assert len({a.json()["detail"] for a in answers}) == 1
    assert is_problem(post("distrait", "un mot de passe de test"), 401) == "wrong-credentials"
    cookie = requests.post(url, json={"name": "chef", "password": "un mot de passe de test"}, verify=verify, timeout=20).headers["set-cookie"]
    for attribute in ("__Host-", "Secure", "HttpOnly", "SameSite=Strict"):
        assert attribute in cookie


def test_the_register_filters_and_speaks_csv(world, cameras):
    camera = world.new_camera()
    cameras(camera, 3, "--ref", "=2026/42").wait()
    row = world.close(camera)
    assert [r["recording"] for r in world.rows(camera=camera)] == [row["recording"]]
    assert [r["recording"] for r in world.rows(incident=row["incident"])] == [row["recording"]]
    assert row["recording"] in [r["recording"] for r in world.rows(agent="M-1", state="closed")]
    assert world.rows(camera=camera, state="open") == [] and world.rows(camera="' OR 1=1 --") == []
    assert row["agent"] == "Alix Porteur" and row["service"] == "PM Essai" and row["reference"] == "=2026/42"
    year, month, day = map(int, row["from"][:10].split("-"))
    assert row["term"] > row["from"][:10] and (int(row["term"][:4]) * 12 + int(row["term"][5:7])) - (year * 12 + month) in (6, 7)
    text = world.command("register", "--format", "csv", "--camera", camera, account="auditeur").stdout
    lines = [line for line in text.splitlines() if line]
    assert lines[0].startswith("recording,state,service") and lines[1].startswith(row["recording"])
    assert "'=2026/42" in lines[1] and lines[-1].startswith("# journal,")
    assert json.loads(world.command("register", "--camera", camera, account="auditeur").stdout)["journalSize"] > 0
    assert "register.read" in [e["act"] for e in world.journal()]
