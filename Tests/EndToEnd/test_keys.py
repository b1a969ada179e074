"""The keys: a new master key, and a term's end that no backup takes back."""

import os
import shutil
import signal
import subprocess

import pytest
from conftest import World, until
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from test_restore import dump, postgres, record

LATER = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
/* The wall clock, so many seconds later; the clock that nobody sets stays as it is. */
static long later(void) { const char *s = getenv("LATER_S"); return s ? atol(s) : 0; }
int clock_gettime(clockid_t clock, struct timespec *t) {
  long r = syscall(SYS_clock_gettime, clock, t);
  if (r == 0 && clock == CLOCK_REALTIME) t->tv_sec += later();
  return (int)r;
}
int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
"""


def later(tmp_path, days):
    """Environment of a process that lives so many days from now."""
    source, library = tmp_path / "later.c", tmp_path / "later.so"
    source.write_text(LATER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library), "LATER_S": str(days * 86400)}


def live_later(world, tmp_path, days):
    """The server stopped, and started so many days from now; a person says that its clock is right."""
    world.server.stdin.close()
    world.server.wait(30)
    world.environment = dict(world.environment, **later(tmp_path, days))
    world.start_server()
    until(world.is_up, 60)
    world.admin("confirm-clock")


@pytest.fixture
def world(tmp_path):
    backup = tmp_path / "keys-backup"
    tmp_path.chmod(0o755)
    world = World(more={"PLASTRON_KEYS_BACKUP": str(backup)})
    world.backup = backup
    yield world
    world.end()


def restart_keeper(world):
    keeper = world.pid("keeper")
    os.kill(keeper, signal.SIGKILL)
    until(lambda: world.pid("keeper") != keeper and world.is_up(), 60)


def rotate(world, check=True):
    return subprocess.run(
        [str(world.program), "keys", "rotate"], env=world.environment, capture_output=True, text=True, timeout=60, check=check)


def test_a_new_master_key_opens_what_the_old_one_sealed(world):
    camera = world.new_camera()
    row, sent = record(world, camera)
    master = world.data / "keys/master.key"
    old = master.read_text()
    said = rotate(world).stdout
    assert "resealed" in said and "0 day keys" not in said
    assert len(master.read_text().split()) == 1 and master.read_text() != old and master.stat().st_mode & 0o77 == 0
    assert world.export(row["recording"]) == sent
    restart_keeper(world)
    assert world.export(row["recording"]) == sent
    again, sent_again = record(world, camera)  # its passphrase opens under the new key
    assert world.export(again["recording"]) == sent_again
    # A rotation that was cut short after the file was changed: everything goes on, and asking again ends it.
    current = master.read_text()
    master.write_text("ab" * 32 + "\n" + current)
    restart_keeper(world)
    assert world.export(again["recording"]) == sent_again
    assert "resealed" in rotate(world).stdout
    assert master.read_text() == "ab" * 32 + "\n"
    restart_keeper(world)
    assert world.export(row["recording"]) == sent
    acts = [e["act"] for e in world.journal()]
    assert acts.count("keys.rotated") == 2 and acts.count("keys.old-master-forgotten") == 2
    assert "essai" in {e["facts"].get("reason") for e in world.journal() if e["act"] == "keys.rotated"}


def opened(sealed, key, purpose, subject):
    """docs/footage-format.md: nonce, ciphertext, tag; purpose and subject are authenticated with it."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], purpose.encode() + b"\0" + subject)
    except (InvalidTag, ValueError):
        return None


def part_keys(footage, key_folders, masters):
    """Part keys that anybody with these folders and master keys can open, by the part's file."""
    days = []
    for folder in key_folders:
        for path in folder.glob("*.key"):
            for master in masters:
                day = opened(path.read_bytes(), bytes.fromhex(master), "plastron/keys/v1/day", path.name.encode())
                days += [day] if day else []
    found = {}
    for path in footage.rglob("*.plm"):
        raw = path.read_bytes()[:200]
        part, wrapped = raw[12:28], raw[120:180]
        for day in days:
            key = opened(wrapped, day, "plastron/footage/v1/key", part)
            if key:
                found[path.name] = key
    return found


def test_after_its_term_no_backup_brings_footage_back(world, tmp_path):
    """Database, disk and key backup from before the term, as the operations guide keeps them: nothing opens."""
    row, sent = record(world, world.new_camera())
    until(lambda: world.backup.exists() and any((world.backup / "days").glob("*.key")), 120, 1)
    masters = (world.data / "keys/master.key").read_text().split()
    dumped = dump(world)
    kept = world.scratch / "backup"
    for name in ("footage", "journal"):
        shutil.copytree(world.data / name, kept / name)
    here = [world.data / "keys/days", world.data / "keys/days-copy", world.backup / "days"]
    # Before the term the same material opens it: what is shown after it can fail.
    for folder in here:
        assert len(part_keys(kept / "footage", [folder], masters)) == 1, folder
    # Seven months later.
    live_later(world, tmp_path, 215)
    until(lambda: "erased: 1" in world.admin("sweep", check=False) or "erasure.certificate" in world.acts(row["recording"]), 60, 1)
    assert not list((world.data / "footage").rglob("*.plm"))
    assert part_keys(kept / "footage", here, masters) == {}
    # Somebody restores what they kept.
    postgres(world, "psql", "-q", "-c", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public")
    postgres(world, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dumped))
    shutil.copytree(kept / "footage", world.data / "footage", dirs_exist_ok=True)
    shutil.copytree(world.backup / "days", world.data / "keys/days", dirs_exist_ok=True)
    wrapped = world.sql("SELECT encode(wrapped_key, 'hex') FROM recording_part")
    assert len(wrapped) == 120
    restart_keeper(world)
    assert part_keys(world.data / "footage", here, masters) == {}
    order = {"reason": "judicial", "reference": "PV 1", "form": "ts"}
    world.admin("confirm-clock", check=False)
    reply = world.session_answer("chef")
    if reply.ok:
        answer = world.session("chef").call("POST", f"/recordings/{row['recording']}/extraction", json=order)
        assert not answer.ok, answer.text
    # The register says again that it is erased, and the file that came back is gone again.
    assert world.sql(f"SELECT state FROM recording WHERE id = '{row['recording']}'") == "erased"
    assert not list((world.data / "footage").rglob("*.plm"))
    assert [e["act"] for e in world.journal() if e["facts"].get("recording") == row["recording"]].count("erasure.certificate") == 1
