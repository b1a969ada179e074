"""Cameras over bad links: nothing is lost that the sender did not give up, and what it gave up is a gap with its times."""

import time

import pytest
from conftest import until
from link import LinkProcess
from lossy import KEY_INTERVAL_S, MESSAGE_BYTES, RELAY_BUDGET_S, SHORT, Drive, SentLog, line_of, make_clip, missing_messages, run_together

# A busy machine.
SLACK_S = 1.0


@pytest.mark.parametrize("order", [[], ["--in-order"]], ids=["plain", "in-order"])
def test_what_the_sender_did_not_give_up_is_there_byte_for_byte(world, order):
    until(world.is_up, 30)
    cases = [(name, profile, [*order, "--reconnect"]) for name, profile in SHORT.items()]
    for drive in run_together(world, cases, 11):
        print(line_of(drive))
        assert drive.said["connections"] == 1, drive.name
        # A camera that ends gives its last messages up when none of their copies passed in five seconds: the link knows.
        never = drive.figures["never"]
        missing = missing_messages(drive.sent, drive.kept)
        assert missing == list(range(len(drive.sent) // MESSAGE_BYTES - never, len(drive.sent) // MESSAGE_BYTES)), (drive.name, never, missing[:20])
        assert never <= 2, drive.name
        assert drive.row["gaps"] == 0, (drive.name, drive.gaps())
        # The link did what it says: nothing of this is for want of losses.
        assert drive.figures["repaired"] > 0, drive.name
        lags = drive.lags()
        assert len(lags) > 50, drive.name
        outages = SHORT[drive.name].get("outages", [])
        if outages:
            # What was sent before and during it comes when it is over; from then on the wall is with the camera again.
            lags = [(left, lag) for left, lag in lags if left > drive.figures["started_us"] / 1e6 + outages[-1][1] + 1]
            assert lags, drive.name
        # While data arrives behind a hole, a plain sender's relay gives the hole up after its budget; an in-order sender is held back by the
        # transport until the hole is filled.
        held = drive.figures["repair_ms"]["max"] / 1000 if order else RELAY_BUDGET_S
        if not order:
            assert max(lag for _, lag in lags) < held + KEY_INTERVAL_S + 0.15 + SLACK_S, (drive.name, line_of(drive))
        # What is given up leaves pictures out up to the next key picture; that one may lose a packet in its turn.
        longest = held + (0 if order else 2 * KEY_INTERVAL_S) + 0.15 + SLACK_S
        assert drive.longest_darkness(apart=outages) < longest, (drive.name, line_of(drive))
        assert drive.longest_darkness() < longest + max((end - begin for begin, end in outages), default=0), (drive.name, line_of(drive))
        # Nothing is left out where no hole was older than the budget; in order there is none to give up.
        if order or drive.figures["repair_ms"]["max"] < 700 * RELAY_BUDGET_S:
            assert drive.left_out() == 0, (drive.name, line_of(drive))
        # A viewer starts with a key picture.
        assert drive.until_first() < held + KEY_INTERVAL_S + 0.15 + SLACK_S, (drive.name, line_of(drive))
    world.check_is_clean()


def test_an_outage_that_takes_everything_under_way_costs_nothing_or_ten_seconds(world):
    """A sender whose window is full sends nothing that would show what was lost (SRTListener.flightWindows_packets, StallWatch)."""
    until(world.is_up, 30)
    outage = {"delay_ms": 20, "outages": [[4, 7]], "seed": 41}
    # What they send in three seconds: 760 packets of the 768 that may be under way are 2.6 Mbit/s.
    cases = [("usual", [], 2000), ("in order", ["--in-order"], 2000), ("fast", [], 3200)]
    with LinkProcess(world.ingest_port, [outage] * len(cases)) as link:
        drives = {}
        try:
            for number, (name, order, rate) in enumerate(cases):
                drives[name] = Drive(world, name, number, link, ["--reconnect", *order], 26, make_clip(world.scratch, 30, rate), watch=False)
            for drive in drives.values():
                drive.finish()
        finally:
            for drive in drives.values():
                drive.run.stop()
    for name in ["usual", "in order"]:
        drive = drives[name]
        assert drive.figures["repaired"] > 550, (name, drive.figures)
        assert drive.kept == drive.sent and drive.said["connections"] == 1, (name, len(drive.kept), len(drive.sent), drive.gaps())
    drive = drives["fast"]
    (cause, begin, end), = drive.gaps()
    out = drive.figures["started_us"] / 1e6 + 4
    assert drive.said["connections"] == 2 and cause == "silent" and abs(begin - out) < 1 and end < begin + 3 + 12, (cause, begin - out, end - out)
    times = [drive.log.at((number + 1) * MESSAGE_BYTES) for number in missing_messages(drive.sent, drive.kept)]
    assert times and not [at for at in times if not lies_in_a_gap(at, drive.gaps(), 1.0)]
    world.check_is_clean()


OUTAGE = (4, 5.2)


@pytest.fixture(scope="module")
def troubled(world):
    """Four cameras at the same time: three that give messages up over an outage, and one whose address changes.

    The fast one comes to where libsrt has no place left behind the packets that never come.
    """
    until(world.is_up, 30)
    seconds = 18
    giving_up = {"loss": 0.02, "delay_ms": 30, "outages": [list(OUTAGE)], "seed": 21}
    profiles = [giving_up, {**giving_up, "seed": 22}, {**giving_up, "seed": 23}, {"delay_ms": 20, "loss": 0.01, "seed": 31}]
    clip, fast = make_clip(world.scratch, seconds + 4), make_clip(world.scratch, seconds + 4, 2200)
    with LinkProcess(world.ingest_port, profiles) as link:
        giving_up = ["--message-ttl", "300"]
        cases = [("plain", giving_up, clip), ("in-order", [*giving_up, "--in-order"], clip), ("fast", giving_up, fast), ("another address", [], clip)]
        drives = [
            Drive(world, name, number, link, ["--reconnect", *options], seconds, clip, watch=False)
            for number, (name, options, clip) in enumerate(cases)]
        try:
            last = drives[-1]
            until(lambda: last.log_path.exists() and last.log_path.stat().st_size and SentLog(last.log_path).bytes[-1] > 150_000, 15)
            last.changed_at = time.time()
            link.rebind(len(drives) - 1)
            yield {drive.name: drive.finish() for drive in drives}
        finally:
            for drive in drives:
                drive.run.stop()
    world.check_is_clean()


def lies_in_a_gap(at, gaps, slack):
    return any(begin - slack <= at <= end + slack for _, begin, end in gaps)


@pytest.mark.parametrize("name", ["plain", "in-order", "fast"])
def test_what_the_sender_gave_up_is_a_gap_with_its_times_and_the_camera_is_back_within_ten_seconds(troubled, name):
    drive = troubled[name]
    missing, gaps = missing_messages(drive.sent, drive.kept), drive.gaps()
    assert missing and drive.kept, "the sender gave nothing up"
    assert gaps and {cause for cause, _, _ in gaps} <= {"lost-in-transport", "not-deliverable", "link-lost"}, gaps
    assert name != "fast" or "not-deliverable" in {cause for cause, _, _ in gaps}, gaps
    # Everything that is not there was sent in a gap's time, to a second (it comes half a round trip later, or after a retransmission).
    times = [drive.log.at((number + 1) * MESSAGE_BYTES) for number in missing]
    outside = [at for at in times if not lies_in_a_gap(at, gaps, 1.0)]
    assert not outside, (outside[:5], gaps)
    # What was sent ten seconds after the outage and later is all there.
    back = drive.figures["started_us"] / 1e6 + OUTAGE[1] + 10
    assert [at for at in times if at > back] == []
    assert drive.log.times[-1] > back + 1 and max(end for _, _, end in gaps) < back


def test_a_camera_whose_address_changes_is_back_within_ten_seconds_and_the_gap_has_the_times(troubled):
    drive = troubled["another address"]
    assert drive.said["connections"] == 2
    (cause, begin, end), = drive.gaps()
    since = drive.changed_at
    assert cause == "link-lost" and abs(begin - since) < 1.5 and begin < end < since + 10, (cause, begin - since, end - since)
    missing = missing_messages(drive.sent, drive.kept)
    # One run of messages: those that were under way when the address changed, and what was sent until the camera knew.
    assert missing == list(range(missing[0], missing[-1] + 1))
    times = [drive.log.at((number + 1) * MESSAGE_BYTES) for number in missing]
    assert begin - 1 <= times[0] and times[-1] <= end + 1, (times[0] - begin, times[-1] - end)
