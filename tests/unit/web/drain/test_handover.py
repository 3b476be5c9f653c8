"""Counts reach the store once, with what was heard and missed; what the store cannot take now is not lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from daemon.ports.buckets import Delivery, Gap, GapReason, Heard
from daemon.ports.drain import EntryOutcome
from daemon.ports.errors import StoreUnavailable
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.web.drain import intake as intake_module
from tests.builders import START
from tests.fakes.clock import VirtualClock, settle
from tests.unit.web.drain.receiving import SHOP, START_MS, STREAM, Reception, an_entry, requests


class MovingBuckets(MemoryBuckets):
    """Buckets that may be out of order for a while, and keep every delivery that they took."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = False
        self.forgets_to_answer = False
        self.taken: list[Delivery] = []
        self.pruned = 0

    async def add(self, delivery: Delivery) -> None:
        if self.is_broken:
            raise StoreUnavailable("cannot add counts in store x: database or disk is full; free space on its disk")
        await super().add(delivery)
        self.taken.append(delivery)
        if self.forgets_to_answer:
            raise StoreUnavailable("cannot add counts in store x: no answer within 15 s")

    async def prune(self, **bounds: object) -> int:
        self.pruned += 1
        if self.is_broken:
            raise StoreUnavailable("cannot prune")
        return await super().prune(**bounds)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def buckets() -> MovingBuckets:
    return MovingBuckets()


@pytest.fixture
async def reception(clock: VirtualClock, buckets: MovingBuckets) -> AsyncIterator[Reception]:
    reception = Reception(clock, buckets=buckets)
    async with reception.client:
        yield reception


# What was counted


async def test_counts_wait_until_they_are_handed_over(reception: Reception, buckets: MovingBuckets) -> None:
    await reception.begin_once()
    await reception.deliver(requests(3))
    assert await buckets.totals(start=START, end=START + timedelta(hours=1)) == []
    assert reception.intake.queued == 3
    assert await reception.counted() == (3, 0)
    assert reception.intake.queued == 0
    assert reception.record.handovers == [(True, 0)]
    assert reception.record.entries[EntryOutcome.COUNTED] == 3


async def test_nothing_is_handed_over_twice(reception: Reception) -> None:
    await reception.deliver(requests(3))
    for _ in range(3):
        assert await reception.counted() == (3, 0)


async def test_it_hands_over_at_each_interval_until_it_is_told_to_stop(
    clock: VirtualClock, buckets: MovingBuckets
) -> None:
    reception = Reception(clock, buckets=buckets, handover_interval=timedelta(seconds=2))
    await reception.begin_once()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(reception.handover.run())
        for number in range(3):
            await reception.deliver(requests(1, first=number))
            await clock.advance(2)
        running.cancel()
    assert [len(one.counts) for one in buckets.taken] == [0, 1, 1, 1]
    assert [one.number for one in buckets.taken] == [1, 2, 3, 4]


async def test_what_is_left_is_handed_over_at_the_end(reception: Reception) -> None:
    await reception.deliver(requests(3))
    await reception.begin_once()
    await reception.handover.finish()
    assert reception.intake.queued == 0


async def test_an_end_does_not_wait_for_a_store_that_takes_nothing(
    reception: Reception, buckets: MovingBuckets
) -> None:
    await reception.begin_once()
    await reception.deliver(requests(3))
    buckets.is_broken = True
    await reception.handover.finish()
    assert reception.intake.queued == 3


async def test_what_is_more_than_one_delivery_may_hold_comes_with_the_next_and_is_not_yet_heard(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twenty thousand routes would make a slow test.
    monkeypatch.setattr(intake_module, "_ROWS_MAX", 2)
    await reception.deliver(an_entry(f"{number}", path=f"/{number}") for number in range(5))
    found = []
    for _ in range(3):
        standing = await reception.standing()
        totals = await reception.buckets.totals(start=START, end=START + timedelta(hours=1))
        found.append((sum(one.requests for one in totals), len(standing.heard)))
    assert found == [(2, 0), (4, 0), (5, 2)]


# A store in trouble


async def test_a_store_that_fails_loses_nothing_and_nothing_counts_twice(
    reception: Reception, buckets: MovingBuckets
) -> None:
    await reception.begin_once()
    await reception.deliver(requests(3))
    buckets.is_broken = True
    assert not await reception.hand_over()
    await reception.deliver(requests(4, first=10))
    assert not await reception.hand_over()
    assert reception.intake.queued == 7
    buckets.is_broken = False
    assert await reception.hand_over()
    assert await reception.counted() == (7, 0)
    assert reception.intake.queued == 0
    assert [is_saved for is_saved, _ in reception.record.handovers] == [False, False, True, True]


async def test_counts_that_were_written_though_the_store_did_not_answer_count_once(
    reception: Reception, buckets: MovingBuckets
) -> None:
    await reception.begin_once()
    await reception.deliver(requests(3))
    buckets.forgets_to_answer = True
    assert not await reception.hand_over()
    buckets.forgets_to_answer = False
    assert await reception.counted() == (3, 0)


async def test_while_the_store_takes_nothing_the_queue_fills_and_then_turns_batches_away(
    clock: VirtualClock, buckets: MovingBuckets
) -> None:
    reception = Reception(clock, buckets=buckets, queue_events_max=1000)
    await reception.begin_once()
    buckets.is_broken = True
    answers = []
    for number in range(15):
        answers.append(await reception.deliver(requests(100, first=100 * number)))
        await reception.hand_over()
    assert answers == [200] * 10 + [503] * 5
    assert reception.intake.queued == 1000
    buckets.is_broken = False
    assert await reception.hand_over()
    assert await reception.counted() == (1000, 0)
    assert await reception.gaps() == [(GapReason.OVERFLOW, None)]
    assert await reception.deliver(requests(100, first=1000)) == 200


async def test_trouble_with_the_store_is_logged_once(reception: Reception, buckets: MovingBuckets) -> None:
    await reception.begin_once()
    buckets.is_broken = True
    with capture_logs() as lines:
        for _ in range(3):
            await reception.hand_over()
        buckets.is_broken = False
        await reception.hand_over()
    assert [line["event"] for line in lines] == ["store.failed"]


async def test_old_counts_are_pruned_once_a_minute_whatever_comes_of_it(
    reception: Reception, clock: VirtualClock, buckets: MovingBuckets
) -> None:
    await reception.begin_once()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(reception.handover.run())
        await clock.advance(59)
        assert buckets.pruned == 0
        await clock.advance(61)
        assert buckets.pruned == 2
        buckets.is_broken = True
        await clock.advance(120)
        assert buckets.pruned == 4
        assert not running.done()
        running.cancel()


# Signs of life


async def test_the_first_sign_of_life_tells_since_when_it_listens(reception: Reception) -> None:
    standing = await reception.standing()
    assert (standing.began, standing.alive, list(standing.gaps)) == (START, START, [])


async def test_every_handover_is_a_sign_of_life_even_an_empty_one(reception: Reception, clock: VirtualClock) -> None:
    await reception.begin_once()
    await clock.advance(30)
    standing = await reception.standing()
    assert (standing.began, standing.alive) == (START, START + timedelta(seconds=30))


async def test_whatever_was_sent_between_two_receivers_is_missed(clock: VirtualClock, buckets: MovingBuckets) -> None:
    await Reception(clock, buckets=buckets).hand_over()
    await clock.advance(45)
    standing = await Reception(clock, buckets=buckets, name="receiver_2").standing()
    assert list(standing.gaps) == [Gap(START, START + timedelta(seconds=45), GapReason.RESTART)]
    assert standing.began == START


async def test_a_clock_that_stepped_back_between_two_receivers_makes_no_gap_from_the_future(
    clock: VirtualClock, buckets: MovingBuckets
) -> None:
    await Reception(clock, buckets=buckets).hand_over()
    clock.step_wall(timedelta(hours=-1))
    standing = await Reception(clock, buckets=buckets, name="receiver_2").standing()
    assert list(standing.gaps) == [Gap(START - timedelta(hours=1), START - timedelta(hours=1), GapReason.RESTART)]


# What was heard


async def test_the_newest_entry_and_the_least_delay_of_a_stream_are_told(
    reception: Reception, clock: VirtualClock
) -> None:
    await clock.advance(10)
    await reception.deliver(requests(2, at_ms=START_MS + 7_000))
    await clock.advance(10)
    await reception.deliver(requests(2, first=10, at_ms=START_MS + 5_000))
    stream = Heard(
        STREAM,
        None,
        START + timedelta(seconds=7),
        START + timedelta(seconds=20),
        delay=timedelta(seconds=3),
    )
    assert list((await reception.standing()).heard) == [stream, replace(stream, project=SHOP)]
    assert reception.record.delays == [3.0, 15.0]


async def test_entries_that_are_not_counted_are_a_sign_of_life_of_their_stream(reception: Reception) -> None:
    await reception.deliver(requests(2, environment="preview"))
    assert [one.project for one in (await reception.standing()).heard] == [None]


async def test_an_entry_from_the_future_makes_no_negative_delay(reception: Reception) -> None:
    await reception.deliver([an_entry(at_ms=START_MS + 30_000)])
    [stream, _] = (await reception.standing()).heard
    assert (stream.newest, stream.delay) == (START + timedelta(seconds=30), timedelta(0))
    assert reception.record.delays == [-30.0]


@pytest.mark.parametrize("at_ms", [-1, -(10**30), START_MS + 600_001, 10**30])
async def test_a_time_that_cannot_be_is_not_heard(reception: Reception, at_ms: int) -> None:
    await reception.deliver([an_entry(at_ms=at_ms)])
    assert list((await reception.standing()).heard) == []


# What was missed


async def test_trouble_that_goes_on_is_one_gap_and_later_trouble_another(
    reception: Reception, clock: VirtualClock
) -> None:
    await reception.begin_once()
    for seconds in (0, 10, 10, 11):
        await clock.advance(seconds)
        reception.intake.note_gap(GapReason.OVERFLOW)
        await reception.hand_over()
    first, second = (await reception.standing()).gaps
    assert (first.start, first.end) == (START, START + timedelta(seconds=20))
    assert (second.start, second.end) == (START + timedelta(seconds=31),) * 2


async def test_a_production_entry_that_cannot_be_used_is_missed_in_its_project_alone(reception: Reception) -> None:
    wrong = {"timestamp": "x"}
    batch = [an_entry("1"), an_entry("2") | wrong, an_entry("3", environment="preview") | wrong, an_entry("4")]
    assert await reception.deliver(batch) == 200
    assert await reception.gaps() == [(GapReason.UNREADABLE, SHOP)]
    assert await reception.counted() == (2, 0)
    assert reception.record.entries[EntryOutcome.UNUSABLE] == 2


async def test_an_entry_that_tells_nothing_of_itself_is_missed_in_all(reception: Reception) -> None:
    await reception.deliver([7])
    assert await reception.gaps() == [(GapReason.UNREADABLE, None)]


async def test_of_very_many_projects_with_trouble_all_are_missed(reception: Reception) -> None:
    await reception.deliver([an_entry(projectId=f"prj_{number}", timestamp="x") for number in range(300)])
    gaps = await reception.gaps()
    assert len(gaps) == 201
    assert (GapReason.UNREADABLE, None) in gaps


# The loop beside it


async def test_between_two_pieces_of_a_large_batch_others_have_their_turn(reception: Reception) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await reception.clock.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as group:
        other = group.create_task(count_turns())
        await settle_once()
        before = turns
        assert await reception.deliver(requests(4000)) == 200
        taken = turns - before
        other.cancel()
    # 4,000 entries of some 450 bytes are seven pieces.
    assert taken >= 7


async def settle_once() -> None:
    """Let what was just started begin."""
    await VirtualClock().sleep(0)


async def test_many_batches_at_once_are_worked_on_one_after_the_other(reception: Reception) -> None:
    async with asyncio.TaskGroup() as group:
        posts = [group.create_task(reception.deliver(requests(700, first=700 * one))) for one in range(6)]
    assert {post.result() for post in posts} == {200}
    await settle()
    assert await reception.counted() == (4200, 0)
