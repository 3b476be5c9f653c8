"""The only readers of the system's clock and of its randomness."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        await asyncio.sleep(seconds)


class ScaledClock:
    """Time that runs *factor* times faster, for the demo and for tests against an emulator with the same factor.

    It stood at *epoch* when the system's monotonic clock showed *started* seconds (None: now), so that several
    processes of one machine can share it.
    """

    def __init__(self, factor: float, *, epoch: datetime | None = None, started: float | None = None) -> None:
        if factor <= 0:
            raise ValueError(f"clock factor {factor} must be above 0")
        self.factor = factor
        self._epoch = epoch or datetime.now(UTC)
        self._started = time.monotonic() if started is None else started

    def now(self) -> datetime:
        """Return the scaled wall time, aware, in UTC."""
        return self._epoch + timedelta(seconds=self._scaled())

    def monotonic(self) -> float:
        """Return scaled seconds on a clock that never steps back."""
        return self._scaled()

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of scaled time."""
        await asyncio.sleep(seconds / self.factor)

    def _scaled(self) -> float:
        return (time.monotonic() - self._started) * self.factor


class RandomIds:
    """Ids that nobody else has."""

    def fresh(self, prefix: str) -> str:
        """Return a random id beginning with *prefix* and an underscore."""
        return f"{prefix}_{uuid.uuid4().hex}"
