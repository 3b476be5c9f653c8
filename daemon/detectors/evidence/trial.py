"""One activation under test: a frozen limit, the evidence against it, when the errors began, and what follows."""

from enum import StrEnum
from typing import NamedTuple

from daemon.core.detector import Gate
from daemon.detectors.evidence.baseline import (
    Baseline,
    Counts,
    frozen_limit,
    gate,
    last_cells,
    long_limit,
    posterior_mean,
)
from daemon.detectors.evidence.betting import NO_BETS, Capital, bet, evidence, prior_mass
from daemon.detectors.evidence.buckets import Bucket
from daemon.detectors.evidence.cusum import EPISODE_NATS, Onset, accumulate
from daemon.detectors.evidence.gates import RECENT_SECONDS, Standing, examine
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.precedence import likeness_nats, precedence_nats
from daemon.detectors.evidence.recovering import NOTHING_COUNTED, Calm, count_calm

_SLACK_SECONDS = 1e-6
RECENT_BUCKETS_MAX = 32


class Held(StrEnum):
    """What a trial has decided, for as long as the trouble lasts."""

    NOTHING = "nothing"
    ALERT = "alert"
    """Errors that are not the deployment's fault: told, never rolled back."""
    ROLLBACK = "rollback"


Recent = tuple[float, int, int]
"""A bucket by the time at which it closed, in seconds, its requests and its errors."""


class Trial(NamedTuple):
    """The test of activation `number`, live since `at` (seconds of event time).

    Frozen are `limit`, `nats_min`, `sustain`, the rate `calm_limit` below which trouble is over, the `usual` error
    ratio, and the minutes `before` the activation, newest first. `requests` and `errors` count since then. `nats` is
    the running sum, `onset` None while it is zero. `recent` are the buckets closed in the last 30 s. `hot_until` is the
    end of the newest bucket at or above the limit inside the attribution window; None without. `is_first` says that
    nothing on record served before. `is_blip_due` says that nobody learned from it yet how long its errors lasted.
    """

    number: int
    at: float
    limit: float
    nats_min: float
    sustain: float
    calm_limit: float
    usual: float
    before: tuple[Counts, ...] = ()
    requests: int = 0
    errors: int = 0
    capital: Capital = NO_BETS
    nats: float = 0.0
    onset: Onset | None = None
    recent: tuple[Recent, ...] = ()
    severe_run: int = 0
    calm: Calm = NOTHING_COUNTED
    hot_until: float | None = None
    is_first: bool = False
    is_blip_due: bool = True
    held: Held = Held.NOTHING


def begin_trial(number: int, at: float, baseline: Baseline, design: Design, *, sustain: float) -> Trial:
    """Return the test of an activation, with the limit of this moment; trouble that is going on already is not its."""
    limit = frozen_limit(baseline, at, floor=design.limit_floor, lift=design.lift)
    usual = posterior_mean(baseline.requests, baseline.errors, design.limit_floor)
    trial = Trial(number, at, limit, gate(baseline), sustain, limit, usual, last_cells(baseline, at))
    if baseline.nats < EPISODE_NATS or baseline.trouble_since is None or baseline.trouble_before is None:
        return trial
    # Whatever the clocks say, the trouble is older than the activation.
    since = min(baseline.trouble_since, at - 1.0)
    before = min(baseline.trouble_before, at)
    # A limit taught by that trouble would call half of it calm.
    calm_limit = long_limit(baseline.requests, baseline.errors, floor=design.limit_floor, lift=design.lift)
    onset = Onset(since, before, baseline.trouble_number)
    return trial._replace(nats=baseline.nats, onset=onset, calm_limit=calm_limit)


def judge(trial: Trial, bucket: Bucket, design: Design, *, may_decide: bool) -> Trial:
    """Return the trial after a closed bucket. Nothing new is decided unless *may_decide*."""
    requests, errors, end = bucket.requests, bucket.errors, bucket.end
    rate = errors / requests
    lift = rate / trial.limit
    calm = count_calm(trial.calm, requests, errors, trial.calm_limit)
    nats = 0.0 if calm.is_proved else accumulate(trial.nats, lift)
    mass = prior_mass(end - trial.at, bucket.poll, design.window) if trial.capital.spent < 1.0 else 1.0
    trial = Trial(
        trial.number,
        trial.at,
        trial.limit,
        trial.nats_min,
        trial.sustain,
        trial.calm_limit,
        trial.usual,
        trial.before,
        trial.requests + requests,
        trial.errors + errors,
        bet(trial.capital, lift=lift, mass=mass),
        nats,
        _date(trial, bucket) if nats > 0.0 else None,
        _keep_recent(trial.recent, bucket),
        trial.severe_run + 1 if rate >= design.severe_rate else 0,
        calm,
        end if rate >= trial.limit and end <= trial.at + design.window else trial.hot_until,
        trial.is_first,
        trial.is_blip_due,
        trial.held if nats > 0.0 else Held.NOTHING,
    )
    if trial.held is not Held.NOTHING or nats == 0.0 or not may_decide:
        return trial
    return _decide(trial, bucket, design)


def is_successors(trial: Trial, bucket: Bucket) -> bool:
    """Return whether what served at the onset had a stray error, and the trouble began with what serves now.

    The rate since the onset is then less like what it counted itself than the usual rate is. What serves now has a
    trial of its own.
    """
    onset = trial.onset
    if onset is None or onset.number == bucket.number:
        return False
    own, rate = Counts(onset.own_requests, onset.own_errors), onset.errors / onset.requests
    return likeness_nats(own, usual=trial.usual, rate=rate) < 0.0


def _precedence(trial: Trial) -> float:
    """Return how much likelier the errors began before the activation than after it, in nats."""
    onset = trial.onset
    if onset is None or onset.number != trial.number:
        return 0.0
    between = Counts(trial.requests - onset.requests, trial.errors - onset.errors)
    rate = onset.errors / onset.requests
    return precedence_nats(trial.before, between, usual=trial.usual, rate=rate, limit=trial.limit)


def _predate(trial: Trial) -> Trial:
    """Return the trial with its errors dated before the activation: whatever goes on is not its doing."""
    assert trial.onset is not None, "a trial that decides has an onset"
    return trial._replace(onset=trial.onset._replace(at=trial.at - 1.0, before=trial.at))


def _date(trial: Trial, bucket: Bucket) -> Onset:
    known, requests, errors = trial.onset, bucket.requests, bucket.errors
    if known is None:
        # A bucket may begin before the activation and hold nothing of that time.
        start = max(bucket.start, trial.at)
        return Onset(start, bucket.end, bucket.number, requests, errors, requests, errors)
    at, before, number, all_requests, all_errors, own_requests, own_errors = known
    if bucket.number == number:
        own_requests, own_errors = own_requests + requests, own_errors + errors
    return Onset(at, before, number, all_requests + requests, all_errors + errors, own_requests, own_errors)


def _keep_recent(recent: tuple[Recent, ...], bucket: Bucket) -> tuple[Recent, ...]:
    oldest = bucket.end - RECENT_SECONDS + _SLACK_SECONDS
    while recent and (recent[0][0] <= oldest or len(recent) >= RECENT_BUCKETS_MAX):
        recent = recent[1:]
    return (*recent, (bucket.end, bucket.requests, bucket.errors))


def _decide(trial: Trial, bucket: Bucket, design: Design) -> Trial:
    # The cheap conditions first: nearly every bucket of a healthy deployment ends here.
    is_worth_a_look = bucket.rate >= trial.limit and evidence(trial.capital) >= design.evidence_min
    if is_worth_a_look and all(gate.passed for gate in gates(trial, bucket, design)):
        if is_successors(trial, bucket):
            return trial._replace(nats=0.0, onset=None)
        if _precedence(trial) < EPISODE_NATS:
            return trial._replace(held=Held.ROLLBACK)
        trial = _predate(trial)
    if is_alert(trial, design):
        return trial._replace(held=Held.ALERT)
    return trial


def gates(trial: Trial, bucket: Bucket, design: Design) -> tuple[Gate, ...]:
    """Return every gate of a rollback as *trial* stands at its newest closed *bucket*."""
    return examine(standing(trial, bucket), design)


def standing(trial: Trial, bucket: Bucket) -> Standing:
    """Return where *trial* stands at its newest closed *bucket*."""
    onset = trial.onset
    requests, errors = sum(one[1] for one in trial.recent), sum(one[2] for one in trial.recent)
    return Standing(
        evidence=evidence(trial.capital),
        rate=bucket.rate,
        limit=trial.limit,
        nats=trial.nats,
        nats_min=trial.nats_min,
        requests=onset.requests if onset else 0,
        errors=onset.errors if onset else 0,
        onset_after=onset.at - trial.at if onset else None,
        recent_rate=errors / requests if requests else 0.0,
        age=bucket.end - onset.at if onset else 0.0,
        severe_run=trial.severe_run,
        poll=bucket.poll,
        sustain=trial.sustain,
    )


def is_in_window(trial: Trial, design: Design) -> bool:
    """Return whether errors go on that began soon enough after the activation to be its doing."""
    return trial.onset is not None and 0.0 <= trial.onset.at - trial.at < design.window


def is_alert(trial: Trial, design: Design) -> bool:
    """Return whether errors that began before the activation, or long after it, are certain enough to be told."""
    if trial.onset is None or is_in_window(trial, design):
        return False
    return trial.nats >= max(trial.nats_min, design.alert_nats)
