"""The gate of a rolling release: is the canary's share of 5xx answers worse than the base's?"""

from dataclasses import dataclass
from typing import Protocol

from daemon.emulator.counts import CellKey, Counts
from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.rolling_specs import CheckSpec, GateSpec

WINDOW_MS = 5 * MINUTE_MS
RATIO_MAX = 0.01
WORSE_BY_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One look at the canary: requests and 5xx of both sides. ``failed`` is false too where there is too little."""

    at_ms: int
    canary_requests: int
    canary_errors: int
    base_requests: int
    base_errors: int
    failed: bool


class Sides(Protocol):
    """The two deployments of a release and when it began."""

    base_id: str
    canary_id: str
    started_at_ms: int


def evaluate(release: Sides, rules: GateSpec, counts: Counts, at_ms: int) -> Evaluation:
    """Judge the last five minutes that the counts show; the first check that fails decides.

    Vercel publishes the sample size and the watermark of a check, not its limit. Assumed here: a canary fails above 1 %
    of 5xx answers if that is also more than twice the base's share.
    """
    verdict: Evaluation | None = None
    for check in rules.checks:
        verdict = _check(release, check, counts, at_ms)
        if verdict.failed:
            return verdict
    return verdict or Evaluation(at_ms, 0, 0, 0, 0, failed=False)


def _check(release: Sides, check: CheckSpec, counts: Counts, at_ms: int) -> Evaluation:
    visible_ms = at_ms - check.ingest_watermark_seconds * 1000
    first_ms = max(release.started_at_ms, visible_ms - WINDOW_MS)
    totals = {release.base_id: [0, 0], release.canary_id: [0, 0]}
    first_minute = first_ms - first_ms % MINUTE_MS
    for _, cells in counts.per_minute(from_ms=first_minute, to_ms=at_ms, visible_to_ms=visible_ms):
        for key, count in cells.items():
            if key.deployment_id in totals and _counts(key, check):
                totals[key.deployment_id][0] += count
                totals[key.deployment_id][1] += count * (500 <= key.http_status <= 599)
    (base, base_errors), (canary, errors) = totals[release.base_id], totals[release.canary_id]
    ratio, base_ratio = errors / max(1, canary), base_errors / max(1, base)
    failed = canary >= check.min_sample_size and ratio > max(RATIO_MAX, WORSE_BY_FACTOR * base_ratio)
    return Evaluation(at_ms, canary, errors, base, base_errors, failed)


def _counts(key: CellKey, check: CheckSpec) -> bool:
    is_excluded = key.http_status in check.exclude_status_codes or key.route in check.exclude_paths
    return key.environment == "production" and not is_excluded
