"""What will happen in the emulated world, in order of time."""

import heapq
from collections.abc import Callable

Effect = Callable[[int], None]
"""Something that happens at an instant, given in milliseconds since the epoch."""


class Agenda:
    """A heap of effects. Invariant: effects of the same instant happen in the order in which they were added."""

    def __init__(self) -> None:
        """Begin empty."""
        self._heap: list[tuple[int, int, Effect]] = []
        self._added = 0

    def add(self, at_ms: int, effect: Effect) -> None:
        """Let *effect* happen at *at_ms*."""
        self._added += 1
        heapq.heappush(self._heap, (at_ms, self._added, effect))

    def run_until(self, now_ms: int) -> None:
        """Let everything happen that is due at *now_ms*, each at its own instant."""
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, _, effect = heapq.heappop(self._heap)
            effect(at_ms)
