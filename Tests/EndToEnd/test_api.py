"""The API is what its document says: no fault, no undocumented answer, for anybody."""

import datetime
import json
import re
import subprocess

import pytest
from conftest import ROOT, World, until

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ROLES = ["operateur", "chef", "lecteur", "auditeur", "porteur", "administrateur", "voisin"]
# Endless answers, and what would end the session or lock the accounts that are tested with.
STREAMS = ["/wall", "/recordings/{recording}/live", "/session"]


@pytest.fixture(scope="module")
def api_world():
    """A world of its own: what is tried here locks accounts, ends accreditations and erases."""
    world = World()
    camera = world.new_camera()
    running = world.record(camera, 3)
    card = world.incident(camera)
    running.wait()
    world.session("operateur").call("POST", f"/incidents/{card['incident']}/close")
    world.closed_recording = world.closed(camera)
    world.camera = camera
    head = world.session("chef")
    recording = world.closed_recording["recording"]
    until_day = (datetime.date.today() + datetime.timedelta(days=20)).isoformat()
    world.preset = {
        "hold": head.call("POST", f"/recordings/{recording}/holds", json={
            "kind": "judicial", "reference": "PV 1", "authority": "parquet", "requestedOn": datetime.date.today().isoformat(),
            "reviewOn": until_day}).json()["id"],
        "request": head.call("POST", f"/services/{world.service}/requests", json={
            "kind": "access", "reference": "DPO 1", "receivedOn": datetime.date.today().isoformat()}).json()["id"],
        "accreditation": world.accredit("chef", "temoin1", "wearer", world.service).json()["id"],
    }
    # Before anything is tried: wrong passwords at "change mine" lock accounts as they do at the door.
    world.sessions = {role: world.session(role) for role in ROLES}
    world.lookout = world.session("operateur")
    yield world
    world.end()


@pytest.fixture
def incident(api_world):
    """A camera that sends, with a threat declared, for as long as one role is tried."""
    camera = api_world.new_camera()
    running = api_world.record(camera, 120, "--reconnect", "--threat", "agents")
    yield until(lambda: next((c for c in api_world.wall(api_world.lookout)["incidents"] if c["camera"] == camera), None))
    running.stop()


def run(world, tmp_path, headers, seed, incident):
    config = tmp_path / "schemathesis.toml"
    row = world.closed_recording
    config.write_text("\n".join(
        ["[parameters]", f'"path.recording" = "{row["recording"]}"', f'"path.incident" = "{incident["incident"]}"', f'"path.service" = "{world.service}"',
         f'"path.camera" = "{world.camera}"', f'"path.agent" = "{world.agent}"'] +
        [f'"path.{name}" = "{value}"' for name, value in world.preset.items()]) + "\n")
    more = ["--config-file", str(config)]
    options = [o for path in STREAMS for o in ("--exclude-path", path)]
    options += [o for name, value in headers.items() for o in ("-H", f"{name}: {value}")]
    return schemathesis(world, tmp_path, f"https://localhost:{world.console_port}/api/v1/openapi.json", options, seed, more)


def schemathesis(world, tmp_path, document, options, seed, before=()):
    ca = str(world.data / "tls/certificate.pem")
    command = [
        str(ROOT / ".venv/bin/schemathesis"), *before, "run", document, "--checks", CHECKS, "--tls-verify", ca,
        "--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", str(seed), "--request-timeout", "20", "--warnings", "off",
        "--output-sanitize", "false", "--continue-on-failure", *options]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return result.stdout


@pytest.mark.parametrize("number,role", list(enumerate(ROLES)))
def test_for_each_role(api_world, tmp_path, incident, number, role):
    session = api_world.sessions[role]
    cookie = f"__Host-plastron={session.cookies['__Host-plastron']}"
    said = run(api_world, tmp_path, {"Cookie": cookie, "X-Plastron-CSRF": session.headers["X-Plastron-CSRF"]}, 100 + number, incident)
    assert "passed" in said
    # The keeper that answered it all is the one that was started.
    assert until(api_world.is_up)


def test_for_a_stranger(api_world, tmp_path, incident):
    run(api_world, tmp_path, {}, 99, incident)


@pytest.mark.parametrize("own", [True, False])
def test_for_a_camera_and_for_what_is_none(api_world, tmp_path, incident, own):
    token = api_world.tokens[incident["camera"]] if own else "0" * 64
    said = schemathesis(
        api_world, tmp_path, f"https://localhost:{api_world.device_port}/api/v1/device/openapi.json",
        ["-H", f"Authorization: Bearer {token}"], 200 + own)
    assert "passed" in said
    assert api_world.device("GET", "/state", incident["camera"]).status_code == 200


def test_every_route_is_in_the_document_and_every_path_is_a_route(api_world):
    document = json.loads((ROOT / "Sources/CommandRoom/Public/openapi.json").read_text())
    session = api_world.session("lecteur-voisin")
    assert session.call("GET", "/openapi.json").json() == document
    known = set()
    for path in (ROOT / "Sources/CommandRoom").rglob("*.swift"):
        if path.name == "DeviceAPI.swift":
            continue
        for method, route in re.findall(r'api\.(get|post|put|delete)\("([^"]+)"', path.read_text()):
            known.add((method, "/" + re.sub(r":(\w+)", r"{\1}", route)))
    written = {(method, path) for path, item in document["paths"].items() for method in item}
    assert known == written, known ^ written
    devices = json.loads((ROOT / "Sources/CommandRoom/Public/device-openapi.json").read_text())
    source = (ROOT / "Sources/CommandRoom/HTTP/DeviceAPI.swift").read_text()
    known = {(method, "/" + route) for method, route in re.findall(r'api\.(get|post|put|delete)\("([^"]+)"', source)}
    assert known == {(method, path) for path, item in devices["paths"].items() for method in item}
