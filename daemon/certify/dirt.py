"""How a feed of counts gets dirty: late, missed, repeated and corrected. What was served stays as it was."""

import random
from collections.abc import Sequence
from dataclasses import replace

from daemon.certify.trace import Counts, Trace

_MISSED_RATIO = 0.02
_REPEATED_RATIO = 0.03
_CORRECTED_RATIO = 0.02


def make_late(rng: random.Random, trace: Trace, *, only: str) -> Trace:
    """Return *trace* with late counts and gaps in what is read of the deployment *only*.

    Up to 40 % of each poll's requests, and as many of its errors or fewer, are counted one or two polls later; 2 % of
    the polls are missed, and their counts come with the next one. No count is lost but at the trace's end.
    """
    counts, share = trace.counts[only], rng.uniform(0.1, 0.4)
    requests = _delay(rng, _known(counts.requests), share)
    errors = _delay(rng, _known(counts.errors), share * rng.uniform(0.3, 1))
    read = _miss(rng, counts.start, requests, errors)
    return replace(trace, counts={**trace.counts, only: read})


def make_dirty(rng: random.Random, trace: Trace, *, only: str) -> Trace:
    """Return *trace* as `make_late` leaves it, with 3 % of the polls read twice and 2 % of them corrected.

    A correction takes up to half of a poll's counts back in the next one, which may then lie below zero; what it took
    is given again in the poll after that.
    """
    trace = make_late(rng, trace, only=only)
    counts = trace.counts[only]
    requests, errors = list(counts.requests), list(counts.errors)
    for poll in range(len(requests) - 2):
        span = (requests[poll], requests[poll + 1], requests[poll + 2])
        if None in span or rng.random() >= _CORRECTED_RATIO:
            continue
        share = rng.uniform(0.1, 0.5)
        for read in (requests, errors):
            taken = round((read[poll] or 0) * share)
            read[poll + 1] = (read[poll + 1] or 0) - taken
            read[poll + 2] = (read[poll + 2] or 0) + taken
    repeats = {counts.start + poll for poll in range(len(requests)) if rng.random() < _REPEATED_RATIO}
    dirty = Counts(counts.start, tuple(requests), tuple(errors))
    return replace(trace, counts={**trace.counts, only: dirty}, repeats=frozenset(repeats))


def _known(read: Sequence[int | None]) -> list[int]:
    return [one or 0 for one in read]


def _delay(rng: random.Random, counted: list[int], share: float) -> list[int]:
    read = [0] * len(counted)
    for poll, count in enumerate(counted):
        late = round(count * share * rng.random() * 2) if count > 1 else int(rng.random() < share) * count
        late = min(late, count)
        by = rng.choice((1, 1, 2))
        read[poll] += count - late
        if poll + by < len(read):
            read[poll + by] += late
    return read


def _miss(rng: random.Random, start: int, requests: list[int], errors: list[int]) -> Counts:
    """Return the counts with some polls missed; the newest one never is, so that none is lost."""
    seen_requests: list[int | None] = []
    seen_errors: list[int | None] = []
    waiting = (0, 0)
    for poll, (count, failed) in enumerate(zip(requests, errors, strict=True)):
        waiting = (waiting[0] + count, waiting[1] + failed)
        is_missed = poll + 1 < len(requests) and rng.random() < _MISSED_RATIO
        seen_requests.append(None if is_missed else waiting[0])
        seen_errors.append(None if is_missed else waiting[1])
        waiting = waiting if is_missed else (0, 0)
    return Counts(start, tuple(seen_requests), tuple(seen_errors))
