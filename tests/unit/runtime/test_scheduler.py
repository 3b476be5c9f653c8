"""The bell: real APScheduler, tens of milliseconds of real time, and a watchdog that tests move by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from daemon.ports.clock import Clock
from daemon.runtime.clock import SystemClock
from daemon.runtime.scheduler import Bell
from tests.fakes.clock import VirtualClock, settle

SOON = 0.01
NEVER = 3600.0
PATIENCE_SECONDS = 5.0


class Ring:
    """Counts how often it is rung. `gate` holds rings up; `bug` is raised by each."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = 0
        self.cancelled = 0
        self.at_once = 0
        self.at_once_most = 0
        self.gate: asyncio.Event | None = None
        self.bug: Exception | None = None
        self.rung = asyncio.Event()

    async def __call__(self) -> None:
        """Be rung."""
        self.count += 1
        self.at_once += 1
        self.at_once_most = max(self.at_once_most, self.at_once)
        self.rung.set()
        try:
            if self.gate:
                await self.gate.wait()
            if self.bug:
                raise self.bug
            self.ended += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1

    async def until(self, count: int) -> None:
        """Wait until it was rung *count* times."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count < count:
                self.rung.clear()
                await self.rung.wait()


@asynccontextmanager
async def a_bell(ring: Ring, *, interval_seconds: float = SOON, clock: Clock | None = None) -> AsyncIterator[Bell]:
    bell = Bell(ring, interval_seconds=interval_seconds, clock=clock or SystemClock())
    bell.start()
    try:
        yield bell
    finally:
        await bell.stop(grace_seconds=0)


def delay_next_ring(bell: Bell) -> None:
    """Do to the scheduler what a wall clock does that steps back: its next ring lies far ahead."""
    scheduler: AsyncIOScheduler = bell._scheduler
    scheduler.modify_job("poll", next_run_time=datetime(2100, 1, 1, tzinfo=UTC))


async def test_it_rings_at_once_and_then_every_interval() -> None:
    ring = Ring()
    async with a_bell(ring, interval_seconds=NEVER):
        await ring.until(1)
    ring = Ring()
    async with a_bell(ring):
        await ring.until(4)


async def test_a_ring_that_still_runs_is_not_rung_over() -> None:
    ring, clock = Ring(), SystemClock()
    ring.gate = asyncio.Event()
    async with a_bell(ring):
        await ring.until(1)
        await clock.sleep(5 * SOON)
        assert ring.count == 1
        ring.gate.set()
        await ring.until(3)
    assert ring.at_once_most == 1


async def test_a_ring_that_fails_is_rung_again() -> None:
    ring = Ring()
    ring.bug = ZeroDivisionError("a bug")
    async with a_bell(ring):
        await ring.until(3)


@pytest.mark.parametrize(("silence", "is_rearmed"), [(2.999, False), (3.0, True), (3.001, True)])
async def test_after_three_silent_intervals_it_is_armed_again(silence: float, is_rearmed: bool) -> None:
    ring, clock = Ring(), VirtualClock()
    async with a_bell(ring, interval_seconds=NEVER, clock=clock) as bell:
        await ring.until(1)
        await settle()
        delay_next_ring(bell)
        clock.jump(silence * NEVER)
        assert bell.rearm_if_silent() is is_rearmed
        if is_rearmed:
            await ring.until(2)
    assert ring.count == 1 + is_rearmed


async def test_a_ring_that_takes_long_is_not_silence() -> None:
    ring, clock = Ring(), VirtualClock()
    ring.gate = asyncio.Event()
    async with a_bell(ring, interval_seconds=NEVER, clock=clock) as bell:
        await ring.until(1)
        clock.jump(10 * NEVER)
        assert not bell.rearm_if_silent()
        ring.gate.set()
        await settle()
        assert not bell.rearm_if_silent(), "the silence begins when the ring ends"


async def test_I_10_the_watchdog_notices_silence_by_itself() -> None:
    ring, clock = Ring(), VirtualClock()
    async with a_bell(ring, interval_seconds=NEVER, clock=clock) as bell, asyncio.TaskGroup() as group:
        await ring.until(1)
        watching = group.create_task(bell.watch())
        delay_next_ring(bell)
        await clock.advance(2 * NEVER)
        assert ring.count == 1
        await clock.advance(NEVER)
        await ring.until(2)
        watching.cancel()


async def test_stopping_lets_a_running_ring_end() -> None:
    ring = Ring()
    ring.gate = asyncio.Event()
    bell = Bell(ring, interval_seconds=SOON, clock=SystemClock())
    bell.start()
    await ring.until(1)
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(bell.stop(grace_seconds=PATIENCE_SECONDS))
        await settle()
        assert not stopping.done()
        ring.gate.set()
    await settle()
    assert (ring.ended, ring.cancelled) == (1, 0)


async def test_a_ring_that_takes_longer_than_the_grace_is_cancelled() -> None:
    ring = Ring()
    ring.gate = asyncio.Event()
    bell = Bell(ring, interval_seconds=SOON, clock=SystemClock())
    bell.start()
    await ring.until(1)
    await bell.stop(grace_seconds=SOON)
    await settle()
    assert (ring.ended, ring.cancelled) == (0, 1)


async def test_after_stopping_it_rings_no_more() -> None:
    ring, clock = Ring(), SystemClock()
    bell = Bell(ring, interval_seconds=SOON, clock=clock)
    bell.start()
    await ring.until(2)
    await bell.stop(grace_seconds=PATIENCE_SECONDS)
    count = ring.count
    await clock.sleep(5 * SOON)
    assert ring.count == count


def test_time_that_runs_faster_rings_more_often() -> None:
    def interval(factor: float) -> timedelta:
        return Bell(Ring(), interval_seconds=60, clock=VirtualClock(), real_seconds_per_second=factor)._real_interval

    assert (interval(1.0), interval(0.1)) == (timedelta(seconds=60), timedelta(seconds=6))


async def test_another_interval_counts_at_once_and_the_same_one_changes_nothing() -> None:
    ring = Ring()
    async with a_bell(ring, interval_seconds=NEVER) as bell:
        await ring.until(1)
        bell.change_interval(NEVER)
        bell.change_interval(SOON)
        await ring.until(4)
        assert bell.interval_seconds == SOON


async def test_an_interval_that_changes_before_the_first_ring_is_the_one_it_begins_with() -> None:
    ring = Ring()
    bell = Bell(ring, interval_seconds=NEVER, clock=SystemClock())
    bell.change_interval(SOON)
    bell.start()
    await ring.until(3)
    await bell.stop(grace_seconds=0)
