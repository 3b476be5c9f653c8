"""The fakes do what they say: what a test believes of the world is true."""

import asyncio
from datetime import datetime, timedelta

import pytest

from daemon.core.command import Notify, Severity
from daemon.core.facts import AliasJobStatus, IncidentId, Instant
from daemon.ports.errors import OutcomeUnknown, StoreUnavailable, Unavailable
from daemon.ports.source import Reading, Wanted
from tests.builders import BAD, GOOD, PROJECT, START
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.hosting import Answer, FakeHosting
from tests.fakes.notifier import FakeNotifier
from tests.fakes.source import FakeSource
from tests.fakes.store import FaultyStore


async def roll_back(hosting: FakeHosting) -> None:
    await hosting.roll_back(PROJECT, target=GOOD.id, description="30 %")


async def test_time_passes_sleeper_by_sleeper_each_waking_at_its_own_time() -> None:
    clock = VirtualClock()
    woken: list[tuple[float, str]] = []

    async def tick(name: str, seconds: float) -> None:
        for _ in range(3):
            await clock.sleep(seconds)
            woken.append((clock.monotonic(), name))

    async with asyncio.TaskGroup() as group:
        group.create_task(tick("a", 2))
        group.create_task(tick("b", 3))
        await clock.advance(10)
    assert woken == [(2, "a"), (3, "b"), (4, "a"), (6, "b"), (6, "a"), (9, "b")]
    assert clock.monotonic() == 10


async def test_a_jump_wakes_late_and_all_at_once() -> None:
    clock = VirtualClock()
    async with asyncio.TaskGroup() as group:
        sleepers = [group.create_task(clock.sleep(seconds)) for seconds in (1, 2, 6)]
        await settle()
        clock.jump(5)
        await settle()
        assert [sleeper.done() for sleeper in sleepers] == [True, True, False]
        await clock.advance(1)


async def test_a_rollback_moves_production_after_a_while_and_ends_its_job() -> None:
    clock = VirtualClock()
    hosting = FakeHosting(clock, serving=BAD, move_seconds=3)
    await roll_back(hosting)
    for seconds, serving, status in (
        (0, BAD, AliasJobStatus.IN_PROGRESS),
        (2.9, BAD, AliasJobStatus.IN_PROGRESS),
        (0.1, GOOD, AliasJobStatus.SUCCEEDED),
    ):
        clock.jump(seconds)
        production = await hosting.read_production(PROJECT)
        assert production.alias_job is not None
        assert (production.deployment, production.alias_job.status) == (serving, status)
        assert (production.alias_job.from_deployment, production.alias_job.to_deployment) == (BAD.id, GOOD.id)
    assert (hosting.sent, hosting.applied) == ([GOOD.id], [GOOD.id])


@pytest.mark.parametrize("is_applied", [True, False])
async def test_an_answer_may_be_lost_with_or_without_the_effect(is_applied: bool) -> None:
    hosting = FakeHosting(VirtualClock(), serving=BAD, move_seconds=0)
    hosting.answers.append(Answer(OutcomeUnknown("timed out"), is_applied=is_applied))
    with pytest.raises(OutcomeUnknown):
        await roll_back(hosting)
    assert (await hosting.read_production(PROJECT)).deployment == (GOOD if is_applied else BAD)
    assert len(hosting.sent) == 1


async def test_a_read_is_as_old_as_its_beginning() -> None:
    hosting = FakeHosting(VirtualClock(), serving=GOOD)

    async def release() -> None:
        hosting.release(BAD)

    hosting.before_read = release
    assert (await hosting.read_production(PROJECT)).deployment == GOOD
    assert (await hosting.read_production(PROJECT)).deployment == BAD


async def test_troubles_are_raised_one_each_in_order() -> None:
    hosting = FakeHosting(VirtualClock())
    hosting.read_troubles.extend([None, Unavailable("503")])
    hosting.list_troubles.append(Unavailable("503"))
    assert (await hosting.read_production(PROJECT)).deployment == GOOD
    with pytest.raises(Unavailable):
        await hosting.read_production(PROJECT)
    with pytest.raises(Unavailable):
        await hosting.list_targets(PROJECT)
    assert await hosting.list_targets(PROJECT) == hosting.targets


async def read(source: FakeSource, since: datetime, clock: VirtualClock) -> Reading:
    readings = await source.collect([Wanted(PROJECT, since)], now=clock.now())
    reading = readings[PROJECT]
    assert isinstance(reading, Reading)
    return reading


async def test_the_source_counts_whole_buckets_of_what_served_when_each_began() -> None:
    clock = VirtualClock()
    hosting = FakeHosting(clock)
    source = FakeSource(hosting, ratios={BAD.id: 0.25})
    clock.jump(60)
    hosting.release(BAD)
    clock.jump(59)
    reading = await read(source, START, clock)
    counts = [(sample.deployment, sample.requests, sample.errors) for sample in reading.samples]
    assert counts == [(GOOD.id, 100, 0), (GOOD.id, 100, 0), (BAD.id, 100, 25)]
    assert reading.complete_until == START + timedelta(seconds=90)


async def test_the_source_reaches_back_half_an_hour_and_never_tells_a_bucket_twice() -> None:
    clock = VirtualClock()
    source = FakeSource(FakeHosting(clock))
    first = await read(source, START - timedelta(hours=5), clock)
    assert len(first.samples) == 60
    again = await read(source, first.complete_until, clock)
    assert (again.samples, again.complete_until) == ([], first.complete_until)


async def test_the_notifier_remembers_and_fails_as_told() -> None:
    notifier = FakeNotifier()
    notifier.troubles.append(Unavailable("slack is down"))
    message = Notify(IncidentId("inc_1"), Severity.PAGE, "shop: escalated", "look")
    with pytest.raises(Unavailable):
        await notifier.notify(PROJECT, message)
    await notifier.notify(PROJECT, message)
    assert (notifier.told, notifier.pages, notifier.titles) == ([message], [message], ["shop: escalated"])


async def test_a_broken_store_writes_nothing_and_works_again_when_it_is_mended() -> None:
    store = FaultyStore()
    lease = await store.take_lease("one", now=START, ttl_seconds=45)

    async def commit() -> None:
        await store.commit(
            PROJECT,
            expected_version=0,
            lease=lease,
            entries=[],
            state="{}",
            commands=[],
            taken_requests=[],
            moment=Instant(START, 0.0),
        )

    store.broken = {"commit"}
    with pytest.raises(StoreUnavailable):
        await commit()
    assert (await store.load(PROJECT), store.commits) == (None, 0)
    store.broken = set()
    await commit()
    assert store.commits == 1
