"""A running server on loopback, with its own data folder, database and ports; nothing here is a mock."""

import datetime
import functools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import requests
from guard import end_processes, guard

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".build" / "debug" / "plastron"
PASSWORD = "un mot de passe de test"


def own_ports():
    """Below those that the kernel gives to outgoing connections: a port stays free while its server is down. Each worker has its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")  # gw0, gw1, ...
    first, count = (12_000 + 2_000 * (int(worker[2:]) % 5), 2_000) if worker else (22_000, 10_000)
    return random.SystemRandom().sample(range(first, first + count), count)


ports = own_ports()


def free_port(kind):
    """A port that nobody has, given once."""
    while True:
        port = ports.pop()
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def until(check, seconds=15, every=0.1):
    """Waits until check() is true and returns its value; fails with the last one otherwise."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"still {value!r} after {seconds} s"
        time.sleep(every)


class Session(requests.Session):
    """A logged-in client of the console's API."""

    def __init__(self, world, name):
        super().__init__()
        self.base = f"https://localhost:{world.console_port}/api/v1"
        self.verify = str(world.data / "tls/certificate.pem")
        # The environment may name a bundle of its own, which would win over `verify`.
        self.trust_env = False
        self.last = self.post(self.base + "/session", json={"name": name, "password": PASSWORD})
        if self.last.ok:
            self.headers["X-Plastron-CSRF"] = self.last.json()["csrf"]

    def call(self, method, path, **options):
        return self.request(method, self.base + path, timeout=20, **options)


class Camera:
    """One run of the simulated camera."""

    def __init__(self, world, camera, seconds, options=(), passphrase=None):
        self.sent = pathlib.Path(tempfile.mkstemp(prefix="plastron-sent-", suffix=".ts", dir=world.scratch)[1])
        arguments = [str(PROGRAM), "camera", "--port", str(world.ingest_port), "--id", camera, "--seconds", str(seconds)]
        if "--raw" not in options:
            arguments += ["--sent", str(self.sent)]
        if "--from" not in options:
            arguments += ["--from", str(world.clip)]
        environment = dict(world.environment, PLASTRON_PASSPHRASE=passphrase or world.passphrases.get(camera, "x" * 20))
        self.process = subprocess.Popen(
            arguments + list(options), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait(self, seconds=60):
        out, err = self.process.communicate(timeout=seconds)
        self.error = err
        return json.loads(out) if out.strip() else None

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@functools.cache
def clip():
    """Eight seconds of picture and sound, encoded once a process."""
    with tempfile.TemporaryDirectory(prefix="plastron-clip-") as folder:
        file = pathlib.Path(folder) / "clip.ts"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=8", "-f", "lavfi", "-i",
             "sine=frequency=440:sample_rate=48000:duration=8", "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf",
             "2", "-b:v", "400k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-f", "mpegts", str(file)],
            check=True)
        return file.read_bytes()


class World:
    program = PROGRAM
    # Those whose server runs.
    living = []

    def __init__(self, more=None, before=None):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="plastron-e2e-", dir="/tmp"))
        guard.watch(self.scratch)
        self.scratch.chmod(0o755)
        self.data = self.scratch / "data"
        self.ingest_port = free_port(socket.SOCK_DGRAM)
        self.console_port = free_port(socket.SOCK_STREAM)
        self.device_port = free_port(socket.SOCK_STREAM)
        self.metrics_port = free_port(socket.SOCK_STREAM)
        self.environment = dict(
            os.environ, PLASTRON_DATA_FOLDER=str(self.data), PLASTRON_INGEST_HOST="127.0.0.1",
            PLASTRON_INGEST_PORT=str(self.ingest_port), PLASTRON_CONSOLE_PORT=str(self.console_port),
            PLASTRON_DEVICE_HOST="127.0.0.1", PLASTRON_DEVICE_PORT=str(self.device_port),
            PLASTRON_METRICS_PORT=str(self.metrics_port), PLASTRON_PASSWORD=PASSWORD,
            PLASTRON_LOGIN_SECOND_FACTOR="offered", PLASTRON_CLOCK_SYNCHRONISED="assumed",
            PLASTRON_REASON="essai", PLASTRON_FIRST_PASSWORD=PASSWORD, PLASTRON_SECOND_PASSWORD=PASSWORD,
            **(more or {}))
        self.passphrases, self.tokens, self.client_settings, self.cameras = {}, {}, {}, 0
        self.clip = self.scratch / "clip.ts"
        self.clip.write_bytes(clip())
        self.log = open(self.scratch / "server.log", "w")
        if before:
            before(self)
        self.start_server()
        World.living.append(self)
        try:
            until(self.is_up, 60)
            self.furnish()
        except BaseException:
            print(self.log_tail())
            self.end()
            raise

    def start_server(self):
        self.kept = {}
        self.server = subprocess.Popen(
            [str(PROGRAM), "serve", "--supervised"], env=self.environment, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)

    def log_tail(self, characters=4000):
        return (self.scratch / "server.log").read_text(errors="replace")[-characters:]

    def furnish(self):
        self.service = self.admin("service", "--name", "PM Essai", "--act", "essai", "--date", "2026-01-01").strip()
        self.other = self.admin("service", "--name", "SP Autre", "--regime", "bwc-six-months", "--act", "essai", "--date", "2026-01-01").strip()
        self.agent = self.person("M-1", "Alix Porteur")
        others = {name: self.person(f"M-{number}", name) for number, name in enumerate(
            ["operateur", "auditeur", "lecteur", "administrateur", "temoin1", "temoin2", "porteur"], 2)}
        others["porteur"] = self.agent
        others["chef"] = self.person("M-20", "Chef")
        for name, agent in others.items():
            self.admin("account", "--name", name, "--agent", agent)
        for name in ("voisin", "chef-voisin", "auditeur-voisin", "lecteur-voisin"):
            self.admin("account", "--name", name, "--agent", self.person(f"V-{name}", name, self.other))
        self.seat_head("chef", self.service)
        self.seat_head("chef-voisin", self.other)
        for name, role in [("operateur", "operator"), ("auditeur", "auditor"), ("lecteur", "reader"), ("porteur", "wearer")]:
            self.accredit("chef", name, role, self.service)
        for name, role in [("voisin", "operator"), ("auditeur-voisin", "auditor"), ("lecteur-voisin", "reader")]:
            self.accredit("chef-voisin", name, role, self.other)
        self.admin("accredit-administrator", "--account", "administrateur", "--service", self.service, "--act", "essai")

    def person(self, matricule, name, service=None):
        return self.admin(
            "agent", "--service", service or self.service, "--matricule", matricule, "--name", name, "--rank", "gardien").strip()

    def seat_head(self, account, service, first="temoin1", second="temoin2", check=True):
        return self.admin(
            "seat-head", "--service", service, "--account", account, "--act", "arrêté 1", "--first", first, "--second", second,
            check=check)

    def accredit(self, head, account, role, service, days=30, check=True):
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        answer = self.call(head, "POST", f"/services/{service}/accreditations", json={
            "account": account, "role": role, "act": "note 1", "until": until.isoformat(timespec="seconds")})
        assert not check or answer.status_code == 201, answer.text
        return answer

    def admin(self, *arguments, check=True):
        result = subprocess.run(
            [str(PROGRAM), "admin", *arguments], env=self.environment, capture_output=True, text=True, timeout=30)
        assert not check or result.returncode == 0, result.stderr
        return result.stdout

    def command(self, *arguments, account, check=True):
        result = subprocess.run(
            [str(PROGRAM), *arguments, "--account", account], env=self.environment, capture_output=True, text=True,
            timeout=60)
        assert not check or result.returncode == 0, result.stderr + result.stdout
        return result

    def new_camera(self, issued=True, service=None, agent=None):
        self.cameras += 1
        name = f"CAM-{self.cameras}"
        said = self.admin("enrol", "--service", service or self.service, "--camera", name, "--address", "127.0.0.1")
        self.passphrases[name] = re.search(r"passphrase: (\S+)", said)[1]
        self.tokens[name] = re.search(r"token: (\S+)", said)[1]
        self.client_settings[name] = said
        if issued:
            self.admin("issue", "--camera", name, "--agent", agent or self.agent)
        return name

    def session(self, name):
        session = Session(self, name)
        assert session.last.ok, session.last.text
        return session

    def call(self, name, method, path, **options):
        """A call as this account, by a session that is kept while it is good: a log-in costs a third of a second of processor."""
        answer = self.kept[name].call(method, path, **options) if name in self.kept else None
        if answer is None or answer.status_code == 401:
            self.kept[name] = self.session(name)
            answer = self.kept[name].call(method, path, **options)
        # Its connection would hold a stop of the server up; answers keep theirs.
        self.kept[name].last = None
        self.kept[name].close()
        return answer

    def session_answer(self, name):
        """What a log-in is answered, whatever it is."""
        return Session(self, name).last

    def record(self, camera, seconds, *options, **more):
        return Camera(self, camera, seconds, options, **more)

    def incident(self, camera, seconds=10):
        """The active incident of a camera, as the wall shows it."""
        operator = self.session("operateur")

        def look():
            for card in self.wall(operator)["incidents"]:
                if card["camera"] == camera:
                    return card
            return None
        return until(look, seconds)

    def wall(self, session):
        with session.get(session.base + "/wall", stream=True, timeout=20) as answer:
            assert answer.ok, answer.text
            return json.loads(next(answer.iter_lines()))

    def rows(self, **filters):
        return self.call("auditeur", "GET", "/register", params=filters).json()["rows"]

    def closed(self, camera, seconds=20, before=()):
        """A camera's recording once it is closed, besides those known before."""
        def ended():
            return [r for r in self.rows(camera=camera) if r["state"] == "closed" and r["recording"] not in before]
        return until(ended, seconds, 0.3)[-1]

    def close(self, camera):
        card = self.incident(camera)
        answer = self.call("operateur", "POST", f"/incidents/{card['incident']}/close")
        assert answer.status_code == 204, answer.text
        return self.closed(camera)

    def export(self, recording, form="ts", head="chef"):
        answer = self.call(
            head, "POST", f"/recordings/{recording}/extraction",
            json={"reason": "judicial", "reference": "PV 2026/1", "form": form})
        assert answer.ok, answer.text
        return answer.content

    def refusals(self, camera=None):
        listed = self.call("auditeur", "GET", "/refusals", params={"limit": 200}).json()
        return [r for r in listed if camera is None or r.get("camera") == camera]

    def device(self, method, path, camera, **options):
        return requests.request(
            method, f"https://localhost:{self.device_port}/api/v1/device{path}", verify=str(self.data / "tls/certificate.pem"),
            headers={"Authorization": f"Bearer {self.tokens.get(camera, '0' * 64)}"}, timeout=20, **options)

    def pid(self, role):
        return int((self.data / "run" / f"{role}.pid").read_text())

    def kill(self, role):
        pid = self.pid(role)
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid(role) != pid, 10, 0.02)

    def is_up(self):
        """Whether the keeper answers and the ingest is connected to it."""
        return "ingest: true" in self.admin("status", check=False)

    def conninfo(self):
        password = (self.data / "keys/postgres-plastron_server").read_text()
        return f"host={self.data}/postgres/socket dbname=plastron user=plastron_server password={password}"

    def sql(self, statement):
        password = (self.data / "keys/postgres-plastron_owner").read_text()
        result = subprocess.run(
            ["psql", "-AtX", "-v", "ON_ERROR_STOP=1", "-h", str(self.data / "postgres/socket"), "-U", "plastron_owner", "plastron", "-c", statement],
            env=dict(os.environ, PGPASSWORD=password), capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def journal(self):
        entries = []
        for bundle in sorted((self.data / "journal/tile/entries").rglob("[0-9]*")):
            raw, at = bundle.read_bytes(), 0
            while at + 2 <= len(raw):
                size = int.from_bytes(raw[at:at + 2], "big")
                entries.append(json.loads(raw[at + 2:at + 2 + size]))
                at += 2 + size
        return entries

    def acts(self, recording):
        return [e["act"] for e in self.journal() if e["facts"].get("recording") == recording]

    def check_is_clean(self):
        result = self.command("footage", "check", account="auditeur", check=False)
        assert result.returncode == 0, result.stdout + result.stderr

    def footage(self):
        return {p: p.stat().st_size for p in (self.data / "footage").rglob("*") if p.is_file()}

    def files_containing(self, needles):
        """Files of the data folder in which a piece of media stands in clear."""
        found = []
        for path in self.data.rglob("*"):
            if path.is_file() and not path.is_socket():
                content = path.read_bytes()
                found += [str(path) for needle in needles if needle in content]
        return found

    def needles(self):
        """Pieces of the clip that cannot stand anywhere by chance."""
        clip = self.clip.read_bytes()
        return [clip[at + 20:at + 180] for at in range(188 * 40, len(clip) - 188, 188 * 97)]

    def end(self, keep=False):
        self.server.stdin.close()
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        # What a killed server left: its database, a camera.
        end_processes(self.scratch, 5)
        self.log.close()
        if self in World.living:
            World.living.remove(self)
        if not keep:
            self.remove()

    def remove(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        guard.forget(self.scratch)


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: bounds times that a machine which is busy with other tests does not keep")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What fails shows the end of the log of each server that runs."""
    report = yield
    if report.failed:
        report.sections += [(f"end of {world.scratch}/server.log", world.log_tail()) for world in World.living]
    return report


@pytest.fixture(scope="session")
def world():
    world = World()
    yield world
    world.end()


@pytest.fixture
def cameras(world):
    """Starts cameras and ends them with the test."""
    until(world.is_up, 30)
    running = []

    def start(camera, seconds, *options, **more):
        running.append(world.record(camera, seconds, *options, **more))
        return running[-1]
    yield start
    for camera in running:
        camera.stop()
