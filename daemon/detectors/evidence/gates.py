"""The conditions that must all hold before a rollback, in order: the first that fails is the reason."""

from typing import NamedTuple

from daemon.core.detector import Gate
from daemon.detectors.evidence.knobs import Design

RECENT_SECONDS = 30.0
"""The newest errors: they must still be there."""
RECENT_SHARE = 0.5
"""The newest rate may have fallen to this share of the rate since the onset, and not further."""
SEVERE_SECONDS = 30.0
_SLACK_SECONDS = 1e-6


class Standing(NamedTuple):
    """Where a trial stands at a closed bucket. Rates are ratios 0..1, times are seconds.

    `onset_after` counts from the activation, and is negative before it; None without an onset. `age` counts from the
    onset, its whole bucket and the newest poll included. `severe_run` is how many of the newest buckets in a row were
    severe, `sustain` how long errors must last besides the newest 30 s.
    """

    evidence: float
    rate: float
    limit: float
    nats: float
    nats_min: float
    requests: int
    errors: int
    onset_after: float | None
    recent_rate: float
    age: float
    severe_run: int
    poll: float
    sustain: float


def examine(standing: Standing, design: Design) -> tuple[Gate, ...]:
    """Return every gate of a rollback, in order. All of them must have passed."""
    after, since_onset = standing.onset_after, _ratio(standing)
    recent_min = max(standing.limit, RECENT_SHARE * since_onset)
    age_min = age_needed(standing)
    return (
        _at_least("evidence", standing.evidence, design.evidence_min),
        _at_least("rate", standing.rate, standing.limit),
        Gate("cusum", standing.nats, standing.nats_min, 0.0 < standing.nats >= standing.nats_min),
        _at_least("min_errors", standing.errors, design.errors_min),
        _at_least("min_requests", standing.requests, design.requests_min),
        Gate("onset_in_window", after, design.window, after is not None and 0.0 <= after < design.window),
        _at_least("recent_rate", standing.recent_rate, recent_min),
        Gate("sustained_seconds", standing.age, age_min, standing.age >= age_min - _SLACK_SECONDS),
    )


def age_needed(standing: Standing) -> float:
    """Return how old the onset must be, in seconds: less when the newest buckets failed almost wholly."""
    lasting = standing.sustain + RECENT_SECONDS
    if standing.severe_run < severe_buckets(standing.poll):
        return lasting
    return min(lasting, max(SEVERE_SECONDS, 2 * standing.poll))


def severe_buckets(poll: float) -> int:
    """Return how many severe buckets in a row are enough: two where a *poll* is longer than 20 s."""
    return 2 if poll > 20.0 else 3


def _at_least(name: str, value: float, threshold: float) -> Gate:
    return Gate(name, value, threshold, value >= threshold)


def _ratio(standing: Standing) -> float:
    return standing.errors / standing.requests if standing.requests else 0.0
