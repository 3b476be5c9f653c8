"""What is normal for a project: error rates of the past day and of the last minutes, and the limit that follows.

Learned from time off probation only: a deployment that has not proved itself teaches nothing.
"""

from typing import NamedTuple

from daemon.detectors.evidence.buckets import Bucket
from daemon.detectors.evidence.cusum import EPISODE_NATS, NATS_MAX, accumulate
from daemon.detectors.evidence.recovering import NOTHING_COUNTED, Calm, count_calm

PRIOR_REQUESTS = 100
"""How many requests of prior knowledge a rate is shrunk by."""
LIMIT_MAX = 0.9
GATE_RATIO = 1.5
"""So much higher than ever in the past day must the sum be: trouble that comes every day is no reason to act."""
HOURS_MAX = 24
MINUTES_MAX = 120
REACH_SECONDS = 7200.0
"""How far back the last minutes may lie, to fill a span in spite of episodes that are left out."""
LAST_CELLS = 5
"""So many of the newest minutes are looked at again when errors begin with an activation: they may be older."""
LONG_SPAN_SECONDS = 900.0
SHORT_SPAN_SECONDS = 300.0
_HOUR_SECONDS = 3600.0
_MINUTE_SECONDS = 60.0
_SLACK_SECONDS = 1e-6


class Counts(NamedTuple):
    """Requests, and errors among them."""

    requests: int
    errors: int


class Cell(NamedTuple):
    """Counts that were learned over [start, end), in seconds: a minute, or less where an onset cuts it."""

    start: float
    end: float
    requests: int
    errors: int


class Hour(NamedTuple):
    """Counts that were learned in an hour from *start* on, in seconds, and the highest sum in it, in nats."""

    start: float
    requests: int
    errors: int
    nats_max: float


class Baseline(NamedTuple):
    """What was learned, and the running sum. The newest hour and the newest minute are still growing.

    `requests` and `errors` are those of all `hours`. `trouble_since` is where the sum last left zero or, while an
    episode is not proved to be over, where that began; None without either. `trouble_nats` is the highest sum since,
    and `trouble_gate` how high it must be to stand out from the day before.
    """

    hours: tuple[Hour, ...] = ()
    minutes: tuple[Cell, ...] = ()
    hour: Hour | None = None
    minute: Cell | None = None
    requests: int = 0
    errors: int = 0
    nats: float = 0.0
    calm: Calm = NOTHING_COUNTED
    trouble_since: float | None = None
    trouble_before: float | None = None
    trouble_number: int = 0
    trouble_nats: float = 0.0
    trouble_gate: float = 0.0


UNTAUGHT = Baseline()
_NO_TROUBLE = (None, None, 0, 0.0, 0.0)


def posterior_mean(requests: float, errors: float, floor: float) -> float:
    """Return the expected error ratio, 0..1: the mean of a Beta posterior that shrinks to a quarter of the *floor*."""
    return (errors + PRIOR_REQUESTS * floor / 4) / (requests + PRIOR_REQUESTS)


def long_limit(requests: float, errors: float, *, floor: float, lift: float) -> float:
    """Return the limit, 0..1, that the past day alone sets: *lift* times its rate, and never below the *floor*."""
    return min(LIMIT_MAX, max(floor, lift * posterior_mean(requests, errors, floor)))


def full_limit(
    day: tuple[float, float], long: tuple[float, float], short: tuple[float, float], *, floor: float, lift: float
) -> float:
    """Return the limit of a test, 0..1, from (requests, errors) of the past day and of its last 15 and 5 minutes."""
    recent = max(posterior_mean(*long, floor), posterior_mean(*short, floor))
    return min(LIMIT_MAX, max(long_limit(*day, floor=floor, lift=lift), lift * recent))


def frozen_limit(baseline: Baseline, at: float, *, floor: float, lift: float) -> float:
    """Return the limit, 0..1, of a test that begins at *at*, in seconds of event time."""
    day = (baseline.requests, baseline.errors)
    long, short = (span_counts(baseline, at, seconds) for seconds in (LONG_SPAN_SECONDS, SHORT_SPAN_SECONDS))
    return full_limit(day, long, short, floor=floor, lift=lift)


def gate(baseline: Baseline) -> float:
    """Return how high a sum must be, in nats, to stand out from the past day."""
    hours = (*baseline.hours, baseline.hour) if baseline.hour else baseline.hours
    return min(NATS_MAX, GATE_RATIO * max((hour.nats_max for hour in hours), default=0.0))


def span_counts(baseline: Baseline, at: float, seconds: float) -> tuple[float, float]:
    """Return (requests, errors) of the last *seconds* that were learned before *at*, within two hours.

    The cell in which the span begins counts in proportion.
    """
    needed, requests, errors = seconds, 0.0, 0.0
    for cell in (*((baseline.minute,) if baseline.minute else ()), *reversed(baseline.minutes)):
        share_start, share_end = max(cell.start, at - REACH_SECONDS), min(cell.end, at)
        length = min(share_end - share_start, needed)
        if length <= 0.0:
            continue
        share = length / (cell.end - cell.start)
        requests += share * cell.requests
        errors += share * cell.errors
        needed -= length
    return requests, errors


def last_cells(baseline: Baseline, at: float) -> tuple[Counts, ...]:
    """Return what was counted in the newest minutes before *at*, newest first, as far as it reaches up to it."""
    found: list[Counts] = []
    reached = at
    for cell in (*((baseline.minute,) if baseline.minute else ()), *reversed(baseline.minutes)):
        if len(found) == LAST_CELLS or cell.end < reached - _MINUTE_SECONDS:
            break
        if cell.start < at:
            found.append(Counts(cell.requests, cell.errors))
            reached = cell.start
    return tuple(found)


def learn(baseline: Baseline, bucket: Bucket, *, floor: float, lift: float) -> Baseline:
    """Return the baseline after a closed *bucket* off probation: judged by the limit so far, then learned."""
    requests, errors = baseline.requests, baseline.errors
    limit = long_limit(requests, errors, floor=floor, lift=lift)
    nats = accumulate(baseline.nats, bucket.errors / bucket.requests / limit)
    since, before, number, highest, needed = baseline[8:]
    if baseline.nats == 0.0 and highest < EPISODE_NATS:
        since, before, number, highest, needed = _NO_TROUBLE
        if nats > 0.0:
            since, before, number, needed = bucket.start, bucket.end, bucket.number, gate(baseline)
    # An episode is left out from its onset on: no cell may lie on both sides of it.
    minutes, minute = _in_minutes(baseline.minutes, baseline.minute, bucket, is_cut=since == bucket.start)
    hours, hour = _in_hours(baseline.hours, baseline.hour, bucket, nats)
    requests += bucket.requests
    errors += bucket.errors
    if len(hours) > HOURS_MAX - 1:
        requests, errors, hours = requests - hours[0].requests, errors - hours[0].errors, hours[1:]
    calm = count_calm(baseline.calm, bucket.requests, bucket.errors, limit)
    highest = nats if nats > highest else highest
    learned = Baseline(
        hours, minutes, hour, minute, requests, errors, nats, calm, since, before, number, highest, needed
    )
    return _end_trouble(learned) if calm.is_proved and since is not None else learned


def precede(past: Baseline, present: Baseline) -> Baseline:
    """Return *present* with what *past* learned of the time before it; its own running sum and trouble stay."""
    earlier = (*past.hours, *((past.hour,) if past.hour else ()))
    hours = (*earlier, *present.hours)[-HOURS_MAX + 1 :]
    every = (*hours, *((present.hour,) if present.hour else ()))
    minutes = (*past.minutes, *((past.minute,) if past.minute else ()), *present.minutes)
    return present._replace(
        hours=hours,
        minutes=minutes[-MINUTES_MAX + 1 :],
        requests=sum(one.requests for one in every),
        errors=sum(one.errors for one in every),
    )


def look_on(baseline: Baseline, bucket: Bucket, *, floor: float, lift: float) -> Baseline:
    """Return the baseline after a closed *bucket* on probation: it can prove the end of trouble, and teaches nothing.

    A deployment that heals what the one before broke ends that episode, and its successor starts without it.
    """
    if baseline.trouble_since is None:
        return baseline
    limit = long_limit(baseline.requests, baseline.errors, floor=floor, lift=lift)
    return _count_calm(baseline, bucket, limit)


def learn_idle(baseline: Baseline, start: float, end: float) -> Baseline:
    """Return the baseline after [start, end) off probation, in seconds, in which nobody came."""
    minutes, minute = baseline.minutes, baseline.minute
    if minute is None or end - minute.start > _MINUTE_SECONDS + _SLACK_SECONDS:
        return baseline._replace(minutes=_keep_minute(minutes, minute), minute=Cell(start, end, 0, 0))
    return baseline._replace(minute=Cell(minute.start, end, minute.requests, minute.errors))


def _count_calm(baseline: Baseline, bucket: Bucket, limit: float) -> Baseline:
    baseline = baseline._replace(calm=count_calm(baseline.calm, bucket.requests, bucket.errors, limit))
    return _end_trouble(baseline) if baseline.calm.is_proved else baseline


def _end_trouble(baseline: Baseline) -> Baseline:
    """Return the baseline without trouble; the minutes of an episode are left out from now on."""
    since, minutes, minute = baseline.trouble_since, baseline.minutes, baseline.minute
    assert since is not None, "only trouble that began can end"
    if baseline.trouble_nats >= EPISODE_NATS:
        minutes = tuple(cell for cell in minutes if cell.start < since - _SLACK_SECONDS)
        minute = minute if minute and minute.start < since - _SLACK_SECONDS else None
    return baseline._replace(
        minutes=minutes,
        minute=minute,
        nats=0.0,
        trouble_since=None,
        trouble_before=None,
        trouble_number=0,
        trouble_nats=0.0,
        trouble_gate=0.0,
    )


def _in_minutes(
    minutes: tuple[Cell, ...], minute: Cell | None, bucket: Bucket, *, is_cut: bool
) -> tuple[tuple[Cell, ...], Cell]:
    start, end, requests, errors = bucket.start, bucket.end, bucket.requests, bucket.errors
    if minute is None or is_cut or start - minute.start > _MINUTE_SECONDS - _SLACK_SECONDS:
        return _keep_minute(minutes, minute), Cell(start, end, requests, errors)
    return minutes, Cell(minute.start, max(end, minute.end), minute.requests + requests, minute.errors + errors)


def _keep_minute(minutes: tuple[Cell, ...], minute: Cell | None) -> tuple[Cell, ...]:
    """Return the minutes with *minute* as the newest; what an onset cut off joins its neighbour where one holds it."""
    if minute is None:
        return minutes
    if minutes and minute.end - minutes[-1].start <= _MINUTE_SECONDS + _SLACK_SECONDS:
        last = minutes[-1]
        return (
            *minutes[:-1],
            Cell(last.start, minute.end, last.requests + minute.requests, last.errors + minute.errors),
        )
    return (*minutes, minute)[-MINUTES_MAX + 1 :]


def _in_hours(hours: tuple[Hour, ...], hour: Hour | None, bucket: Bucket, nats: float) -> tuple[tuple[Hour, ...], Hour]:
    """Return the hours that are over, one more than are kept at most, and the growing one."""
    start, requests, errors = bucket.start, bucket.requests, bucket.errors
    if hour is None:
        return hours, Hour(start, requests, errors, nats)
    if start - hour.start > _HOUR_SECONDS - _SLACK_SECONDS:
        return (*hours, hour), Hour(start, requests, errors, nats)
    return hours, Hour(hour.start, hour.requests + requests, hour.errors + errors, max(hour.nats_max, nats))
