"""An event loop whose time jumps to the next thing that is due: an hour of everybody's waiting takes a second."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

_Result = TypeVar("_Result")

EPOCH = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where a loop would, the loop's own time moves on instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for somebody else, for ever"
            self.loop.now_seconds += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on virtual time, `asyncio.sleep` and `asyncio.timeout` included. No threads, no sockets."""

    def __init__(self) -> None:
        self.now_seconds = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_seconds


class VirtualClock:
    """The loop's time for both sides: implements `ports.clock.Clock` and the emulator's clock.

    `ahead_seconds` is how far the wall clock of this side goes wrong.
    """

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.monotonic() + self.ahead_seconds)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now_ms(self) -> int:
        return round(EPOCH.timestamp() * 1000) + int(self.monotonic() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251 - this is the port, on the virtual loop


def run_virtually(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run *work* to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
