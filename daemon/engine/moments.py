"""Where events get their time: the wall clock beside an elapsed time that goes on across restarts."""

from daemon.core.facts import Instant
from daemon.ports.clock import Clock


class Moments:
    """Stamps events.

    `elapsed` grows with the monotonic clock. After a restart it goes on from the store's newest moment, plus the wall
    time that has passed since, if any: a wall clock that stepped back in between cannot shorten a cooldown.
    """

    def __init__(self, clock: Clock, *, newest: Instant | None = None) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._base = 0.0
        if newest:
            self._base = newest.elapsed + max(0.0, (clock.now() - newest.at).total_seconds())

    def now(self) -> Instant:
        """Return the present moment."""
        return Instant(self._clock.now(), self._base + self._clock.monotonic() - self._started)

    def catch_up(self, saved: Instant) -> None:
        """Go on from *saved* where another daemon's elapsed time was ahead of ours: no age may be negative.

        The wall time since is not counted: it may have stepped while we run.
        """
        self._base += max(0.0, saved.elapsed - self.now().elapsed)
