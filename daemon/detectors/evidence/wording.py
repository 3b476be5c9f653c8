"""What the docket means, in a verdict, in numbers and in one sentence for whoever is woken by it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daemon.core.detector import Finding, Gate, Verdict
from daemon.core.facts import DeploymentId
from daemon.detectors.evidence.baseline import long_limit
from daemon.detectors.evidence.betting import evidence
from daemon.detectors.evidence.buckets import Bucket
from daemon.detectors.evidence.cusum import EPISODE_NATS
from daemon.detectors.evidence.docket import Docket, deciding, is_off_probation
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.recovering import Calm, requests_min
from daemon.detectors.evidence.trial import Held, Trial, gates, judge

NAME = "evidence"
_FORECAST_BUCKETS_MAX = 200

DeploymentOf = Callable[[int], DeploymentId | None]
"""Tells which deployment an activation's number stands for; None where it is no longer on record."""


def find(docket: Docket, design: Design, *, deployment_of: DeploymentOf, is_current: bool) -> Finding:
    """Return what *docket* means. *is_current* says that the counts are those of what serves now."""
    newest, trial = docket.newest, _shown(docket)
    if newest is None:
        limit = trial.limit if trial else _usual_limit(docket, design)
        return Finding(NAME, Verdict.INCONCLUSIVE, "no bucket of requests has closed yet", 0, 0, limit)
    if trial is None:
        return _find_untried(docket, newest, design, deployment_of)
    passed = gates(trial, newest, design)
    onset = trial.onset
    is_trouble = onset is not None and (trial.held is not Held.NOTHING or trial.nats >= EPISODE_NATS)
    return Finding(
        detector=NAME,
        verdict=_verdict(docket, trial, newest, design),
        sentence=_sentence(trial, newest, passed, deployment_of=deployment_of, is_current=is_current),
        requests=onset.requests if onset and onset.requests else newest.requests,
        errors=onset.errors if onset and onset.requests else newest.errors,
        limit=trial.limit,
        onset_at=_when(onset.at) if onset and is_trouble else None,
        onset_before=_when(onset.before) if onset and is_trouble else None,
        gates=passed,
        suspect=_suspect(trial, docket, deployment_of),
        is_alert=trial.held is Held.ALERT,
        acts_in=_acts_in(trial, newest, design),
    )


def _shown(docket: Docket) -> Trial | None:
    """Return the trial to speak of: one that has decided, else the one in most trouble, else the newest."""
    if not docket.trials:
        return None
    troubled = [one for one in docket.trials if one.nats > 0.0 and not one.is_first]
    return deciding(docket) or max(troubled, key=lambda one: evidence(one.capital), default=docket.trials[-1])


def _find_untried(docket: Docket, newest: Bucket, design: Design, deployment_of: DeploymentOf) -> Finding:
    """Return the finding where nothing is on trial: what was restored, or what has long proved itself."""
    limit = _usual_limit(docket, design)
    counted = _counted(newest.requests, newest.errors, limit)
    finding = Finding(NAME, Verdict.INCONCLUSIVE, counted, newest.requests, newest.errors, limit)
    if not is_off_probation(docket, newest.start) or newest.number != docket.number:
        sentence = f"{counted}; nothing is on trial, and this deployment has not served for long enough to be usual"
        return replace(finding, sentence=sentence)
    sentence = f"{counted}; no deployment is on trial: nothing went live of late"
    baseline = docket.baseline
    since, before = baseline.trouble_since, baseline.trouble_before
    if since is None or before is None or baseline.nats < EPISODE_NATS:
        verdict = Verdict.HEALTHY if _is_usual(docket, newest, design) else Verdict.INCONCLUSIVE
        return replace(finding, verdict=verdict, sentence=sentence)
    needed = max(baseline.trouble_gate, design.alert_nats)
    return replace(
        finding,
        verdict=Verdict.BREACHING if baseline.nats >= needed else Verdict.INCONCLUSIVE,
        sentence=f"{sentence}, but errors are above what is usual since {_when(since):%H:%M:%S} UTC",
        onset_at=_when(since),
        onset_before=_when(before),
        suspect=deployment_of(newest.number),
        is_alert=True,
        gates=(Gate("trouble", baseline.nats, needed, baseline.nats >= needed),),
    )


def _verdict(docket: Docket, trial: Trial, newest: Bucket, design: Design) -> Verdict:
    if trial.held is not Held.NOTHING:
        return Verdict.BREACHING
    return Verdict.HEALTHY if _is_healthy(docket, newest, design) else Verdict.INCONCLUSIVE


def _is_healthy(docket: Docket, newest: Bucket, design: Design) -> bool:
    """Return whether fresh counts prove that all is well: silence does not."""
    if newest.number != docket.number or any(one.nats > 0.0 for one in docket.trials):
        return False
    own = next((one for one in docket.trials if one.number == docket.number), None)
    if own is None:
        return is_off_probation(docket, newest.start) and _is_usual(docket, newest, design)
    return newest.rate < own.limit and _is_calm(own.calm, own.calm_limit)


def _is_usual(docket: Docket, newest: Bucket, design: Design) -> bool:
    limit = _usual_limit(docket, design)
    return docket.baseline.nats == 0.0 and newest.rate < limit and _is_calm(docket.baseline.calm, limit)


def _is_calm(calm: Calm, limit: float) -> bool:
    return calm.is_proved or (not calm.was_hot and calm.requests >= requests_min(limit))


def _usual_limit(docket: Docket, design: Design) -> float:
    baseline = docket.baseline
    return long_limit(baseline.requests, baseline.errors, floor=design.limit_floor, lift=design.lift)


def _suspect(trial: Trial, docket: Docket, deployment_of: DeploymentOf) -> DeploymentId | None:
    """Return whom to blame: what served at the onset or, where nobody is to be, the one that the errors clear."""
    if trial.held is Held.ROLLBACK and trial.onset:
        return deployment_of(trial.onset.number)
    if trial.held is Held.ALERT and trial.onset:
        is_restored = trial.onset.number in docket.restorations
        return deployment_of(trial.onset.number if is_restored else trial.number)
    return None


def _acts_in(trial: Trial, newest: Bucket, design: Design) -> timedelta | None:
    """Return how long until a rollback is decided if the newest bucket repeated itself; None when it never would be."""
    if trial.held is not Held.NOTHING or trial.is_first or trial.nats == 0.0 or newest.rate < trial.limit:
        return None
    length, bucket = newest.end - newest.start, newest
    for _ in range(_FORECAST_BUCKETS_MAX):
        bucket = bucket._replace(start=bucket.end, end=bucket.end + length)
        trial = judge(trial, bucket, design, may_decide=True)
        if trial.held is not Held.NOTHING:
            return timedelta(seconds=bucket.end - newest.end) if trial.held is Held.ROLLBACK else None
    return None


def _sentence(
    trial: Trial, newest: Bucket, passed: tuple[Gate, ...], *, deployment_of: DeploymentOf, is_current: bool
) -> str:
    onset = trial.onset
    if onset is None:
        return _counted(newest.requests, newest.errors, trial.limit)
    requests, errors = (onset.requests, onset.errors) if onset.requests else (newest.requests, newest.errors)
    counted = f"{_counted(requests, errors, trial.limit)} for {_duration(newest.end - onset.at)}"
    deployment = deployment_of(trial.number) or "the deployment"
    if trial.held is Held.ROLLBACK:
        return f"{counted}, since {_duration(onset.at - trial.at)} after {deployment} went live"
    if trial.held is Held.ALERT:
        return f"{counted}; {_objection(trial, deployment)}"
    failed = next((gate for gate in passed if not gate.passed), None)
    if failed:
        return f"{counted}; waiting: {_margin(failed)}"
    return f"{counted}; waiting: counts of what serves {'' if is_current else 'now '}are not complete yet"


def _objection(trial: Trial, deployment: str) -> str:
    assert trial.onset is not None, "an alert has an onset"
    if trial.is_first:
        return f"nothing on record served before {deployment}"
    after = trial.onset.at - trial.at
    if after < 0.0:
        return f"errors began before {deployment} went live: no rollback"
    return f"errors began {_duration(after)} after {deployment} went live: no rollback"


def _margin(gate: Gate) -> str:
    """Return what is missing, in words and in the gate's own unit."""
    value, threshold = gate.value or 0.0, gate.threshold
    match gate.name:
        case "evidence":
            return f"evidence {value:.3g} of {threshold:g}"
        case "rate" | "recent_rate":
            newest = "newest bucket" if gate.name == "rate" else "newest 30 s"
            return f"the {newest} failed at {value:.1%}, {threshold:.1%} needed"
        case "cusum":
            return f"trouble {value:.1f} of {threshold:.1f} nats, more than on any ordinary day"
        case "min_errors" | "min_requests":
            return f"{gate.name.removeprefix('min_')} {value:.0f} of {threshold:.0f}"
        case "onset_in_window":
            return f"errors did not begin in the first {_duration(threshold)} of the deployment"
    return f"sustained {value:.0f} s of {threshold:.0f} s"


def _counted(requests: int, errors: int, limit: float) -> str:
    return f"{errors} of {requests} requests failed ({errors / requests:.1%}, limit {limit:.1%})"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600.0 else f"{seconds / 60.0:.0f} min"


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
