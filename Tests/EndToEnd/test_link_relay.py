"""The bad link itself: what it says it does is what it does."""

import socket
import statistics
import struct
import time

import pytest
from link import HEADER_BYTES, Direction, LinkProcess

COUNT = 20_000


def run(profile, count=COUNT, every=0.001, size=1000, seed=1):
    """What comes out of one direction: (number, sent at, came at), by time of coming."""
    direction = Direction(profile, seed)
    out = []
    for number in range(count):
        sent = number * every
        out += [(number, sent, at) for at in direction.offered(sent, size)]
    return direction.figures, sorted(out, key=lambda entry: entry[2])


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1, 0.2])
def test_losses_are_as_many_as_asked_and_the_same_for_the_same_seed(loss):
    figures, out = run({"loss": loss})
    assert abs(figures["lost"] / COUNT - loss) < 4 * (loss * (1 - loss) / COUNT) ** 0.5
    assert len(out) == figures["passed"] == COUNT - figures["lost"]
    assert out == run({"loss": loss})[1] != run({"loss": loss}, seed=2)[1]


def test_bursts_have_their_share_and_their_length():
    figures, out = run({"burst": [0.01, 5]}, count=100_000)
    came = {number for number, _, _ in out}
    lengths, length = [], 0
    for number in range(100_000):
        if number in came:
            lengths += [length] if length else []
            length = 0
        else:
            length += 1
    assert 4.4 < statistics.mean(lengths) < 5.6
    # One in a hundred whole datagrams begins a burst of five.
    assert 0.04 < figures["lost"] / 100_000 < 0.056


def test_jitter_keeps_the_order_and_reordering_does_not():
    _, out = run({"delay_ms": 30, "jitter_ms": 20})
    assert [number for number, _, _ in out] == sorted(number for number, _, _ in out)
    delays = [at - sent for _, sent, at in out]
    assert min(delays) >= 0.030 and max(delays) <= 0.0501
    figures, out = run({"delay_ms": 30, "reorder": 0.05})
    overtaken = sum(1 for before, after in zip(out, out[1:]) if after[0] < before[0])
    assert abs(overtaken - COUNT * 0.05) < 200 and figures["reordered"] > 0
    assert {round(at - sent, 3) for _, sent, at in out} == {0.03, 0.05}


def test_duplicates_are_second_copies():
    figures, out = run({"duplicate": 0.1})
    assert abs(figures["duplicated"] - COUNT * 0.1) < 200
    assert len(out) == COUNT + figures["duplicated"]


def test_a_limit_passes_its_rate_and_its_queue_holds_what_it_says():
    # 8.2 Mbit/s offered into 4.
    figures, out = run({"rate_kbps": 4000, "queue_ms": 200}, size=1000)
    seconds = COUNT * 0.001
    assert abs(figures["passed"] * (1000 + HEADER_BYTES) * 8 / seconds / 4e6 - 1) < 0.02
    assert figures["queue_drops"] == COUNT - len(out)
    assert 0.19 < max(at - sent for _, sent, at in out) < 0.21


def test_a_schedule_steps_down_and_back_and_an_outage_is_silent():
    _, out = run({"rate_kbps": [[0, None], [5, 1000], [15, None]], "outages": [[16, 19]], "queue_ms": 100})
    passed = [sum(1 for _, sent, _ in out if start <= sent < start + 1) for start in range(20)]
    assert passed[:5] == [1000] * 5 and passed[15:] == [1000, 0, 0, 0, 1000]
    assert all(abs(count * (1000 + HEADER_BYTES) * 8 / 1e6 - 1) < 0.15 for count in passed[6:15])


def test_real_datagrams_keep_their_times_and_come_from_another_port_after_a_rebinding():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(2)
    camera = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    camera.settimeout(2)
    with server, camera, LinkProcess(server.getsockname()[1], [{"up": {"delay_ms": 20}, "down": {"delay_ms": 40}}]) as link:
        delays, sources = [], []
        # 4 Mbit/s for half a second: 190 datagrams of 1316 bytes.
        for number in range(190):
            camera.sendto(struct.pack("!Id", number, time.monotonic()).ljust(1316), ("127.0.0.1", link.ports[0]))
            time.sleep(0.0026)
            while True:
                server.setblocking(False)
                try:
                    data, source = server.recvfrom(2048)
                except BlockingIOError:
                    break
                delays.append(time.monotonic() - struct.unpack("!Id", data[:12])[1])
                sources.append(source)
        server.settimeout(2)
        while len(sources) < 190:
            _, source = server.recvfrom(2048)
            sources.append(source)
        assert len(set(sources)) == 1 and min(delays) >= 0.020
        # Its own lateness; a busy machine may hold a few up.
        assert link.figures()["late_ms"]["p50"] < 2
        sent = time.monotonic()
        server.sendto(b"back", sources[0])
        assert camera.recvfrom(100)[0] == b"back" and time.monotonic() - sent >= 0.040
        link.rebind(0)
        camera.sendto(b"again", ("127.0.0.1", link.ports[0]))
        data, source = server.recvfrom(2048)
        assert data == b"again" and source != sources[0]
