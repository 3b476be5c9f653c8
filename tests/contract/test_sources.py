"""What every Source promises, in one body of tests, over both sources that read Vercel and an emulated Vercel."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from daemon.core.facts import ErrorRateSample
from daemon.ports.errors import RateLimited, Refused, Unavailable, Unintelligible
from daemon.ports.source import Source
from daemon.sources import build_source
from daemon.sources.observability import ObservabilitySettings
from daemon.sources.request_logs import RequestLogsSettings
from daemon.vercel.wire import to_milliseconds
from tests.unit.vercel.emulated import Vercel, emulated

SETTINGS = {
    "observability": ObservabilitySettings(),
    # Enough pages for a count of everything that a test lets happen between two collections.
    "request_logs": RequestLogsSettings(request_pages_max=20, error_pages_max=20),
}
HOBBY = {"team": {"plan": "hobby"}}


@pytest.fixture(params=list(SETTINGS))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def vercel() -> AsyncIterator[Vercel]:
    async with emulated() as vercel:
        yield vercel


def a_source(vercel: Vercel, kind: str, **changes: Any) -> Source:
    return build_source(SETTINGS[kind].model_copy(update=changes), vercel.reader)


Counts = dict[str, tuple[int, int]]


def counted(samples: Iterable[ErrorRateSample]) -> Counts:
    """Requests and errors of each deployment."""
    totals: Counts = {}
    for sample in samples:
        requests, errors = totals.get(sample.deployment, (0, 0))
        totals[sample.deployment] = (requests + sample.requests, errors + sample.errors)
    return totals


def truth(vercel: Vercel, start: datetime, end: datetime) -> Counts:
    """The same of [start, end), as the world itself knows it."""
    totals: Counts = {}
    for row in vercel.world.traffic_of(vercel.world.project("web")).counts.rows:
        if row.key.environment == "production" and to_milliseconds(start) <= row.at_ms < to_milliseconds(end):
            requests, errors = totals.get(row.key.deployment_id, (0, 0))
            totals[row.key.deployment_id] = (requests + 1, errors + (500 <= row.key.http_status <= 599))
    return totals


# What it counts


async def test_the_counts_are_the_worlds_own_up_to_the_watermark(vercel, kind):
    since = vercel.now
    now = vercel.pass_time(200)
    reading = await a_source(vercel, kind).collect(vercel.project, since=since, now=now)
    assert reading.source == kind
    assert since < reading.complete_until <= now
    found = counted(reading.samples)
    assert found == truth(vercel, since, reading.complete_until)
    assert found[vercel.id_of("good")][1] > 0


async def test_collections_that_follow_each_other_count_every_request_once(vercel, kind):
    source, began = a_source(vercel, kind), vercel.now
    watermark, samples = began, []
    for seconds in (7, 31, 64, 59.5, 120, 1):
        now = vercel.pass_time(seconds)
        reading = await source.collect(vercel.project, since=watermark, now=now)
        assert reading.complete_until >= watermark
        watermark = reading.complete_until
        samples += reading.samples
    assert watermark > began
    assert counted(samples) == truth(vercel, began, watermark)


async def test_samples_are_closed_buckets_in_order_of_time_within_the_window(vercel, kind):
    since = vercel.now
    now = vercel.pass_time(250)
    reading = await a_source(vercel, kind).collect(vercel.project, since=since, now=now)
    assert len(reading.samples) >= 2
    assert all(since <= one.start < one.end <= reading.complete_until for one in reading.samples)
    assert all(first.start <= second.start for first, second in pairwise(reading.samples))
    per_bucket = [(one.deployment, one.start) for one in reading.samples]
    assert len(set(per_bucket)) == len(per_bucket)
    assert not any(one.is_sampled for one in reading.samples)


async def test_I_05_each_deployment_answers_for_its_own_requests(vercel, kind):
    since = vercel.now
    vercel.pass_time(60)
    await vercel.rollback.roll_back(vercel.project, target=vercel.id_of("v2"), description="test")
    now = vercel.pass_time(200)
    reading = await a_source(vercel, kind).collect(vercel.project, since=since, now=now)
    found = counted(reading.samples)
    assert set(found) == {vercel.id_of("good"), vercel.id_of("v2")}
    assert found == truth(vercel, since, reading.complete_until)


async def test_preview_traffic_is_not_counted(kind):
    preview = {"requests_per_second": 3, "error_ratio": 1.0}
    traffic = {"requests_per_second": 1, "baseline_error_ratio": 0.0, "preview": preview}
    async with emulated(project={"traffic": traffic}) as vercel:
        since = vercel.now
        reading = await a_source(vercel, kind).collect(vercel.project, since=since, now=vercel.pass_time(200))
        assert sum(one.errors for one in reading.samples) == 0
        assert counted(reading.samples) == truth(vercel, since, reading.complete_until)


async def test_I_02_nobody_asking_gives_no_sample_and_a_watermark_that_ages_no_further_than_the_bound(kind):
    async with emulated(project={"traffic": {"requests_per_second": 0}}) as vercel:
        since, source = vercel.now, a_source(vercel, kind, lookback_max=timedelta(minutes=5))
        for _ in range(4):
            reading = await source.collect(vercel.project, since=since, now=vercel.pass_time(200))
            assert list(reading.samples) == []
            assert reading.complete_until >= since
            since = reading.complete_until
        assert vercel.now - since <= timedelta(minutes=7)


async def test_nothing_is_asked_before_any_time_is_complete(vercel, kind):
    reading = await a_source(vercel, kind).collect(vercel.project, since=vercel.now, now=vercel.now)
    assert (list(reading.samples), reading.complete_until) == ([], vercel.now)
    assert not vercel.world.ledger.entries


async def test_what_is_further_back_than_the_bound_is_never_read(vercel, kind):
    now = vercel.pass_time(400)
    source = a_source(vercel, kind, lookback_max=timedelta(minutes=2))
    reading = await source.collect(vercel.project, since=now - timedelta(days=1), now=now)
    assert reading.complete_until - timedelta(minutes=2) <= min(one.start for one in reading.samples)


@pytest.mark.default_answers
async def test_a_project_without_a_configured_team_is_read_too(kind):
    async with emulated(names_team=False) as vercel:
        since = vercel.now
        reading = await a_source(vercel, kind).collect(vercel.project, since=since, now=vercel.pass_time(200))
        assert counted(reading.samples) == truth(vercel, since, reading.complete_until)


# Trouble


async def collect(vercel: Vercel, kind: str):
    since = vercel.now
    return await a_source(vercel, kind).collect(vercel.project, since=since, now=vercel.pass_time(200))


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after_seconds": 2},
        {"kind": "reset"},
        {"kind": "reset", "when": "after_apply"},
    ],
)
async def test_passing_trouble_is_survived(vercel, kind, fault):
    vercel.fault(**fault, route=kind, count=2)
    assert (await collect(vercel, kind)).samples


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 500}, Unavailable),
        ({"kind": "status", "status": 504}, Unavailable),
        ({"kind": "status", "status": 429, "retry_after_seconds": 300}, RateLimited),
        ({"kind": "status", "status": 401}, Refused),
        ({"kind": "status", "status": 402}, Refused),
        ({"kind": "status", "status": 403}, Refused),
        ({"kind": "status", "status": 404}, Refused),
        ({"kind": "status", "status": 413}, Refused),
        ({"kind": "html"}, Unintelligible),
        ({"kind": "reset"}, Unavailable),
    ],
)
async def test_I_01_lasting_trouble_is_an_error_and_never_a_reading(vercel, kind, fault, error):
    vercel.fault(**fault, route=kind)
    with pytest.raises(error) as caught:
        await collect(vercel, kind)
    assert type(caught.value) is error


async def test_no_collection_ever_asks_a_route_that_changes_something(vercel, kind):
    await collect(vercel, kind)
    assert len(vercel.world.ledger.entries) >= 1
    assert vercel.mutations() == []


# What one of them alone promises


@pytest.mark.default_answers
async def test_observability_without_the_plan_for_it_is_refused_as_payment_required():
    async with emulated(**HOBBY) as vercel:
        with pytest.raises(Refused) as caught:
            await collect(vercel, "observability")
        assert (caught.value.status, caught.value.code) == (402, "payment_required")


async def test_the_request_log_is_read_on_every_plan():
    async with emulated(**HOBBY) as vercel:
        assert (await collect(vercel, "request_logs")).samples


@pytest.mark.parametrize("seconds", [-3600, 60, 3600])
async def test_a_shifted_window_is_no_answer(vercel, seconds):
    vercel.fault(kind="shifted-window", seconds=seconds)
    with pytest.raises(Unintelligible, match="shifted window"):
        await collect(vercel, "observability")


async def test_a_busy_site_gives_a_sample_that_is_exact_for_the_time_that_it_covers():
    async with emulated(project={"traffic": {"requests_per_second": 20, "baseline_error_ratio": 0.2}}) as vercel:
        since = vercel.now
        source = a_source(vercel, "request_logs", request_pages_max=2, error_pages_max=1)
        reading = await source.collect(vercel.project, since=since, now=vercel.pass_time(90))
        assert all(one.is_sampled for one in reading.samples)
        assert sum(one.requests for one in reading.samples) == 100
        begun = reading.samples[0].start
        assert since < begun < reading.complete_until
        assert counted(reading.samples) == truth(vercel, begun, reading.complete_until)
