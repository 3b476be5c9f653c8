"""Owns every background task. A bug in one project's work freezes that project, pages, and spares the others."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger()


class Supervisor:
    """Starts tasks and waits for them. `reraise` hands bugs on, for tests; in production they freeze and page."""

    def __init__(self, *, reraise: bool = False) -> None:
        self._reraise = reraise
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None, "entered before left"
        await self._group.__aexit__(kind, error, trace)

    def start(
        self, work: Coroutine[Any, Any, None], *, name: str, on_bug: Callable[[Exception], Awaitable[None]]
    ) -> None:
        """Run *work* in the background; *on_bug* is told about an exception that nobody expected."""
        assert self._group is not None, "the supervisor is running"
        task = self._group.create_task(self.guard(work, name=name, on_bug=on_bug), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def guard(
        self, work: Coroutine[Any, Any, None], *, name: str, on_bug: Callable[[Exception], Awaitable[None]]
    ) -> None:
        """Run *work* here, with the same care for bugs as a background task."""
        try:
            await work
        except Exception as error:  # the one place that may: a bug must not take the other projects down
            log.exception("bug.caught", task=name, error=repr(error))
            await self._tell_of_bug(on_bug, error, name=name)
            if self._reraise:
                raise

    async def finish(self, *, grace_seconds: float) -> None:
        """Wait for running tasks and what they start, at most *grace_seconds* of real time; cancel what is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        for task in set(self._tasks):
            task.cancel()

    async def _tell_of_bug(
        self, on_bug: Callable[[Exception], Awaitable[None]], error: Exception, *, name: str
    ) -> None:
        """Tell of *error*; a second bug on the way, as in a notifier, must not take the other projects down."""
        try:
            await on_bug(error)
        except Exception as second:
            log.exception("bug.caught", task=f"{name}:on_bug", error=repr(second))
            if self._reraise:
                raise
