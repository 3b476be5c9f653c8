"""What every Source promises, in one body of tests over all kinds, each on an emulated Vercel."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.ports.source import Reading, Source, Wanted
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.vercel.wire import to_milliseconds
from tests.contract.stages import Stage
from tests.contract.stages.log_drain import LogDrainStage
from tests.contract.stages.observability import FineStage, MetricsV1Stage, ObservabilityStage
from tests.contract.stages.prometheus import PrometheusStage
from tests.contract.stages.request_logs import RequestLogsStage
from tests.unit.vercel.emulated import Vercel, emulated

# A new kind adds its class here. Those that read Vercel's API also promise what is said of them below.
READERS_OF_VERCEL: tuple[type[Stage], ...] = (ObservabilityStage, MetricsV1Stage, RequestLogsStage)
STAGES: tuple[type[Stage], ...] = (*READERS_OF_VERCEL, FineStage, LogDrainStage, PrometheusStage)
HOBBY = {"team": {"plan": "hobby"}}
NOBODYS = ProjectId("prj_NobodyKnowsThisOne0000000")


def _kinds(stages: Iterable[type[Stage]]) -> list[Any]:
    names = {stage: stage.__name__.removesuffix("Stage") for stage in stages}
    return [pytest.param(stage, id=name, marks=getattr(stage, "marks", ())) for stage, name in names.items()]


@pytest.fixture(params=_kinds(STAGES))
def stage(request: pytest.FixtureRequest) -> Stage:
    return request.param()


@pytest.fixture(params=_kinds(READERS_OF_VERCEL))
def reader(request: pytest.FixtureRequest) -> Stage:
    return request.param()


@pytest.fixture
async def vercel() -> AsyncIterator[Vercel]:
    async with emulated() as vercel:
        yield vercel


async def read(
    stage: Stage,
    vercel: Vercel,
    source: Source,
    since: datetime,
    *,
    project: ProjectId | None = None,
    is_close_up: bool = False,
) -> Reading:
    """What one collection says of one project, once everything has arrived; raises its trouble."""
    await stage.settle(vercel)
    wanted = Wanted(project or vercel.project, since, is_close_up=is_close_up)
    readings = await source.collect([wanted], now=vercel.now)
    assert list(readings) == [wanted.project]
    entry = readings[wanted.project]
    if isinstance(entry, PortError):
        raise entry
    assert entry.source == stage.kind == source.name
    assert since <= entry.complete_until <= max(since, vercel.now)
    return entry


Counts = dict[str, tuple[int, int]]


def counted(samples: Iterable[ErrorRateSample]) -> Counts:
    """Requests and errors of each deployment."""
    totals: Counts = {}
    for sample in samples:
        requests, errors = totals.get(sample.deployment, (0, 0))
        assert sample.requests is not None
        totals[sample.deployment] = (requests + sample.requests, errors + sample.errors)
    return totals


def truth(
    vercel: Vercel,
    start: datetime,
    end: datetime,
    *,
    project: str = "web",
    exclusions: Exclusions = NOTHING_EXCLUDED,
) -> Counts:
    """The same of [start, end), as the world itself knows it."""
    totals: Counts = {}
    for row in vercel.world.traffic_of(vercel.world.project(project)).counts.rows:
        key = row.key
        is_inside = to_milliseconds(start) <= row.at_ms < to_milliseconds(end)
        if key.environment == "production" and is_inside and key.route not in exclusions.routes:
            requests, errors = totals.get(key.deployment_id, (0, 0))
            is_error = 500 <= key.http_status <= 599 and key.http_status not in exclusions.statuses
            totals[key.deployment_id] = (requests + 1, errors + is_error)
    return totals


def check(stage: Stage, found: Counts, known: Counts) -> None:
    """Compare counts with the world's own."""
    if stage.counts_are_exact:
        assert found == known
        return
    assert set(found) == set(known)
    for deployment, (requests, errors) in known.items():
        assert found[deployment] == (pytest.approx(requests, rel=0.1, abs=5), pytest.approx(errors, rel=0.3, abs=5))


# What it counts


async def test_the_counts_are_the_worlds_own_up_to_the_watermark(vercel, stage):
    source, since = stage.build(vercel), vercel.now
    vercel.pass_time(200)
    reading = await read(stage, vercel, source, since)
    assert since < reading.complete_until <= vercel.now
    found = counted(reading.samples)
    check(stage, found, truth(vercel, since, reading.complete_until))
    assert found[vercel.id_of("good")][1] > 0


@pytest.mark.parametrize(
    ("stage_type", "exclusions"),
    [
        pytest.param(one, exclusions, id=f"{one.kind}-{name}", marks=getattr(one, "marks", ()))
        for one in (ObservabilityStage, MetricsV1Stage, RequestLogsStage, LogDrainStage)
        for name, exclusions in (
            ("routes", Exclusions(routes=("/products/[id]", "/api/cart"))),
            ("statuses", Exclusions(statuses=(503,))),
        )
        if one.kind != "log_drain" or not exclusions.statuses
    ],
)
async def test_what_is_excluded_is_left_out_of_requests_and_errors_alike_and_a_status_of_errors_alone(
    stage_type, exclusions
):
    stage, outage = stage_type(), {"at": "0s", "outage": {"project": "web", "ratio": 0.2, "status": 503}}
    async with emulated(happenings=[outage]) as vercel:
        source, since = stage.build(vercel, exclusions=exclusions), vercel.now
        vercel.pass_time(200)
        reading = await read(stage, vercel, source, since)
        found, until = counted(reading.samples), reading.complete_until
        assert found == truth(vercel, since, until, exclusions=exclusions)
        (everything,), (kept,) = truth(vercel, since, until).values(), found.values()
    assert 0 < kept[1] < everything[1]
    assert (kept[0] == everything[0]) is bool(exclusions.statuses)


@pytest.mark.parametrize("stage_type", [RequestLogsStage, LogDrainStage])
async def test_counts_by_route_are_the_worlds_own(vercel, stage_type):
    stage = stage_type()
    source, since = stage.build(vercel), vercel.now
    vercel.pass_time(200)
    await stage.settle(vercel)
    wanted = Wanted(vercel.project, since, wants_routes=True)
    reading = (await source.collect([wanted], now=vercel.now))[vercel.project]
    found = {}
    for one in (one for sample in reading.samples for one in sample.routes):
        requests, errors = found.get(one.route, (0, 0))
        found[one.route] = (requests + one.requests, errors + one.errors)
    rows = vercel.world.traffic_of(vercel.world.project("web")).counts.rows
    served = [row.key for row in rows if to_milliseconds(since) <= row.at_ms < to_milliseconds(reading.complete_until)]
    assert len(found) > 3
    assert found == {
        route: (
            sum(key.route == route for key in served),
            sum(key.route == route and 500 <= key.http_status <= 599 for key in served),
        )
        for route in {key.route for key in served}
    }


async def test_collections_that_follow_each_other_count_every_request_once(vercel, stage):
    source, began = stage.build(vercel), vercel.now
    watermark, samples = began, []
    for seconds in (7, 31, 64, 59.5, 120, 1):
        vercel.pass_time(seconds)
        reading = await read(stage, vercel, source, watermark)
        watermark = reading.complete_until
        samples += reading.samples
    assert watermark > began
    check(stage, counted(samples), truth(vercel, began, watermark))


@pytest.mark.slow
async def test_looking_closer_for_a_while_counts_every_request_once(vercel, stage):
    source, began = stage.build(vercel), vercel.now
    watermark, samples = began, []
    for number in range(18):
        vercel.pass_time(15)
        reading = await read(stage, vercel, source, watermark, is_close_up=4 <= number < 14)
        watermark = reading.complete_until
        samples += reading.samples
    # What was looked at closely may run ahead of the watermark by part of a minute; once it is over, nothing does.
    vercel.pass_time(180)
    reading = await read(stage, vercel, source, watermark)
    check(stage, counted([*samples, *reading.samples]), truth(vercel, began, reading.complete_until))
    counted_until: dict[str, datetime] = {}
    for one in [*samples, *reading.samples]:
        assert one.is_late or one.start >= counted_until.get(one.deployment, began)
        counted_until[one.deployment] = max(one.end, counted_until.get(one.deployment, began))


async def test_a_reading_that_got_lost_is_given_again(vercel, stage):
    source, began = stage.build(vercel), vercel.now
    vercel.pass_time(200)
    first = await read(stage, vercel, source, began)
    vercel.pass_time(60)
    lost = await read(stage, vercel, source, first.complete_until)
    assert lost.samples
    vercel.pass_time(60)
    again = await read(stage, vercel, source, first.complete_until)
    found = counted([*first.samples, *again.samples])
    check(stage, found, truth(vercel, began, again.complete_until))


async def test_samples_are_in_order_of_time_within_the_window(vercel, stage):
    source, since = stage.build(vercel), vercel.now
    vercel.pass_time(250)
    reading = await read(stage, vercel, source, since)
    assert len(reading.samples) >= 2
    assert all(since <= one.start < one.end <= reading.complete_until for one in reading.samples)
    assert all(first.start <= second.start for first, second in pairwise(reading.samples))
    per_bucket = [(one.deployment, one.start) for one in reading.samples]
    assert len(set(per_bucket)) == len(per_bucket)
    assert not any(one.is_sampled for one in reading.samples)


async def test_I_05_each_deployment_answers_for_its_own_requests(vercel, stage):
    source, since = stage.build(vercel), vercel.now
    vercel.pass_time(60)
    await stage.settle(vercel)
    await vercel.rollback.roll_back(vercel.project, target=vercel.id_of("v2"), description="test")
    vercel.pass_time(200)
    reading = await read(stage, vercel, source, since)
    found = counted(reading.samples)
    assert set(found) == {vercel.id_of("good"), vercel.id_of("v2")}
    check(stage, found, truth(vercel, since, reading.complete_until))


async def test_preview_traffic_is_not_counted(stage):
    preview = {"requests_per_second": 3, "error_ratio": 1.0}
    traffic = {"requests_per_second": 1, "baseline_error_ratio": 0.0, "preview": preview}
    async with emulated(project={"traffic": traffic}) as vercel:
        source, since = stage.build(vercel), vercel.now
        vercel.pass_time(200)
        reading = await read(stage, vercel, source, since)
        assert sum(one.errors for one in reading.samples) == 0
        check(stage, counted(reading.samples), truth(vercel, since, reading.complete_until))


async def test_I_02_nobody_asking_gives_no_sample(stage):
    async with emulated(project={"traffic": {"requests_per_second": 0}}) as vercel:
        source, since = stage.build(vercel), vercel.now
        for _ in range(4):
            vercel.pass_time(200)
            reading = await read(stage, vercel, source, since)
            assert not any(one.requests or one.errors for one in reading.samples)
            since = reading.complete_until


# Several projects in one call


def two_projects(**other: Any) -> dict[str, Any]:
    histories = [
        {"name": name, "domains": [f"{name}.example.com"], "traffic": {"requests_per_second": 1} | traffic}
        | {"deployments": [{"name": f"{name}-good", "age": "20h"}]}
        for name, traffic in (("web", {"baseline_error_ratio": 0.05}), ("shop", {"baseline_error_ratio": 0.2} | other))
    ]
    return {"projects": histories}


async def test_several_projects_in_one_call_get_their_own_counts_each(stage):
    async with emulated(**two_projects()) as vercel:
        ids = {name: ProjectId(vercel.world.project(name).id) for name in ("web", "shop")}
        source, since = stage.build(vercel), vercel.now
        vercel.pass_time(200)
        await stage.settle(vercel)
        readings = await source.collect([Wanted(one, since) for one in ids.values()], now=vercel.now)
        assert set(readings) == set(ids.values())
        for name, project in ids.items():
            reading = readings[project]
            assert isinstance(reading, Reading)
            known = truth(vercel, since, reading.complete_until, project=name)
            assert all(errors > 0 for _, errors in known.values())
            check(stage, counted(reading.samples), known)


async def test_each_project_is_read_from_its_own_watermark_on(stage):
    async with emulated(**two_projects()) as vercel:
        ids = {name: ProjectId(vercel.world.project(name).id) for name in ("web", "shop")}
        source, early = stage.build(vercel), vercel.now
        late = vercel.pass_time(120)
        vercel.pass_time(200)
        await stage.settle(vercel)
        wanted = [Wanted(ids["web"], early), Wanted(ids["shop"], late)]
        readings = await source.collect(wanted, now=vercel.now)
        for (name, project), since in zip(ids.items(), (early, late), strict=True):
            reading = readings[project]
            assert isinstance(reading, Reading)
            known = truth(vercel, since, reading.complete_until, project=name)
            check(stage, counted(reading.samples), known)


async def test_a_project_that_nobody_knows_gives_no_sample_and_touches_no_other(vercel, stage):
    source, since = stage.build(vercel), vercel.now
    vercel.pass_time(200)
    await stage.settle(vercel)
    wanted = [Wanted(NOBODYS, since), Wanted(vercel.project, since)]
    readings = await source.collect(wanted, now=vercel.now)
    assert set(readings) == {NOBODYS, vercel.project}
    unknown, known = readings[NOBODYS], readings[vercel.project]
    assert isinstance(unknown, PortError) or not unknown.samples
    assert isinstance(known, Reading)
    check(stage, counted(known.samples), truth(vercel, since, known.complete_until))


async def test_a_quiet_project_is_no_trouble_for_a_busy_one(stage):
    async with emulated(**two_projects(requests_per_second=0)) as vercel:
        quiet = ProjectId(vercel.world.project("shop").id)
        source, since = stage.build(vercel), vercel.now
        vercel.pass_time(200)
        await stage.settle(vercel)
        readings = await source.collect([Wanted(quiet, since), Wanted(vercel.project, since)], now=vercel.now)
        assert isinstance(readings[quiet], Reading)
        assert not any(one.requests for one in readings[quiet].samples)
        busy = readings[vercel.project]
        assert isinstance(busy, Reading)
        check(stage, counted(busy.samples), truth(vercel, since, busy.complete_until))


async def test_nobody_wanted_is_nobody_read(vercel, stage):
    source = stage.build(vercel)
    vercel.pass_time(200)
    await stage.settle(vercel)
    assert dict(await source.collect([], now=vercel.now)) == {}


# What those promise that read Vercel's API


async def test_nothing_is_asked_before_any_time_is_complete(vercel, reader):
    reading = await read(reader, vercel, reader.build(vercel), vercel.now)
    assert (list(reading.samples), reading.complete_until) == ([], vercel.now)
    assert not vercel.world.ledger.entries


async def test_what_is_further_back_than_the_bound_is_never_read(vercel, reader):
    vercel.pass_time(400)
    source = reader.build(vercel, lookback_max=timedelta(minutes=2))
    reading = await read(reader, vercel, source, vercel.now - timedelta(days=1))
    assert reading.complete_until - timedelta(minutes=2) <= min(one.start for one in reading.samples)


async def test_I_02_an_idle_site_has_a_watermark_that_ages_no_further_than_the_bound(reader):
    async with emulated(project={"traffic": {"requests_per_second": 0}}) as vercel:
        since, source = vercel.now, reader.build(vercel, lookback_max=timedelta(minutes=5))
        for _ in range(4):
            vercel.pass_time(200)
            since = (await read(reader, vercel, source, since)).complete_until
        assert vercel.now - since <= timedelta(minutes=7)


@pytest.mark.default_answers
async def test_a_project_without_a_configured_team_is_read_too(reader):
    async with emulated(names_team=False) as vercel:
        source, since = reader.build(vercel), vercel.now
        vercel.pass_time(200)
        reading = await read(reader, vercel, source, since)
        assert counted(reading.samples) == truth(vercel, since, reading.complete_until)


# Trouble


async def collect(reader: Stage, vercel: Vercel) -> Reading:
    source, since = reader.build(vercel), vercel.now
    vercel.pass_time(200)
    return await read(reader, vercel, source, since)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after_seconds": 2},
        {"kind": "reset"},
        {"kind": "reset", "when": "after_apply"},
    ],
)
async def test_passing_trouble_is_survived(vercel, reader, fault):
    vercel.fault(**fault, route=reader.kind, count=2)
    assert (await collect(reader, vercel)).samples


TROUBLES = [
    ({"kind": "status", "status": 500}, Unavailable, SignalReason.UNREACHABLE),
    ({"kind": "status", "status": 504}, Unavailable, SignalReason.UNREACHABLE),
    ({"kind": "status", "status": 429, "retry_after_seconds": 300}, RateLimited, SignalReason.RATE_LIMITED),
    ({"kind": "status", "status": 401}, Refused, SignalReason.UNAUTHORIZED),
    ({"kind": "status", "status": 402}, Refused, SignalReason.PLAN),
    ({"kind": "status", "status": 403}, Refused, SignalReason.UNAUTHORIZED),
    ({"kind": "status", "status": 404}, Refused, SignalReason.UNAUTHORIZED),
    ({"kind": "status", "status": 413}, Refused, SignalReason.REFUSED),
    ({"kind": "html"}, Unintelligible, SignalReason.SCHEMA_DRIFT),
    ({"kind": "reset"}, Unavailable, SignalReason.UNREACHABLE),
]


@pytest.mark.parametrize(("fault", "error", "reason"), TROUBLES)
async def test_I_01_lasting_trouble_is_an_error_and_never_a_reading(vercel, reader, fault, error, reason):
    vercel.fault(**fault, route=reader.kind)
    with pytest.raises(error) as caught:
        await collect(reader, vercel)
    assert type(caught.value) is error
    assert caught.value.reason is reason


@pytest.mark.parametrize(("fault", "error", "reason"), TROUBLES)
async def test_trouble_with_all_is_the_entry_of_each(reader, fault, error, reason):
    async with emulated(**two_projects()) as vercel:
        wanted = [Wanted(ProjectId(vercel.world.project(name).id), vercel.now) for name in ("web", "shop")]
        source = reader.build(vercel)
        vercel.fault(**fault, route=reader.kind)
        vercel.pass_time(200)
        readings = await source.collect(wanted, now=vercel.now)
        assert [type(readings[one.project]) for one in wanted] == [error, error]
        assert {readings[one.project].reason for one in wanted} == {reason}


async def test_what_was_missed_in_trouble_is_counted_once_it_heals(vercel, reader):
    source, began = reader.build(vercel), vercel.now
    vercel.pass_time(200)
    first = await read(reader, vercel, source, began)
    vercel.fault(kind="html", route=reader.kind)
    vercel.pass_time(60)
    with pytest.raises(Unintelligible):
        await read(reader, vercel, source, first.complete_until)
    vercel.world.faults.clear()
    vercel.pass_time(60)
    healed = await read(reader, vercel, source, first.complete_until)
    found = counted([*first.samples, *healed.samples])
    assert found == truth(vercel, began, healed.complete_until)


async def test_no_collection_ever_asks_a_route_that_changes_something(vercel, reader):
    await collect(reader, vercel)
    assert len(vercel.world.ledger.entries) >= 1
    assert vercel.mutations() == []


# What one of them alone promises


@pytest.mark.default_answers
async def test_observability_without_the_plan_for_it_is_refused_as_payment_required():
    async with emulated(**HOBBY) as vercel:
        with pytest.raises(Refused) as caught:
            await collect(ObservabilityStage(), vercel)
        assert (caught.value.status, caught.value.code) == (402, "payment_required")


async def test_the_request_log_is_read_on_every_plan():
    async with emulated(**HOBBY) as vercel:
        assert (await collect(RequestLogsStage(), vercel)).samples


@pytest.mark.parametrize("seconds", [-3600, 60, 3600])
async def test_a_shifted_window_is_no_answer(vercel, seconds):
    vercel.fault(kind="shifted-window", seconds=seconds)
    with pytest.raises(Unintelligible, match="shifted window") as caught:
        await collect(ObservabilityStage(), vercel)
    assert caught.value.reason is SignalReason.SHIFTED_WINDOW


async def test_a_busy_site_gives_a_sample_that_is_exact_for_the_time_that_it_covers():
    async with emulated(project={"traffic": {"requests_per_second": 20, "baseline_error_ratio": 0.2}}) as vercel:
        stage, since = RequestLogsStage(), vercel.now
        source = stage.build(vercel, request_pages_max=2, error_pages_max=1)
        vercel.pass_time(90)
        reading = await read(stage, vercel, source, since)
        assert all(one.is_sampled for one in reading.samples)
        assert sum(one.requests or 0 for one in reading.samples) == 100
        begun = reading.samples[0].start
        assert since < begun < reading.complete_until
        assert counted(reading.samples) == truth(vercel, begun, reading.complete_until)


# The past


@pytest.mark.parametrize(
    "stage_type",
    [
        pytest.param(one, id=one.__name__, marks=getattr(one, "marks", ()))
        for one in (ObservabilityStage, MetricsV1Stage)
    ],
)
async def test_whole_hours_of_the_past_are_the_worlds_own(stage_type):
    quiet = {"traffic": {"requests_per_second": 0.05, "baseline_error_ratio": 0.05}}
    async with emulated(history="6h", project=quiet) as vercel:
        source = stage_type().build(vercel)
        since = vercel.now - timedelta(hours=24)
        found = (await source.recall([vercel.project, NOBODYS], since=since, now=vercel.now))[vercel.project]
        assert isinstance(found, Reading)
        assert {one.end - one.start for one in found.samples} == {timedelta(hours=1)}
        assert len(found.samples) >= 4
        assert [one.start for one in found.samples] == sorted(one.start for one in found.samples)
        assert vercel.now - found.complete_until >= timedelta(minutes=30), "a first collection begins there"
        assert counted(found.samples) == truth(vercel, since, found.complete_until)


async def test_a_past_that_a_source_does_not_keep_is_no_past_without_errors(vercel, stage):
    since = vercel.now - timedelta(hours=24)
    readings = await stage.build(vercel).recall([vercel.project], since=since, now=vercel.now)
    assert list(readings) == [vercel.project]
    entry = readings[vercel.project]
    assert isinstance(entry, PortError) or all(one.requests for one in entry.samples)
    if stage.kind in ("log_drain", "request_logs"):
        assert isinstance(entry, Unavailable)
