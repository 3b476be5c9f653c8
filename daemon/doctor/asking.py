"""Patience: each question has its bound, all of them together have one, and trouble is an answer."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, Unavailable

QUESTION_SECONDS_MAX = 60.0
ALL_SECONDS_MAX = 300.0
AT_ONCE_MAX = 8
"""Projects that are asked about at the same time: Vercel's limits are shared with the daemon that may be running."""

_Answer = TypeVar("_Answer")


class Patience:
    """Waits for answers. After ALL_SECONDS_MAX nothing further is waited for."""

    def __init__(self, clock: Clock, *, all_seconds_max: float = ALL_SECONDS_MAX) -> None:
        self._clock = clock
        self._ends = clock.monotonic() + all_seconds_max
        self._all_seconds_max = all_seconds_max
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)

    async def ask(self, question: Awaitable[_Answer]) -> _Answer | PortError:
        """Return the answer, or the trouble that came in its place."""
        async with self._slots:
            left = self._ends - self._clock.monotonic()
            try:
                async with asyncio.timeout(max(0.0, min(left, QUESTION_SECONDS_MAX))):
                    return await question
            except TimeoutError:
                if left < QUESTION_SECONDS_MAX:
                    return Unavailable(f"no answer: {self._all_seconds_max:g} s were over; narrow it with --project")
                return Unavailable(f"no answer in {QUESTION_SECONDS_MAX:g} s")
            except PortError as error:
                return error
