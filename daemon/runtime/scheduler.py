"""APScheduler rings the bell, nothing else: one job per poller, and a monotonic watchdog beside it.

APScheduler reads the wall clock: after it steps back an hour, no job runs for an hour. The watchdog sees that no bell
rang for too long on the monotonic clock, and arms the job again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from daemon.ports.clock import Clock

_SILENT_INTERVALS_MAX = 3

log = structlog.get_logger()


class Bell:
    """Rings *ring* every *interval_seconds* of *clock*; a ring that still runs is not rung over."""

    def __init__(
        self,
        ring: Callable[[], Awaitable[None]],
        *,
        interval_seconds: float,
        clock: Clock,
        real_seconds_per_second: float = 1.0,
    ) -> None:
        self._ring = ring
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._real_seconds_per_second = real_seconds_per_second
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._last_rung = clock.monotonic()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def interval_seconds(self) -> float:
        """The time between two rings, on the clock."""
        return self._interval_seconds

    @property
    def _real_interval(self) -> timedelta:
        return timedelta(seconds=self._interval_seconds * self._real_seconds_per_second)

    def change_interval(self, seconds: float) -> None:
        """Ring every *seconds* of the clock from now on; a ring that runs is not disturbed."""
        if seconds == self._interval_seconds:
            return
        self._interval_seconds = seconds
        if self._scheduler.running:
            self._scheduler.reschedule_job("poll", trigger=self._trigger())

    def _trigger(self) -> IntervalTrigger:
        return IntervalTrigger(seconds=self._real_interval.total_seconds(), timezone=UTC)

    def start(self) -> None:
        """Begin to ring, the first time at once."""
        self._scheduler.add_job(
            self._ring_once,
            self._trigger(),
            id="poll",
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    async def stop(self, *, grace_seconds: float) -> None:
        """Ring no more; a ring that runs may end within *grace_seconds* of real time, then it is cancelled."""
        self._scheduler.pause()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._idle.wait()
        # Shutting down cancels what still runs, so it comes last.
        self._scheduler.shutdown(wait=False)

    async def watch(self) -> None:
        """Arm the job again whenever the bell has been silent for too long; runs until it is cancelled."""
        while True:
            await self._clock.sleep(self._interval_seconds)
            self.rearm_if_silent()

    def rearm_if_silent(self) -> bool:
        """Arm the job again if no bell rang for three intervals, as after the wall clock stepped back; True if so."""
        silence = self._clock.monotonic() - self._last_rung
        if not self._idle.is_set() or silence < _SILENT_INTERVALS_MAX * self._interval_seconds:
            return False
        log.warning("scheduler.rearmed", silent_seconds=round(silence, 1), summary="the wall clock stepped back?")
        self._scheduler.modify_job("poll", next_run_time=datetime.now(UTC))
        # The scheduler sleeps until the time it computed on the old clock; waking it makes it look again.
        self._scheduler.wakeup()
        return True

    async def _ring_once(self) -> None:
        self._last_rung = self._clock.monotonic()
        self._idle.clear()
        try:
            await self._ring()
        finally:
            self._idle.set()
            self._last_rung = self._clock.monotonic()
