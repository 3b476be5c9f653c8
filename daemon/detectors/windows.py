"""Counts of one window of time, and of trouble that goes on over several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.core.facts import ErrorRateSample

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Counts of one completed (or still open) window [start, end).

    `requests` is None where a source counted errors alone. `is_sampled`: there were at least so many.
    """

    start: datetime
    end: datetime
    requests: int | None
    errors: int
    is_sampled: bool = False

    @property
    def error_ratio(self) -> float | None:
        """Errors by requests, 0..1; None without requests, or where nobody counted them."""
        return self.errors / self.requests if self.requests else None

    @property
    def errors_per_minute(self) -> float:
        """Errors a minute."""
        return self.errors * (MINUTE / (self.end - self.start))

    def with_more(self, sample: ErrorRateSample) -> "Window":
        """Return the window with the counts of *sample*, which lie within it."""
        return replace(
            self,
            requests=add(self.requests, sample.requests),
            errors=self.errors + sample.errors,
            is_sampled=self.is_sampled or sample.is_sampled,
        )


@dataclass(frozen=True, slots=True)
class Episode:
    """Trouble that began in the window [start, end).

    `requests` and `errors` are counted since then; the first window, which may be half healthy, only while it is alone.
    """

    start: datetime
    end: datetime
    windows: int
    requests: int | None
    errors: int


def episode_of(windows: Sequence[Window]) -> Episode:
    """Return the episode that began with the first of *windows* and is still going on at the last."""
    first, counted = windows[0], windows[1:] or windows
    requests: int | None = 0
    for one in counted:
        requests = add(requests, one.requests)
    return Episode(first.start, first.end, len(windows), requests, sum(one.errors for one in counted))


def add(one: int | None, other: int | None) -> int | None:
    """Return the sum; None where nobody knows one of them."""
    return None if one is None or other is None else one + other


def shared_time(window: Window, sample: ErrorRateSample) -> timedelta:
    """Return how much time the two have in common; 0 or less when none."""
    return min(window.end, sample.end) - max(window.start, sample.start)
