"""Time and ids, as the only way in which they reach the program."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for waiting and ageing."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back while the process lives."""

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of this clock's time."""


class IdSource(Protocol):
    """Where ids come from."""

    def fresh(self, prefix: str) -> str:
        """Return an id that was never returned before, beginning with *prefix* and an underscore."""
