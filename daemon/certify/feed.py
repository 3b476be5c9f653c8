"""Turns what a poller read into samples, as a source must: possible counts only, and a gap's backlog as one bucket."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from daemon.certify.trace import Trace
from daemon.core.facts import DeploymentId, ErrorRateSample

START = datetime(2026, 3, 1, tzinfo=UTC)
"""When every trace begins."""


def time_of(trace: Trace, poll: int) -> datetime:
    """Return the instant at which *poll* begins."""
    return START + timedelta(seconds=poll * trace.poll_seconds)


@dataclass(slots=True)
class _Owed:
    """What the next poll of a deployment makes up for, and where the last sample ended; None before the first."""

    requests: int = 0
    errors: int = 0
    counted_to: int | None = None


@dataclass(slots=True)
class Feed:
    """The samples of one trace, poll by poll. What is impossible waits for the next poll; no count is lost.

    Source: spec of the detection rule, 3.6, late and missing data.
    """

    trace: Trace
    _owed: dict[str, _Owed] = field(default_factory=dict)

    def samples(self, poll: int, serving: str) -> Iterator[ErrorRateSample]:
        """Yield what was read of *serving* in *poll*: nothing where the poll was missed, twice where it is repeated."""
        requests, errors = self.trace.counts[serving].at(poll)
        if requests is None or errors is None:
            return
        sample = self._settle(poll, serving, requests, errors)
        yield sample
        if poll in self.trace.repeats:
            yield sample

    def _settle(self, poll: int, serving: str, requests: int, errors: int) -> ErrorRateSample:
        owed = self._owed.setdefault(serving, _Owed())
        requests, errors = requests + owed.requests, errors + owed.errors
        counted = max(0, requests)
        failed = min(max(0, errors), counted)
        # What was missed comes with the next poll; a deployment that did not serve meanwhile has missed nothing.
        first = poll
        while first > 0 and self._was_missed(first - 1, serving) and first - 1 != owed.counted_to:
            first -= 1
        self._owed[serving] = _Owed(requests - counted, errors - failed, poll)
        begins, ends = time_of(self.trace, first), time_of(self.trace, poll + 1)
        return ErrorRateSample(DeploymentId(serving), begins, ends, counted, failed)

    def _was_missed(self, poll: int, serving: str) -> bool:
        return self.trace.counts[serving].at(poll)[0] is None
