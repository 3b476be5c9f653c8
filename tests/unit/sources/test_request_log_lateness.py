"""Slow requests: rows that appear after their time was counted, and busy sites on which successes are slow."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from daemon.core.detector import Verdict
from daemon.core.facts import ErrorRateSample
from daemon.detectors.threshold import Threshold
from daemon.sources.request_log_listing import Listing
from daemon.sources.request_log_memory import Seen
from daemon.sources.request_log_pace import LOOK_BACK, time_of_most
from daemon.sources.request_log_rows import LogRow
from daemon.vercel.wire import to_milliseconds
from tests.unit.sources.request_log import (
    NOW,
    START,
    RequestLog,
    Row,
    SlowLog,
    a_log_row,
    a_source,
    counted,
    follow,
    half_times_out,
    read,
)
from tests.unit.vercel.fakes import Script

SECOND = timedelta(seconds=1)

# What is late is counted once


@pytest.mark.parametrize("counts", ["ratio", "errors"])
@pytest.mark.parametrize("after", [10, 25, 60, 300])
async def test_time_outs_are_counted_once_when_they_are_logged(after, counts):
    found = await follow(half_times_out(after=after, seconds=60), seconds=390, interval=30, counts=counts)
    assert counted(found) == (60 if counts == "ratio" else 0, 30)
    assert not any(one.is_sampled for one in found)


async def test_time_outs_of_everything_are_counted_too():
    log = SlowLog([(a_log_row(n, status=504), 60) for n in range(60)])
    assert counted(await follow(log, seconds=150)) == (60, 60)


async def test_slow_successes_that_the_list_reaches_are_counted_beside_slow_failures():
    log = SlowLog([(a_log_row(n, status=504 if n % 20 == 0 else 200), 60) for n in range(100)])
    assert counted(await follow(log, seconds=300)) == (100, 5)


async def test_what_is_late_is_counted_in_the_newest_sample_of_its_deployment():
    log = SlowLog([(a_log_row(n), 0.1) for n in range(100)] + [(a_log_row(7.5, status=504), 50)])
    source, _ = a_source(log)
    log.now = START + 40 * SECOND
    first = await read(source, now=log.now)
    log.now = START + 100 * SECOND
    reading = await read(source, since=first.complete_until, now=log.now)
    assert [(one.start, one.requests, one.errors) for one in reading.samples] == [
        (START + 20 * SECOND, 10, 0),
        (START + 30 * SECOND, 51, 1),
    ]


async def test_what_is_later_than_the_bound_is_never_counted():
    log = half_times_out(after=60, seconds=120)
    assert counted(await follow(log, seconds=300, late_max=timedelta(seconds=20))) == (60, 0)


async def test_the_first_collection_and_one_after_a_gap_count_nothing_as_late():
    log = half_times_out(after=60, seconds=120)
    source, script = a_source(log)
    log.now = START + timedelta(seconds=45)
    await read(source, now=log.now)
    log.now = START + timedelta(seconds=200)
    since = START + timedelta(seconds=170)
    assert list((await read(source, since=since, now=log.now)).samples) == []
    assert script.query()["startDate"] == str(to_milliseconds(since))


@pytest.mark.parametrize("counts", ["ratio", "errors"])
async def test_a_reading_that_got_lost_is_given_again_with_what_was_late_in_it(counts):
    log = half_times_out(after=60, seconds=60)
    source, _ = a_source(log, counts=counts)
    log.now = START + 60 * SECOND
    first = await read(source, now=log.now)
    log.now = START + 90 * SECOND
    lost = await read(source, since=first.complete_until, now=log.now)
    assert counted(lost.samples)[1] == 15
    log.now = START + 140 * SECOND
    again = await read(source, since=first.complete_until, now=log.now)
    assert counted([*first.samples, *again.samples]) == (60 if counts == "ratio" else 0, 30)


async def test_a_collection_whose_outcome_was_lost_is_repeated_without_counting_twice():
    log = half_times_out(after=60, seconds=60)
    source, _ = a_source(log)
    for passed in (100, 115):
        log.now = now = START + timedelta(seconds=passed)
        assert counted((await read(source, now=now)).samples)[0] <= 60


async def test_late_failures_of_a_replaced_deployment_stay_its_own():
    log = SlowLog(
        [(a_log_row(n, status=504), 60) for n in range(30)]
        + [(a_log_row(30.5 + n, deploymentId="dpl_b"), 1) for n in range(90)]
    )
    found = await follow(log, seconds=180)
    assert counted(one for one in found if one.deployment == "dpl_a") == (30, 30)
    assert counted(one for one in found if one.deployment == "dpl_b") == (90, 0)


@pytest.mark.parametrize("after", [21, 25, 30])
async def test_failures_that_are_logged_between_the_two_lists_refuse_nothing(after):
    log = half_times_out(after=after, seconds=45, a_second=2)
    log.read_takes = timedelta(seconds=1)
    assert counted(await follow(log, seconds=120)) == (90, 45)


# A busy site, of which only the newest requests are seen


def busy(
    duration: Callable[[int], float], is_failure: Callable[[int], bool], *, seconds: int = 420, a_second: int = 10
) -> SlowLog:
    """Requests at an even pace, of which *duration* and *is_failure* say how each ends."""
    rows = [
        (a_log_row(n / a_second, status=500 if is_failure(n) else 200), duration(n)) for n in range(seconds * a_second)
    ]
    return SlowLog(rows)


def ratio(samples: Sequence[ErrorRateSample], *, after: float = 0) -> float:
    requests, errors = counted(one for one in samples if one.start >= START + after * SECOND)
    return errors / requests


async def test_a_log_that_lags_as_a_whole_is_counted_without_preferring_failures():
    log = busy(lambda _: 60, lambda n: n % 20 == 0, seconds=150)
    found = await follow(log, seconds=150, request_pages_max=1)
    assert counted(found)[0] > 200
    assert ratio(found) == pytest.approx(0.05, abs=0.005)


@pytest.mark.slow
async def test_a_log_whose_rows_are_ingested_late_prefers_no_failures_though_all_answers_are_quick():
    rows = [(a_log_row(n / 10, status=500 if n % 20 == 0 else 200), 0.1) for n in range(3000)]
    found = await follow(SlowLog(rows, ingestion=60), seconds=300, request_pages_max=1)
    assert counted(found)[0] > 500
    assert ratio(found) == pytest.approx(0.05, abs=0.005)


@pytest.mark.slow
async def test_time_outs_beyond_the_reach_of_the_list_of_all_are_counted_in_the_time_that_was_sampled():
    log = half_times_out(after=40, seconds=300, a_second=10)
    found = await follow(log, seconds=300, request_pages_max=1, error_pages_max=8)
    assert any(one.is_sampled for one in found)
    # What was late before there were older rows to look at does not count.
    assert ratio(found, after=150) == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
async def test_a_busy_site_of_which_half_times_out_breaches():
    log = half_times_out(after=60, seconds=420, a_second=10)
    assert verdicts(await follow(log, seconds=420))[-1] is Verdict.BREACHING


SLOW = {
    "all successes are slow": lambda n: 40,
    "nine in ten successes are slow": lambda n: 40 if n % 10 else 0.1,
    "half of the successes are slow": lambda n: 40 if n % 2 else 0.1,
    "successes take one minute or more": lambda n: 60 + n % 30,
}


@pytest.mark.slow
@pytest.mark.parametrize("a_second", [10, 40])
@pytest.mark.parametrize("slow", list(SLOW.values()), ids=list(SLOW))
async def test_quick_failures_among_slow_successes_are_not_seen_as_more_than_they_are(slow, a_second):
    def is_failure(n: int) -> bool:
        return n % 50 == 7

    log = busy(lambda n: 0.1 if is_failure(n) else slow(n), is_failure, seconds=420, a_second=a_second)
    found = await follow(log, seconds=420, error_pages_max=8)
    assert any(one.is_sampled for one in found)
    assert ratio(found, after=240) == pytest.approx(0.02, abs=0.004)
    assert Verdict.BREACHING not in verdicts(found)


@pytest.mark.slow
async def test_slow_failures_among_slower_successes_are_not_seen_as_more_than_they_are():
    def is_failure(n: int) -> bool:
        return n % 50 == 7

    log = busy(lambda n: 30 if is_failure(n) else 45 if n % 2 else 1, is_failure, seconds=600)
    found = await follow(log, seconds=600, error_pages_max=8)
    assert ratio(found, after=240) <= 0.025
    assert Verdict.BREACHING not in verdicts(found)


@pytest.mark.slow
async def test_where_rows_do_not_tell_how_long_they_took_failures_beyond_the_list_do_not_count():
    log = half_times_out(after=40, seconds=300, a_second=10)
    for row in log.rows:
        del row["requestDurationMs"]
    found = await follow(log, seconds=300, request_pages_max=1, error_pages_max=8)
    assert (counted(found)[1], counted(found)[0] > 500) == (0, True)


def verdicts(samples: Sequence[ErrorRateSample]) -> list[Verdict]:
    """What the default detector says after each sample."""
    rule, found = Threshold(), []
    memory = rule.begin()
    for sample in samples:
        memory, finding = rule.update(memory, sample)
        found.append(finding.verdict)
    return found


async def test_late_failures_that_do_not_count_are_told_to_be_left_out():
    log = half_times_out(after=40, seconds=120, a_second=10)
    source, _ = a_source(log, request_pages_max=1, error_pages_max=8)
    watermark, left_out = START, []
    for passed in (30, 45, 60, 75):
        log.now = now = START + passed * SECOND
        reading = await read(source, since=watermark, now=now)
        watermark = reading.complete_until
        left_out.append(reading.left_out)
    assert left_out == [0, 26, 49, 49]


async def test_a_list_that_covers_no_time_at_all_counts_nothing_that_is_late():
    before = SlowLog([(a_log_row(n / 10), 0.1) for n in range(-2400, 600)])
    before.now = NOW
    failed = [a_log_row(58.05, status=504)]
    after = RequestLog([a_log_row(60.5, number=n) for n in range(70)], failed=failed)
    # Two lists at first; then the look at older rows, and two lists of which one is cut in the next window.
    source, script = a_source(before, before, before, after, request_pages_max=1)
    watermark = (await read(source)).complete_until
    reading = await read(source, since=watermark, now=NOW + SECOND / 10)
    assert len(script.requests) == 5
    assert (list(reading.samples), reading.covered) == ([], 0.0)


# What is remembered


def a_listing(*seconds: float, end: float, **facts: object) -> Listing:
    rows = [LogRow.model_validate(a_log_row(one, **facts)) for one in seconds]
    return Listing(START, START + end * SECOND, rows, is_complete=True)


def test_no_more_is_remembered_than_can_be_late():
    seen = Seen(START)
    for minute in range(1, 30):
        end = START + minute * 60 * SECOND
        listing = a_listing(minute * 60 - 30, minute * 60 - 1, end=minute * 60)
        seen = seen.then(listing, (), start=end - 60 * SECOND, keep_from=end - 360 * SECOND)
    assert (len(seen.rows), len(seen.spans)) == (12, 6)
    assert seen.known_from == START + 23 * 60 * SECOND


def test_only_deployments_that_fail_are_remembered_as_failing():
    seen = Seen(START).then(a_listing(1, 2, end=60), (), start=START, keep_from=START)
    assert seen.failing == {}
    seen = seen.then(a_listing(70, 80, end=120, status=500), (), start=START, keep_from=START)
    assert seen.failing == {"dpl_a": START + 80 * SECOND}
    seen = seen.then(a_listing(130, end=180, status=500, deploymentId=""), (), start=START, keep_from=START)
    assert list(seen.failing) == ["dpl_a"]


# The look at older rows


def looks(script: Script, *, before: timedelta) -> int:
    """How many single pages of older rows were asked for."""
    ends = [int(query.url.params["endDate"]) for query in script.requests]
    return sum(end == to_milliseconds(START + before - LOOK_BACK) for end in ends)


@pytest.mark.slow
async def test_a_busy_site_is_looked_at_once_a_minute_and_a_quiet_one_never():
    for a_second, expected in ((20, [0, 1, 0, 0, 0, 1]), (0.1, [0] * 6)):
        rows = [(a_log_row(n / a_second), 0.1) for n in range(int(300 * a_second))]
        log = SlowLog(rows)
        source, script = a_source(log)
        watermark, seen = START + 120 * SECOND, []
        for passed in range(150, 240, 15):
            log.now = now = START + passed * SECOND
            watermark = (await read(source, since=watermark, now=now)).complete_until
            seen.append(looks(script, before=passed * SECOND))
        assert seen == expected


@pytest.mark.slow
async def test_a_site_that_is_busy_no_more_is_read_at_its_usual_lag_again():
    slow = [(a_log_row(n / 10), 40) for n in range(3000)]
    log = SlowLog([*slow, *((a_log_row(310 + 10 * n), 0.1) for n in range(60))])
    source, script = a_source(log)
    watermark, lags = START, []
    for passed in range(15, 900, 15):
        log.now = now = START + passed * SECOND
        reading = await read(source, since=watermark, now=now)
        watermark = reading.complete_until
        lags.append(round((now - watermark).total_seconds()))
    assert max(lags) == 45
    assert set(lags[-10:]) == {20}
    # Two lists, and nothing else.
    assert {len(one.url.params["page"]) for one in script.requests[-20:]} == {1}
    assert len({one.url.params["endDate"] for one in script.requests[-20:]}) == 10


@pytest.mark.slow
async def test_a_clock_that_steps_back_is_a_reason_to_look_again():
    log = SlowLog([(a_log_row(n / 20), 0.1) for n in range(8000)])
    source, script = a_source(log)
    for passed, expected in ((300, 0), (330, 1), (345, 0), (280, 1)):
        log.now = now = START + passed * SECOND
        await read(source, since=now - 40 * SECOND, now=now)
        assert looks(script, before=passed * SECOND) == expected


def a_row(seconds: float | None, *, status: int = 200) -> LogRow:
    facts: Row = a_log_row(1, status=status)
    facts["requestDurationMs"] = None if seconds is None else seconds * 1000
    return LogRow.model_validate(facts)


@pytest.mark.parametrize(
    ("slow", "of", "expected"),
    [(0, 10, 1), (1, 10, 1), (2, 10, 30), (10, 10, 30), (5, 50, 1), (6, 50, 30), (0, 1, 1), (1, 1, 30)],
)
def test_nine_in_ten_requests_are_waited_for(slow, of, expected):
    rows = [a_row(30)] * slow + [a_row(1)] * (of - slow)
    assert time_of_most(rows) == timedelta(seconds=expected)


def test_who_hangs_up_is_not_waited_for():
    assert time_of_most([a_row(30, status=0)] * 9 + [a_row(1)]) == SECOND


def test_failures_are_not_waited_for():
    assert time_of_most([a_row(30, status=504)] * 9 + [a_row(1)]) == timedelta(0)
    assert time_of_most([a_row(30, status=504)] * 10) == timedelta(0)


def test_without_rows_or_their_durations_nobody_can_tell():
    assert time_of_most([]) is None
    assert time_of_most([a_row(1)] * 9 + [a_row(None)]) is None
    assert time_of_most([a_row(1)] * 9 + [a_row(None, status=504)]) == timedelta(0, 1)
