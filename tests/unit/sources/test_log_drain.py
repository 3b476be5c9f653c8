"""What a drain's counts say, up to when, and when they say nothing: a silence is no health."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.facts import DeploymentId, ErrorRateSample, ProjectId, RouteCounts
from daemon.core.signal import SignalReason
from daemon.ports.buckets import BUCKET, Delivery, Gap, GapReason, Heard, RouteCount
from daemon.ports.errors import PortError, StoreUnavailable, Unavailable, Unintelligible
from daemon.ports.source import Reading, Wanted
from daemon.sources.exclusions import Exclusions
from daemon.sources.log_drain import ALIVE_WITHIN, LogDrain, LogDrainSettings
from daemon.stores.memory_buckets import MemoryBuckets
from tests.builders import START

SHOP, BLOG = ProjectId("prj_shop"), ProjectId("prj_blog")
GOOD, BAD = DeploymentId("dpl_good"), DeploymentId("dpl_bad")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Told:
    """A store that a receiver has been telling things since START, and a source that reads it."""

    def __init__(self, **settings: Any) -> None:
        self.buckets = MemoryBuckets()
        self.source = LogDrainSettings(**settings).open(self.buckets)
        self._number = 0

    async def add(self, *, at: float, receiver: str = "receiver_1", **things: Any) -> None:
        self._number += 1
        await self.buckets.add(Delivery(receiver, self._number, began=START, at=after(at), **things))

    async def count(self, at: float, requests: int, *, errors: int = 0, deployment: DeploymentId = GOOD) -> None:
        """Let the shop have requests in the bucket at so many seconds."""
        ok = RouteCount(SHOP, deployment, after(at), route="/", status_class=2, requests=requests - errors)
        await self.add(at=at, counts=[ok, replace(ok, status_class=5, requests=errors)])

    async def hear(self, newest: float, *, at: float, project: ProjectId = SHOP, **heard: Any) -> None:
        """Let the stream be heard at so many seconds, with an entry of the project."""
        stream = Heard("team", None, after(newest), after(at), delay=timedelta(0))
        stream = replace(stream, **heard)
        await self.add(at=at, heard=[stream, replace(stream, project=project)])

    async def read(self, now: float, *, since: float = 0, project: ProjectId = SHOP) -> Reading | PortError:
        wanted = Wanted(project, after(since))
        readings = await self.source.collect([wanted], now=after(now))
        assert list(readings) == [project]
        return readings[project]

    async def reading(self, now: float, *, since: float = 0) -> Reading:
        found = await self.read(now, since=since)
        assert isinstance(found, Reading), found
        return found


async def a_busy_minute(**settings: Any) -> Told:
    """Six buckets of ten requests each, one of them failed, heard without delay."""
    told = Told(**settings)
    for at in range(0, 60, 10):
        await told.count(at, 10, errors=1)
    await told.hear(59.9, at=60)
    return told


# Counts


async def test_each_bucket_of_a_deployment_is_a_sample() -> None:
    told = await a_busy_minute()
    await told.count(10, 5, errors=5, deployment=BAD)
    reading = await told.reading(60)
    assert [(one.deployment, one.start, one.end, one.requests, one.errors) for one in reading.samples] == [
        (GOOD, after(0), after(10), 10, 1),
        (BAD, after(10), after(20), 5, 5),
        (GOOD, after(10), after(20), 10, 1),
        (GOOD, after(20), after(30), 10, 1),
        (GOOD, after(30), after(40), 10, 1),
    ]
    assert (reading.source, reading.complete_until, reading.covered) == ("log_drain", after(40), 1.0)
    assert not any(one.is_sampled or one.platform_errors for one in reading.samples)


async def test_a_bucket_without_requests_gives_no_sample_and_is_complete_all_the_same() -> None:
    told = Told()
    await told.count(0, 3)
    await told.count(30, 3)
    await told.hear(60, at=60)
    reading = await told.reading(60)
    assert [one.start for one in reading.samples] == [after(0), after(30)]
    assert reading.complete_until == after(40)


async def test_a_request_that_moved_to_the_errors_before_its_bucket_was_told_is_no_trouble() -> None:
    told = await a_busy_minute()
    moved = RouteCount(SHOP, BAD, START, route="/", status_class=2, requests=-1)
    await told.add(at=61, counts=[moved])
    assert BAD not in {one.deployment for one in (await told.reading(60)).samples}


@pytest.mark.parametrize(("rate", "is_sampled"), [(1.0, False), (0.99, True), (0.01, True)])
async def test_a_drain_that_samples_says_so_and_its_counts_stay_as_they_came(rate: float, *, is_sampled: bool) -> None:
    reading = await (await a_busy_minute(sampling_rate=rate)).reading(60)
    assert {one.is_sampled for one in reading.samples} == {is_sampled}
    assert {one.requests for one in reading.samples} == {10}


# Up to when


@pytest.mark.parametrize(("now", "until"), [(60.0, 40), (69.999, 40), (70.0, 50), (79.0, 50), (80.0, 50), (1000.0, 50)])
async def test_counts_are_complete_when_late_ones_had_their_time_but_never_beyond_what_was_heard(
    now: float, until: int
) -> None:
    told = await a_busy_minute(silence_max=timedelta(hours=1))
    await told.add(at=now)
    assert (await told.reading(now)).complete_until == after(until)


async def test_a_longer_lag_waits_longer() -> None:
    assert (await (await a_busy_minute(lag=timedelta(seconds=35))).reading(60)).complete_until == after(20)


@pytest.mark.parametrize(("delay", "until"), [(0.0, 40), (9.0, 30), (10.0, 30), (30.0, 10)])
async def test_what_the_fastest_delivery_takes_is_waited_for_too(delay: float, until: int) -> None:
    told = await a_busy_minute()
    await told.hear(59.9, at=60, delay=timedelta(seconds=delay))
    reading = await told.reading(60)
    assert reading.complete_until == after(until)
    assert reading.lag == timedelta(seconds=delay)


async def test_a_clock_of_ours_that_is_ahead_by_half_a_minute_loses_nothing() -> None:
    told = Told()
    await told.count(0, 10)
    await told.hear(31, at=60, delay=timedelta(seconds=29))
    assert (await told.reading(60)).complete_until == after(10), "and not 30, which late entries may still reach"


async def test_a_clock_of_ours_that_is_behind_by_half_a_minute_reads_later() -> None:
    told = await a_busy_minute()
    await told.hear(59, at=30)
    assert (await told.reading(30)).complete_until == after(10)


async def test_a_quiet_project_is_complete_as_far_as_its_drain_was_heard() -> None:
    told = await a_busy_minute()
    await told.hear(20, at=21, project=BLOG)
    await told.hear(59.9, at=60)
    found = await told.read(60, project=BLOG)
    assert found == Reading("log_drain", (), after(40), lag=timedelta(0))


async def test_another_drain_says_nothing_of_a_project() -> None:
    told = Told()
    await told.hear(20, at=21, project=BLOG, stream="blog")
    await told.hear(59.9, at=60)
    await told.add(at=60)
    found = await told.read(60, project=BLOG)
    assert isinstance(found, Reading)
    assert found.complete_until == after(20)


async def test_of_two_drains_that_carry_a_project_the_one_that_lives_counts() -> None:
    told = await a_busy_minute()
    await told.hear(5, at=6, stream="old")
    await told.hear(59.9, at=60)
    assert (await told.reading(60)).complete_until == after(40)


# Windows


@pytest.mark.parametrize(("since", "first"), [(0.0, 0), (0.001, 10), (10.0, 10), (19.0, 20)])
async def test_a_bucket_that_was_begun_before_is_not_counted_in_part(since: float, first: int) -> None:
    reading = await (await a_busy_minute()).reading(60, since=since)
    assert reading.samples[0].start == after(first)


@pytest.mark.parametrize("since", [35.0, 40.0, 60.0])
async def test_without_a_whole_bucket_the_watermark_stays(since: float) -> None:
    reading = await (await a_busy_minute()).reading(60, since=since)
    assert (list(reading.samples), reading.complete_until) == ([], after(since))


async def test_what_is_further_back_than_the_bound_is_never_read() -> None:
    told = Told(lookback_max=timedelta(minutes=1))
    for at in range(0, 300, 10):
        await told.count(at, 1)
    await told.hear(300, at=300)
    reading = await told.reading(300)
    assert (reading.samples[0].start, reading.complete_until) == (after(220), after(280))


async def test_nothing_from_before_the_first_receiver_is_spoken_for() -> None:
    told = await a_busy_minute()
    # Some late entries of that time came all the same, and nobody knows how many did not.
    await told.count(-10, 3, errors=3)
    await told.add(at=60)
    reading = await told.reading(60, since=-600)
    assert reading.samples[0].start == after(0)
    assert reading.covered == 1.0


async def test_each_project_is_read_from_its_own_watermark_in_one_go() -> None:
    told = await a_busy_minute()
    await told.hear(59.9, at=60, project=BLOG)
    wanted = [Wanted(SHOP, after(20)), Wanted(BLOG, after(0)), Wanted(ProjectId("prj_unknown"), after(0))]
    readings = await told.source.collect(wanted, now=after(60))
    found = {project: reading for project, reading in readings.items() if isinstance(reading, Reading)}
    assert {project: len(reading.samples) for project, reading in found.items()} == {SHOP: 2, BLOG: 0, "prj_unknown": 0}
    assert found[ProjectId("prj_unknown")].complete_until == after(0)


# Silence


async def test_without_any_receiver_nothing_is_known() -> None:
    found = await Told().read(60)
    assert isinstance(found, Unavailable)
    assert "drain.secret_files" in str(found)
    assert found.reason is SignalReason.UNREACHABLE


@pytest.mark.parametrize(("age", "is_alive"), [(60.0, True), (60.001, False)])
async def test_a_receiver_without_a_sign_of_life_is_not_running(age: float, *, is_alive: bool) -> None:
    assert timedelta(seconds=60) == ALIVE_WITHIN
    told = await a_busy_minute()
    found = await told.read(60 + age)
    assert isinstance(found, Reading) is is_alive
    if not is_alive:
        assert isinstance(found, Unavailable)
        assert "no sign of life for 60 s" in str(found)


@pytest.mark.parametrize(("silence", "is_heard"), [(300.0, True), (300.001, False)])
async def test_a_drain_that_delivers_nothing_at_all_is_broken_and_not_healthy(
    silence: float, *, is_heard: bool
) -> None:
    told = await a_busy_minute()
    await told.add(at=60 + silence)
    found = await told.read(60 + silence)
    assert isinstance(found, Reading) is is_heard
    if not is_heard:
        assert isinstance(found, Unavailable)
        assert "drain team delivered nothing for 300 s" in str(found)


@pytest.mark.parametrize(("age", "is_patient"), [(300.0, True), (301.0, False)])
async def test_a_project_that_no_drain_ever_spoke_of_is_told(age: float, *, is_patient: bool) -> None:
    told = Told()
    await told.hear(age - 1, at=age, project=BLOG)
    found = await told.read(age)
    if is_patient:
        assert found == Reading("log_drain", (), after(0))
    else:
        assert isinstance(found, Unavailable)
        assert "add it to a drain" in str(found)


async def test_it_sees_again_once_the_drain_delivers() -> None:
    told = await a_busy_minute()
    await told.add(at=1000)
    assert isinstance(await told.read(1000), Unavailable)
    await told.count(990, 5)
    await told.hear(1009, at=1020)
    reading = await told.reading(1020, since=50)
    assert [one.start for one in reading.samples] == [after(50), after(990)]
    assert reading.complete_until == after(1000)


async def test_a_store_that_fails_is_the_entry_of_each() -> None:
    class Broken(MemoryBuckets):
        async def standing(self) -> None:
            raise StoreUnavailable("cannot read: disk I/O error")

    source = LogDrain(LogDrainSettings(), Broken())
    wanted = [Wanted(SHOP, START), Wanted(BLOG, START)]
    readings = await source.collect(wanted, now=START)
    assert [type(one) for one in readings.values()] == [StoreUnavailable, StoreUnavailable]


async def test_nobody_wanted_is_nobody_read() -> None:
    assert dict(await Told().source.collect([], now=START)) == {}


# Gaps


def a_gap(start: float, end: float, reason: GapReason = GapReason.OVERFLOW, project: ProjectId | None = None) -> Gap:
    return Gap(after(start), after(end), reason, project)


@pytest.mark.parametrize(
    ("gap", "left"),
    [
        (a_gap(-60, -1), [0, 10, 20, 30]),
        (a_gap(0, 0), [10, 20, 30]),
        (a_gap(9.9, 9.9), [10, 20, 30]),
        (a_gap(10, 10), [20, 30]),
        (a_gap(29.9, 29.9), [30]),
        (a_gap(30, 30), [0]),
        (a_gap(35, 50), [0]),
    ],
    ids=str,
)
async def test_buckets_that_something_was_missed_in_are_left_out(gap: Gap, left: list[int]) -> None:
    """What arrives may be `lag` old, here 20 s: so far back reaches what a gap took."""
    told = await a_busy_minute()
    await told.add(at=60, gaps=[gap])
    reading = await told.reading(60)
    assert [one.start for one in reading.samples] == [after(one) for one in left]
    last = left[-1] + 10
    assert reading.complete_until == after(last)
    assert reading.covered == pytest.approx(len(left) * 10 / last)


REASONS = {
    GapReason.OVERFLOW: SignalReason.OVERFLOWING,
    GapReason.UNREADABLE: SignalReason.SCHEMA_DRIFT,
    GapReason.RESTART: SignalReason.NOT_POLLED,
}


@pytest.mark.parametrize("reason", list(GapReason))
async def test_while_everything_is_missed_in_part_there_is_no_reading(reason: GapReason) -> None:
    told = await a_busy_minute()
    await told.add(at=60, gaps=[a_gap(0, 10, GapReason.RESTART), a_gap(15, 55, reason)])
    found = await told.read(60)
    assert isinstance(found, Unintelligible)
    assert found.reason is REASONS[reason]
    assert "12:00:55" in str(found)


async def test_a_gap_that_is_over_is_passed_and_counted_as_not_covered() -> None:
    told = await a_busy_minute()
    await told.add(at=60, gaps=[a_gap(35, 45)])
    first = await told.reading(60)
    assert first.complete_until == after(10)
    assert isinstance(await told.read(60, since=10), Unintelligible)
    for at in (60, 70, 80):
        await told.count(at, 10)
    await told.hear(99, at=100)
    second = await told.reading(100, since=10)
    assert [one.start for one in second.samples] == [after(50), after(60), after(70)]
    assert (second.complete_until, second.covered) == (after(80), pytest.approx(3 / 7))


async def test_a_gap_of_one_project_touches_no_other() -> None:
    told = await a_busy_minute()
    await told.hear(59.9, at=60, project=BLOG)
    await told.add(at=60, gaps=[a_gap(0, 60, GapReason.UNREADABLE, BLOG)])
    assert (await told.reading(60)).covered == 1.0
    assert isinstance(await told.read(60, project=BLOG), Unintelligible)


@pytest.mark.parametrize("reason", [GapReason.OVERFLOW, GapReason.UNREADABLE])
async def test_a_drain_whose_every_batch_is_turned_away_is_not_called_silent(reason: GapReason) -> None:
    told = await a_busy_minute()
    await told.add(at=500, gaps=[a_gap(60, 500, reason)])
    found = await told.read(500)
    assert isinstance(found, Unintelligible)
    assert found.reason is REASONS[reason]


async def test_a_drain_that_was_turned_away_long_ago_and_then_fell_silent_is_called_silent() -> None:
    told = await a_busy_minute()
    await told.add(at=501, gaps=[a_gap(60, 200)])
    assert isinstance(await told.read(500), Unintelligible)
    assert isinstance(await told.read(501), Unavailable)


# Settings


@pytest.mark.parametrize(
    "change",
    [
        {"sampling_rate": 0},
        {"sampling_rate": 1.01},
        {"lag": timedelta(seconds=4)},
        {"lag": timedelta(minutes=11)},
        {"lookback_max": timedelta(seconds=59)},
        {"lookback_max": timedelta(minutes=61)},
        {"silence_max": timedelta(seconds=59)},
        {"unknown": 1},
    ],
)
def test_settings_out_of_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LogDrainSettings(**change)


def test_a_sample_is_as_long_as_a_bucket() -> None:
    assert timedelta(seconds=10) == BUCKET
    assert ErrorRateSample(GOOD, START, START + BUCKET, 1, 0).end == after(10)


# By route


async def test_wanted_routes_add_up_to_their_bucket_and_are_the_same_in_all_of_them() -> None:
    told = await a_busy_minute()
    pay = RouteCount(SHOP, GOOD, after(10), route="/pay", status_class=5, requests=3)
    many = [replace(pay, route=f"/{number}", status_class=2, requests=2) for number in range(20)]
    await told.add(at=61, counts=[pay, replace(pay, status_class=2, requests=4), *many, replace(pay, deployment=BAD)])
    await told.add(at=61, counts=[RouteCount(BLOG, GOOD, after(0), route="/blog", status_class=2, requests=5)])
    await told.hear(59, at=61, project=BLOG)
    wanted = [Wanted(SHOP, START, wants_routes=True), Wanted(BLOG, START)]
    shop, blog = (await told.source.collect(wanted, now=after(60))).values()
    assert isinstance(shop, Reading)
    assert isinstance(blog, Reading)
    good = {one.start: one for one in shop.samples if one.deployment == GOOD}
    assert [(one.requests, one.errors) for one in good.values()] == [(10, 1), (57, 4), (10, 1), (10, 1)]
    assert good[after(10)].routes[:2] == (RouteCounts("/", 10, 1), RouteCounts("/pay", 7, 3))
    assert good[after(10)].routes[-1] == RouteCounts("(other)", 24, 0)
    assert [one.route for one in good[after(0)].routes] == [one.route for one in good[after(10)].routes][:-1]
    assert [one.routes for one in shop.samples if one.deployment == BAD] == [(RouteCounts("/pay", 3, 3),)]
    assert [(one.requests, one.routes) for one in blog.samples] == [(5, ())]


async def test_routes_that_nobody_wants_are_not_read() -> None:
    class Counting(MemoryBuckets):
        async def routes(self, project: ProjectId, *, start: datetime, end: datetime) -> list[RouteCount]:
            raise AssertionError(f"the routes of {project} are asked for")

    told = await a_busy_minute()
    told.buckets.routes = Counting().routes  # type: ignore[method-assign]
    assert len((await told.reading(60)).samples) == 4


# What is excluded


async def test_routes_that_are_excluded_are_no_requests_and_no_errors() -> None:
    told = await a_busy_minute()
    source = LogDrainSettings().open(told.buckets, Exclusions(routes=("/api/*",)))
    noisy = RouteCount(SHOP, GOOD, after(10), route="/api/health", status_class=5, requests=30)
    shared = replace(noisy, route="(other)", status_class=4, requests=7)
    await told.add(at=61, counts=[noisy, replace(noisy, deployment=BAD), shared])
    readings = await source.collect([Wanted(SHOP, START), Wanted(BLOG, START)], now=after(60))
    reading = readings[SHOP]
    assert isinstance(reading, Reading)
    assert [(one.deployment, one.requests, one.errors) for one in reading.samples] == [
        (GOOD, 10, 1),
        (GOOD, 17, 1),
        *[(GOOD, 10, 1)] * 2,
    ]
    assert reading.complete_until == after(40)
    assert all(one.routes == () for one in reading.samples)
