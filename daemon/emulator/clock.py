"""The emulated time: the only place of the emulator that reads a real clock."""

import asyncio
import time
from typing import Protocol


class EmulatorClock(Protocol):
    """Where the emulated world gets its time from."""

    def now_ms(self) -> int:
        """Return the emulated instant as milliseconds since the Unix epoch; it never goes backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let *seconds* of emulated time pass."""
        ...


class WallClock:
    """Monotonic time scaled by a factor, anchored at an epoch: factor 20 is twenty emulated seconds a real second."""

    def __init__(self, factor: float = 1.0, epoch_ms: int | None = None) -> None:
        """Anchor at *epoch_ms* (milliseconds since the Unix epoch); None means the wall time of this call."""
        if factor <= 0:
            raise ValueError(f"clock factor {factor} must be above 0")
        self.factor = factor
        self._epoch_ms = time.time_ns() // 1_000_000 if epoch_ms is None else epoch_ms
        self._started_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the emulated instant in milliseconds since the Unix epoch."""
        elapsed_ms = (time.monotonic_ns() - self._started_ns) / 1_000_000
        return self._epoch_ms + int(elapsed_ms * self.factor)

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds* of emulated time, which are ``seconds / factor`` real ones."""
        await asyncio.sleep(seconds / self.factor)


class ManualClock:
    """A clock that stands still until it is told to move, for tests and simulation."""

    DEFAULT_EPOCH_MS = 1_795_291_200_000  # 2026-11-21T20:00:00Z, a full hour

    def __init__(self, epoch_ms: int = DEFAULT_EPOCH_MS) -> None:
        """Start at *epoch_ms*, in milliseconds since the Unix epoch."""
        self._now_ms = epoch_ms

    def now_ms(self) -> int:
        """Return the emulated instant in milliseconds since the Unix epoch."""
        return self._now_ms

    def advance(self, seconds: float) -> int:
        """Move *seconds* forward and return the new instant; a negative step is a ValueError."""
        if seconds < 0:
            raise ValueError(f"a clock cannot go back by {-seconds} s")
        self._now_ms += round(seconds * 1000)
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        """Advance instead of waiting: nobody else can move this clock meanwhile."""
        self.advance(seconds)
