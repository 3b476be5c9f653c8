"""The positive test of recovery: fresh counts of the restored deployment against the suspect's frozen limit.

Silence of a detector proves nothing. *Recovered* when the upper confidence limit of the error ratio lies at or below
the limit, *not recovered* when the lower one lies above it, *worse* when it even lies above the suspect's own upper
limit; each at two consecutive closed buckets and with at least ceil(3 / limit) requests; otherwise wait.
Source: one-sided 95 % Clopper-Pearson limits; three over the ratio is the "rule of three" for zero errors.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.core import binomial
from daemon.core.facts import ErrorRateSample

_BUCKET_REQUESTS = 50
_BUCKET_SPAN = timedelta(seconds=60)
_BUCKETS_AGREEING = 2


class Recovery(StrEnum):
    """Judgement on the time after the action."""

    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    WORSE = "worse"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class RecoveryWatch:
    """What has been counted on the target since the switch was observed.

    `limit` and `suspect_upper_limit` are error ratios frozen with the incident. `requests` and `errors` count closed
    buckets only; the open one begins with the first request and collects until 50 requests or 60 seconds.
    """

    since: datetime
    limit: float
    suspect_upper_limit: float
    requests: int = 0
    errors: int = 0
    open_requests: int = 0
    open_errors: int = 0
    open_since: datetime | None = None
    counted_until: datetime | None = None
    leaning: Recovery | None = None
    leaning_buckets: int = 0

    @property
    def requests_min(self) -> int:
        """Fewer requests than this prove nothing."""
        return math.ceil(3 / self.limit)


def count_recovery(watch: RecoveryWatch, sample: ErrorRateSample) -> tuple[RecoveryWatch, Recovery | None]:
    """Return the watch after *sample* of the target, and the judgement; None means: not known yet.

    Samples that began before the switch, that overlap what was counted, or that count errors alone (without all
    requests there is no ratio to prove anything by) change nothing. Late counts go into the open bucket and close none.
    """
    counted_until = watch.counted_until or watch.since
    is_counted_already = sample.start < counted_until and not sample.is_late
    if sample.requests is None or sample.start < watch.since or is_counted_already:
        return watch, None
    end = max(sample.end, counted_until)
    if watch.open_requests == 0 and sample.requests == 0:
        return replace(watch, counted_until=end), None
    opened_at = watch.open_since or max(sample.start, counted_until)
    watch = replace(
        watch,
        open_requests=watch.open_requests + sample.requests,
        open_errors=watch.open_errors + sample.errors,
        open_since=opened_at,
        counted_until=end,
    )
    is_full = watch.open_requests >= _BUCKET_REQUESTS or end - opened_at >= _BUCKET_SPAN
    if sample.is_late or not is_full:
        return watch, None
    return _close_bucket(watch)


def _close_bucket(watch: RecoveryWatch) -> tuple[RecoveryWatch, Recovery | None]:
    requests, errors = watch.requests + watch.open_requests, watch.errors + watch.open_errors
    leaning = _lean(watch, requests=requests, errors=errors)
    streak = watch.leaning_buckets + 1 if leaning is not None and leaning is watch.leaning else 1
    watch = replace(
        watch,
        requests=requests,
        errors=errors,
        open_requests=0,
        open_errors=0,
        open_since=None,
        leaning=leaning,
        leaning_buckets=streak if leaning else 0,
    )
    return watch, leaning if watch.leaning_buckets >= _BUCKETS_AGREEING else None


def _lean(watch: RecoveryWatch, *, requests: int, errors: int) -> Recovery | None:
    if requests < watch.requests_min:
        return None
    if binomial.upper_limit(errors, requests) <= watch.limit:
        return Recovery.RECOVERED
    lower = binomial.lower_limit(errors, requests)
    if lower > watch.suspect_upper_limit:
        return Recovery.WORSE
    return Recovery.NOT_RECOVERED if lower > watch.limit else None
