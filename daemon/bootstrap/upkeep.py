"""What goes on beside the polls: looking at the configuration file, and at which projects the team has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.bootstrap.fleet import Fleet
from daemon.bootstrap.reload import LOOK_EVERY_SECONDS, Reloader
from daemon.engine.rounds import Rounds
from daemon.engine.supervisor import Supervisor
from daemon.ports.clock import Clock


class Upkeep:
    """Keeps the fleet in step with the configuration file and the team; *reloader* is None where there is no file."""

    def __init__(self, fleet: Fleet, reloader: Reloader | None, supervisor: Supervisor, clock: Clock) -> None:
        self._fleet = fleet
        self._reloader = reloader
        self._supervisor = supervisor
        self._clock = clock
        self._listing = Rounds(fleet.discover, every_seconds=0.0, name="projects", clock=clock, supervisor=supervisor)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Keep up while the context lasts."""
        async with asyncio.TaskGroup() as group:
            # Not among the supervisor's tasks, which it waits for when the daemon stops: this one never ends by itself.
            task = group.create_task(self._go_on())
            try:
                yield
            finally:
                task.cancel()

    async def _go_on(self) -> None:
        while True:
            await self._supervisor.guard(self._look(), name="config", on_bug=self._note_bug)
            await self._clock.sleep(LOOK_EVERY_SECONDS)

    async def _look(self) -> None:
        self._fleet.tidy()
        if self._fleet.has_patterns:
            self._listing.every_seconds = self._fleet.discover_every_seconds
            self._listing.begin_when_due()
        if self._reloader:
            await self._reloader.look()

    async def _note_bug(self, error: Exception) -> None:
        if self._reloader:
            await self._reloader.note_bug(error)
