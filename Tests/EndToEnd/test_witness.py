"""Checkpoints leave the machine: into a folder, and to a witness that checks each against the one before."""

import base64
import http.server
import pathlib
import sys
import threading

import pytest
from conftest import World, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "independent"))
from verify_journal import Checkpoint, Key, node_hash  # noqa: E402


def is_consistent(old, old_root, new, new_root, proof):
    """RFC 9162, 2.1.4.2."""
    if old == new or old == 0:
        return not proof and (old == 0 or old_root == new_root)
    hashes = ([old_root] if old & (old - 1) == 0 else []) + proof
    if not hashes:
        return False
    node, last, first = old - 1, new - 1, hashes[0]
    second = first
    while node & 1:
        node, last = node >> 1, last >> 1
    for value in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(value, first), node_hash(value, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, value)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


class Witness:
    """Takes a checkpoint only with the proof that it goes on from the one it has."""

    def __init__(self):
        self.size, self.root, self.key, self.seen, self.faults = 0, b"", None, [], []
        witness = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = witness.take(text)
                body = answer.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, text):
        head, _, note = text.partition("\n\n")
        first, *hashes = head.split("\n")
        checkpoint, old = Checkpoint(note), int(first.removeprefix("old "))
        if self.key and not self.key.has_signed(checkpoint.body, checkpoint.signatures):
            self.faults.append("signature")
            return 403, ""
        if old != self.size:
            return 409, f"{self.size}\n"
        if not is_consistent(old, self.root, checkpoint.size, checkpoint.root, [base64.b64decode(h) for h in hashes if h]):
            self.faults.append("proof")
            return 422, ""
        self.size, self.root = checkpoint.size, checkpoint.root
        self.seen.append(checkpoint.size)
        return 200, "\u2014 witness.example " + base64.b64encode(b"\0" * 68).decode() + "\n"


@pytest.fixture(scope="module")
def witness():
    witness = Witness()
    yield witness
    witness.server.shutdown()


@pytest.fixture(scope="module")
def watched(witness, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    world = World({"PLASTRON_JOURNAL_WITNESS": witness.url, "PLASTRON_JOURNAL_PUBLISH": str(folder)})
    world.published = folder
    yield world
    world.end()


def test_a_witness_follows_from_size_to_size(watched, witness):
    until(lambda: witness.size > 0, 30)
    witness.key = Key((watched.data / "journal/public-key").read_text())
    # The console anew: it does not know what the witness has, asks, and goes on from there.
    for _ in range(2):
        before = witness.size
        watched.session("operateur")
        until(lambda: int((watched.data / "journal/checkpoint").read_text().split("\n")[1]) > before, 10)
        watched.kill("console")
        until(lambda: witness.size > before, 30)
    assert not witness.faults and witness.seen == sorted(witness.seen)
    kept = watched.data / "journal/witnessed"
    until(lambda: kept.exists() and "witness.example" in kept.read_text(), 10)


def test_checkpoints_are_copied_to_a_folder(watched):
    newest = until(lambda: (watched.published / "checkpoint").exists() and (watched.published / "checkpoint").read_text(), 20)
    key = Key((watched.data / "journal/public-key").read_text())
    checkpoint = Checkpoint(newest)
    assert key.has_signed(checkpoint.body, checkpoint.signatures)
    days = [p for p in watched.published.iterdir() if p.name.startswith("checkpoints-")]
    assert days and newest in days[0].read_text()
