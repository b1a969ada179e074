"""Footage that survives kills, a full disk, a failing disk; and what was changed by hand is named and withheld."""

import os
import random
import subprocess
import time

import chaos
import lossy
import pytest
import requests
from conftest import World, until


def survive(world, kinds):
    """Three cameras over these kills, at random instants."""
    seed = random.SystemRandom().randrange(1 << 32)
    try:
        chaos.run(world, kinds, 3, seed)
    except BaseException:
        print(f"seed {seed}", world.log_tail(6000))
        raise
    finally:
        world.end()


@pytest.mark.alone
def test_kills_at_random_instants_lose_nothing_older_than_a_second():
    survive(World(), ["server", "database", "both"])


@pytest.fixture
def small_disk():
    """A server whose footage lies on a disk of its own, of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mounted = []

    def before(world):
        (world.data / "footage").mkdir(parents=True)
        (world.data).chmod(0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0770", "none", str(world.data / "footage")], check=True)
        mounted.append(world.data / "footage")
    world = World(before=before)
    yield world
    world.end(keep=True)
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)
    world.remove()


def gaps(world, recording):
    return [line.split("|") for line in world.sql(
        "SELECT g.cause, us(g.from_at), us(g.to_at) FROM gap g JOIN recording_part p ON p.id = g.part_id "
        f"WHERE p.recording_id = '{recording}' ORDER BY g.from_at").splitlines()]


def test_a_full_disk_is_a_gap_and_recording_goes_on(small_disk):
    world = small_disk
    camera = world.new_camera()
    running = world.record(camera, 26, "--threat", "agents")
    card = world.incident(camera)
    time.sleep(3)
    filler = world.data / "footage" / "filler"
    full_at = time.time()
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    # The wall says it: this recording is not being written, and the disk is full.
    operator = world.session("operateur")
    until(lambda: next(c for c in world.wall(operator)["incidents"] if c["camera"] == camera)["notRecorded"], 20)
    assert "enregistrer" in until(lambda: world.wall(operator).get("storage"), 20)
    # Nothing else breaks: the register answers, live goes on inside the regime's bound.
    with operator.get(f"{operator.base}/recordings/{card['recording']}/live", stream=True, timeout=20) as live:
        assert live.ok and next(live.iter_content(2000))
    assert world.rows(camera=camera)
    filler.unlink()
    freed_at = time.time()
    until(lambda: not next(c for c in world.wall(operator)["incidents"] if c["camera"] == camera)["notRecorded"], 20)
    running.wait()
    row = world.closed(camera)
    noted = gaps(world, row["recording"])
    assert [g[0] for g in noted] == ["no-space"], noted
    begin, end = int(noted[0][1]) / 1e6, int(noted[0][2]) / 1e6
    assert full_at - 1 <= begin <= freed_at and freed_at - 1 <= end <= freed_at + 2, (full_at, noted, freed_at)
    exported, sent = world.export(row["recording"]), running.sent.read_bytes()
    before = chaos.common_prefix(memoryview(exported), memoryview(sent))
    assert sent.endswith(exported[before:]) and 0 < len(exported) - before and len(exported) < len(sent)
    world.check_is_clean()


FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* Fails the flush of the one file that the file FAILING_FLUSH names; holds that of every master back for SLOW_FLUSH milliseconds, and as
   long as the file HANGING_FLUSH is there. */
int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  const char *slow = getenv("SLOW_FLUSH"), *hanging = getenv("HANGING_FLUSH");
  if (slow || hanging) {
    char link[64], path[4096] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, ".plm")) {
      if (slow) usleep(atoi(slow) * 1000);
      while (hanging && access(hanging, F_OK) == 0) usleep(10000);
    }
  }
  const char *trigger = getenv("FAILING_FLUSH");
  FILE *file = trigger ? fopen(trigger, "r") : 0;
  if (file) {
    char wanted[4096] = {0}, link[64], path[4096] = {0};
    size_t n = fread(wanted, 1, sizeof wanted - 1, file);
    fclose(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) > 0 && n > 0 && strstr(path, wanted)) { errno = EIO; return -1; }
  }
  return real(fd);
}
"""


@pytest.fixture
def shim(tmp_path):
    source, library = tmp_path / "failing.c", tmp_path / "failing.so"
    source.write_text(FAILING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    tmp_path.chmod(0o755)
    return library


@pytest.fixture
def failing_disk(tmp_path, shim):
    trigger = tmp_path / "trigger"
    world = World(more={"LD_PRELOAD": str(shim), "FAILING_FLUSH": str(trigger)})
    yield world, trigger
    world.end()


@pytest.mark.alone
def test_a_disk_that_flushes_slowly_costs_nothing_at_a_kill(shim):
    """Each master takes three quarters of a second to flush: what comes meanwhile is written, and survives the kill."""
    survive(World(more={"LD_PRELOAD": str(shim), "SLOW_FLUSH": "750"}), ["server", "server"])


@pytest.mark.alone
def test_a_disk_that_hangs_until_nothing_is_read_costs_what_found_no_room(tmp_path, shim):
    """Past 128 MiB nothing is read, and the transport's buffers fill: their senders' windows stay closed for good.

    What is missing lies in gaps that begin when the buffers were full, and the cameras are back at once.
    """
    trigger = tmp_path / "hangs"
    world = World(more={"LD_PRELOAD": str(shim), "HANGING_FLUSH": str(trigger)})
    try:
        until(world.is_up, 30)
        clip = lossy.make_clip(world.scratch, 20, 9000)
        cameras, runs, logs = [world.new_camera() for _ in range(8)], [], []
        for camera in cameras:
            logs.append(world.scratch / f"sent-{camera}.log")
            runs.append(world.record(
                camera, 48, "--from", str(clip), "--reconnect", "--sent-log", str(logs[-1]), "--sent-log-every", "0"))
        time.sleep(4)
        trigger.touch()
        began = time.time()
        time.sleep(30)
        trigger.unlink()
        ended = time.time()
        assert all(run.wait(70) for run in runs)
        frozen = 0
        for camera, run, log in zip(cameras, runs, logs):
            row = world.close(camera)
            kept, sent, times = world.export(row["recording"]), run.sent.read_bytes(), lossy.SentLog(log)
            missing, noted = lossy.missing_messages(sent, kept), gaps(world, row["recording"])
            assert {g[0] for g in noted} <= {"not-deliverable"}, noted
            if not missing:
                continue
            frozen += 1
            (begin, end), = [(int(g[1]) / 1e6, int(g[2]) / 1e6) for g in noted]
            assert began + 5 < begin < ended < end < ended + 8, (begin - began, end - ended)
            # What was under way when the buffer was full, and what the sender took after it.
            first, last = (times.at((number + 1) * lossy.MESSAGE_BYTES) for number in (missing[0], missing[-1]))
            assert begin - 2 < first and last < end + 1, (first - begin, last - end)
        assert frozen > 0, "the disk did not hang long enough"
        world.check_is_clean()
    finally:
        world.end()


def test_a_disk_that_fails_under_one_recording_costs_neither_it_nor_another(failing_disk):
    world, trigger = failing_disk
    struck, other = world.new_camera(), world.new_camera()
    runs = [world.record(camera, 14) for camera in (struck, other)]
    recording = world.incident(struck)["recording"]
    world.incident(other)
    part = until(lambda: world.sql(f"SELECT id FROM recording_part WHERE recording_id = '{recording}'"))
    time.sleep(2)
    trigger.write_text(part)
    until(lambda: world.sql(f"SELECT count(*) FROM recording_part WHERE recording_id = '{recording}'") == "2", 20)
    assert "panne" in until(lambda: world.wall(world.session("operateur")).get("storage"), 20)
    for run in runs:
        run.wait()
    rows = [world.closed(camera) for camera in (struck, other)]
    # What the failed file did not take is in its continuation: nothing is missing.
    for row, run in zip(rows, runs):
        assert world.export(row["recording"]) == run.sent.read_bytes()
    parts = world.sql(f"SELECT number, local_day = min(local_day) OVER () FROM recording_part WHERE recording_id = '{recording}' ORDER BY number")
    assert parts.splitlines() == ["1|t", "2|t"]
    world.check_is_clean()


def test_one_flipped_bit_is_named_withheld_and_told(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 6)
    running.wait()
    row = world.closed(camera, 30)
    path = world.data / "footage" / world.sql(f"SELECT path FROM recording_part WHERE recording_id = '{row['recording']}'")
    sent, raw = running.sent.read_bytes(), bytearray(path.read_bytes())
    starts = [at for at in range(len(raw)) if raw[at:at + 4] == b"PLCH"]
    middle = starts[len(starts) // 2]
    chunk = int.from_bytes(raw[middle + 12:middle + 20], "big")
    raw[middle + 400] ^= 4
    path.write_bytes(raw)
    said = world.command("footage", "check", account="auditeur", check=False)
    assert said.returncode != 0 and row["recording"] in said.stdout and f"chunk {chunk}" in said.stdout, said.stdout
    head = world.session("chef")
    body = {"reason": "judicial", "reference": "PV 1"}
    answer = head.call("POST", f"/recordings/{row['recording']}/consultation", json=body)
    assert answer.status_code == 409 and answer.json()["code"] == "altered" and f"/{chunk}" in answer.json()["detail"]
    order = dict(body, form="ts")
    assert head.call("POST", f"/recordings/{row['recording']}/extraction", json=order).status_code == 409
    rest = head.call("POST", f"/recordings/{row['recording']}/extraction", json=dict(order, withoutAltered=True))
    assert rest.ok and rest.headers["X-Plastron-Omitted"].endswith(f"/{chunk}")
    before = chaos.common_prefix(memoryview(rest.content), memoryview(sent))
    assert sent.endswith(rest.content[before:]) and 0 < len(sent) - len(rest.content) < 200_000
    # The monthly reading finds it by itself: the wall says so, the journal has it.
    until(lambda: "footage.altered" in world.acts(row["recording"]) or world.sql(
        f"UPDATE recording_part SET checked_at = NULL WHERE recording_id = '{row['recording']}' RETURNING ''") and None, 60, 2)
    assert "tels qu'enregistrés" in world.wall(world.session("operateur"))["storage"]
    raw[middle + 400] ^= 4
    path.write_bytes(raw)
    world.sql(f"UPDATE recording_part SET checked_at = NULL WHERE recording_id = '{row['recording']}'")
    until(lambda: world.sql(f"SELECT finding IS NULL AND checked_at IS NOT NULL FROM recording_part WHERE recording_id = '{row['recording']}'") == "t", 60)
    assert world.export(row["recording"]) == sent
    world.check_is_clean()
