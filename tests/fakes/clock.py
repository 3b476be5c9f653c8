"""A clock that stands still until a test moves it, and a way to let everything run that need not wait for it."""

import asyncio
import heapq
import itertools
import types
from collections.abc import Generator
from datetime import datetime, timedelta

from tests.builders import START

_TURNS_MAX = 100_000


class VirtualClock:
    """Time that only `advance` moves. The wall clock can step, as a real one may; the monotonic one cannot."""

    def __init__(self, *, at: datetime = START) -> None:
        self._at = at
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def now(self) -> datetime:
        """Return the wall time."""
        return self._at + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that passed since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until a test has let *seconds* pass."""
        if seconds <= 0:
            return await next_turn()
        bell = asyncio.Event()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), bell))
        await bell.wait()
        return None

    def step_wall(self, step: timedelta) -> None:
        """Let the wall clock jump, as an administrator or NTP might."""
        self._at += step

    def jump(self, seconds: float) -> None:
        """Let *seconds* pass at a stroke, as for a process that stood still: whoever should have woken wakes late."""
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            heapq.heappop(self._sleepers)[2].set()

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, waking sleepers in the order of their time, and let what follows from each run."""
        until = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, bell = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            bell.set()
            await settle()
        self._elapsed = until
        await settle()


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """Let everything else that is ready run once."""
    yield


async def settle() -> None:
    """Let every task run until it waits for time, for a test or for another machine."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await next_turn()
    for _ in range(_TURNS_MAX):
        if not ready:
            return
        await next_turn()
    raise AssertionError(f"something is still busy after {_TURNS_MAX} turns")
