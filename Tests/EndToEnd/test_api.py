"""The API is what its document says: no fault, no undocumented answer, for anybody."""

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
    yield world
    world.end()


def run(world, tmp_path, headers, seed):
    config = tmp_path / "schemathesis.toml"
    row = world.closed_recording
    config.write_text("\n".join(
        ["[parameters]", f'"path.recording" = "{row["recording"]}"', f'"path.incident" = "{row["incident"]}"', f'"path.service" = "{world.service}"',
         f'"path.camera" = "{world.camera}"', f'"path.agent" = "{world.agent}"']) + "\n")
    ca = str(world.data / "tls/certificate.pem")
    base = f"https://localhost:{world.console_port}"
    command = [
        str(ROOT / ".venv/bin/schemathesis"), "--config-file", str(config), "run", f"{base}/api/v1/openapi.json", "--checks", CHECKS, "--tls-verify", ca,
        "--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", str(seed), "--request-timeout", "20", "--warnings", "off",
        "--output-sanitize", "false", "--continue-on-failure"]
    for path in STREAMS:
        command += ["--exclude-path", path]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return result.stdout


@pytest.mark.parametrize("number,role", list(enumerate(ROLES)))
def test_for_each_role(api_world, tmp_path, number, role):
    session = api_world.session(role)
    cookie = f"__Host-plastron={session.cookies['__Host-plastron']}"
    said = run(api_world, tmp_path, {"Cookie": cookie, "X-Plastron-CSRF": session.headers["X-Plastron-CSRF"]}, 100 + number)
    assert "passed" in said
    # The keeper that answered it all is the one that was started.
    assert until(api_world.is_up)


def test_for_a_stranger(api_world, tmp_path):
    run(api_world, tmp_path, {}, 99)


def test_every_route_is_in_the_document_and_every_path_is_a_route(api_world):
    document = json.loads((ROOT / "Sources/CommandRoom/Public/openapi.json").read_text())
    session = api_world.session("auditeur-voisin")
    assert session.call("GET", "/openapi.json").json() == document
    known = set()
    for path in (ROOT / "Sources/CommandRoom").rglob("*.swift"):
        if path.name == "DeviceAPI.swift":
            continue
        import re
        for method, route in re.findall(r'api\.(get|post|put|delete)\("([^"]+)"', path.read_text()):
            known.add((method, "/" + re.sub(r":(\w+)", r"{\1}", route)))
    written = {(method, path) for path, item in document["paths"].items() for method in item}
    assert known == written, known ^ written
