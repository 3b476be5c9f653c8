"""What was given before, so that every request is given once, however often and however late its minute is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.sources.observability.counts import NOBODY, NOTHING, ByMinute, Cells, Counts
from daemon.sources.observability.minutes import MINUTE, floor_minute


@dataclass(frozen=True, slots=True)
class Carried:
    """Counts of one deployment that its samples have not given yet, or, where negative, have given too many of.

    `minute` is the one that they were counted in; with it they are forgotten.
    """

    counts: Counts
    minute: datetime


@dataclass(frozen=True, slots=True)
class Given:
    """What has been given of one project, up to the watermark `until`.

    `counts` holds the cumulative counts of every minute from `known_from` on, as they were when they were last read.
    Invariant: what all samples hold together, plus what is carried, is what `counts` hold.
    """

    until: datetime
    known_from: datetime
    counts: Mapping[datetime, Cells] = field(default_factory=dict)
    carried: Mapping[DeploymentId, Carried] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advance:
    """One step: what is given from now on, what this step gives, how many counts were taken back, and left out."""

    given: Given
    samples: tuple[ErrorRateSample, ...]
    corrections: int
    left_out: int


def advance(given: Given, found: ByMinute, *, read_from: datetime, until: datetime, keep: timedelta) -> Advance:
    """Give what is new in *found*, the cumulative counts of the minutes from *read_from* on, up to *until*.

    A sample stands for the increment of one deployment in one minute. It begins where what was given of that minute
    ends, and ends with the minute or at *until*. A minute that was given to its end and still grows comes late: its
    increment spans the whole minute and is marked, since it overlaps what was given before without repeating any of it.
    What no deployment answered makes no sample.

    Counts that are taken back make no sample. They are carried, and the deployment's next increment is the smaller for
    them; so are errors that come without a request of their own. Minutes more than *keep* before *until* are forgotten.
    """
    counts, carried = dict(given.counts), dict(given.carried)
    samples: list[ErrorRateSample] = []
    corrections = left_out = 0
    read_from = max(read_from, given.known_from)
    for minute in sorted(one for one in found.keys() | given.counts.keys() if read_from <= one < until):
        now, before = found.get(minute, {}), given.counts.get(minute, {})
        for deployment in sorted(now.keys() | before.keys()) if now != before else ():
            difference = now.get(deployment, NOTHING).minus(before.get(deployment, NOTHING))
            corrections += min(difference) < 0
            known = carried.pop(deployment, None)
            owed = difference.plus(known.counts) if known else difference
            payable = _payable(owed)
            if payable != owed:
                carried[deployment] = Carried(owed.minus(payable), minute)
            if deployment == NOBODY:
                left_out += payable.requests
            elif payable.requests:
                samples.append(_sample(deployment, payable, minute, given.until, until))
        counts[minute] = now
    kept_from = max(given.known_from, floor_minute(until) - keep)
    after = Given(
        until,
        kept_from,
        {minute: cells for minute, cells in counts.items() if minute >= kept_from and cells},
        {deployment: one for deployment, one in carried.items() if one.minute >= kept_from},
    )
    ordered = sorted(samples, key=lambda one: (one.start, one.end, one.deployment))
    return Advance(after, tuple(ordered), corrections, left_out)


def _payable(owed: Counts) -> Counts:
    """Return the most of *owed* that makes a sample: nothing negative, and no more errors than requests."""
    requests = max(0, owed.requests)
    errors = min(max(0, owed.errors), requests)
    return Counts(requests, errors, min(max(0, owed.platform_errors), requests - errors))


def _sample(
    deployment: DeploymentId, counts: Counts, minute: datetime, before: datetime, until: datetime
) -> ErrorRateSample:
    is_late = minute + MINUTE <= before
    return ErrorRateSample(
        deployment,
        start=minute if is_late else max(minute, before),
        end=min(minute + MINUTE, until),
        requests=counts.requests,
        errors=counts.errors,
        platform_errors=counts.platform_errors,
        is_late=is_late,
    )
