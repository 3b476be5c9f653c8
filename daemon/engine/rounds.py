"""Work that is done every so often in the background of the polls, and never twice at once."""

from collections.abc import Awaitable, Callable

from daemon.engine.supervisor import Supervisor
from daemon.ports.clock import Clock


class Rounds:
    """Does *work* at most every *every_seconds*, from the first time that it is asked to on.

    A bug in it is told by the supervisor, and the next round is tried when it is due.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[None]],
        *,
        every_seconds: float,
        name: str,
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._work = work
        self.every_seconds = every_seconds
        self._name = name
        self._clock = clock
        self._supervisor = supervisor
        self._began: float | None = None
        self._is_running = False

    def begin_when_due(self) -> None:
        """Start a round unless one is under way or the last one began lately."""
        now = self._clock.monotonic()
        if not self._is_running and (self._began is None or now - self._began >= self.every_seconds):
            self._is_running, self._began = True, now
            self._supervisor.start(self._run(), name=self._name, on_bug=self._note_bug)

    async def _run(self) -> None:
        try:
            await self._work()
        finally:
            self._is_running = False

    async def _note_bug(self, _error: Exception) -> None:
        """Leave it at the log: what such work finds out is missed by those who wait for it, and they say so."""
