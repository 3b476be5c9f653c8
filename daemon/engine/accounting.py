"""From one turn of `step` to the metrics and log lines that on-call reads: what changed, counted once."""

import math
from collections.abc import Sequence

import structlog

from daemon.core.detector import Detector, Verdict
from daemon.core.event import (
    Event,
    OperatorRequested,
    ReadFailed,
    Resumed,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    RollbackRateLimited,
    RollbackRefused,
    RollbackUnsent,
    SamplesObserved,
)
from daemon.core.explain import leading, margin
from daemon.core.guardrail import Reason
from daemon.core.incident import Incident, State, Transition, Trigger
from daemon.core.policy import Policy
from daemon.core.signal import SignalState
from daemon.core.state import ProjectState
from daemon.telemetry.metrics import ENDING_TRIGGERS, Metrics

log = structlog.get_logger()

_ROLLBACK_OUTCOMES: dict[type, str] = {
    RollbackAccepted: "accepted",
    RollbackRefused: "refused",
    RollbackRateLimited: "rate_limited",
    RollbackUnsent: "unsent",
    RollbackOutcomeUnknown: "unknown",
}
_ENDED_OUTCOMES: dict[Trigger, str] = {Trigger.OBSERVED_ON_TARGET: "confirmed", Trigger.FAILED: "failed"}


def account(
    metrics: Metrics, before: ProjectState, after: ProjectState, events: Sequence[Event], policy: Policy
) -> None:
    """Count what *events* brought about between the two states, under *policy*."""
    project = after.project
    for event in events:
        _count_event(metrics, before, event)
        if isinstance(event, OperatorRequested):
            log.info("request.taken", project=project, verb=event.verb, by=event.by, summary=after.decision.sentence)
    for incident, transition in new_transitions(before, after):
        _count_transition(metrics, project, incident, transition)
    # A gauge costs more than all the rest of a quiet poll: it is set when it may have changed, and after a start.
    is_anew = any(isinstance(event, Resumed) for event in events)
    if is_anew:
        for detector in policy.detectors:
            label = _dry_run_label(detector)
            metrics.breaches.labels(project=project, detector=detector.name, dry_run=label)
    if is_anew or after.incident is not before.incident or after.unacknowledged is not before.unacknowledged:
        live = after.incident
        for state in State:
            metrics.incident_state.labels(project=project, state=state).set(live is not None and live.state is state)
        metrics.unacknowledged.labels(project=project).set(len(after.unacknowledged))
    if is_anew or after.paused is not before.paused:
        metrics.paused.labels(project=project).set(after.paused is not None)
    if after.samples_until and (is_anew or after.samples_until != before.samples_until):
        metrics.samples_until.labels(project=project).set(after.samples_until.timestamp())
    _note_signal(metrics, before, after, is_anew=is_anew)
    if is_anew or after.watches is not before.watches or after.production is not before.production:
        _note_counts(metrics, after, policy)
    if after.watches is not before.watches:
        _count_breaches(metrics, before, after, policy)


def _note_counts(metrics: Metrics, after: ProjectState, policy: Policy) -> None:
    project = after.project
    judgement = leading(after, policy)
    finding = judgement.finding if judgement else None
    # No data is not zero errors, nor what the deployment before it had.
    ratio = finding.error_ratio if finding else None
    metrics.error_ratio.labels(project=project).set(math.nan if ratio is None else ratio)
    failed = judgement.first_failed if judgement else None
    distance = margin(failed) if failed else None
    metrics.gate_margin.labels(project=project).set(math.nan if distance is None else distance)
    if finding:
        metrics.error_ratio_limit.labels(project=project).set(finding.limit)


def _count_breaches(metrics: Metrics, before: ProjectState, after: ProjectState, policy: Policy) -> None:
    """Count and log every detector that begins to call a deployment bad, those on dry run too."""
    for watch in after.watches:
        known = before.watch(watch.deployment).findings
        for detector in policy.detectors:
            finding, earlier = watch.findings.get(detector.name), known.get(detector.name)
            if finding is earlier or finding is None or finding.verdict is not Verdict.BREACHING:
                continue
            if earlier and earlier.verdict is Verdict.BREACHING:
                continue
            label = _dry_run_label(detector)
            metrics.breaches.labels(project=after.project, detector=detector.name, dry_run=label).inc()
            log.info(
                "breach.found",
                project=after.project,
                deployment=watch.deployment,
                detector=detector.name,
                dry_run=detector.dry_run,
                summary=finding.sentence,
            )


def _dry_run_label(detector: Detector) -> str:
    return "true" if detector.dry_run else "false"


def new_transitions(before: ProjectState, after: ProjectState) -> list[tuple[Incident, Transition]]:
    """Return what happened to incidents between two states, in order."""
    known = {one.id: one.trail for one in _incidents(before)}
    return [
        (incident, transition)
        for incident in _incidents(after)
        for transition in incident.trail
        if transition not in known.get(incident.id, ())
    ]


def _incidents(state: ProjectState) -> list[Incident]:
    every = [*state.unacknowledged, state.last_ended, state.incident]
    return list({one.id: one for one in every if one}.values())


def _count_event(metrics: Metrics, before: ProjectState, event: Event) -> None:
    project = before.project
    outcome = _ROLLBACK_OUTCOMES.get(type(event))
    if outcome:
        metrics.actions.labels(project=project, action="rollback", outcome=outcome, reason=Reason.NONE).inc()
    if isinstance(event, SamplesObserved):
        _count_samples(metrics, project, event)
    if isinstance(event, ReadFailed):
        metrics.reads_failed.labels(project=project, what=event.what).inc()
        # Trouble that goes on is told once, then counted.
        known = before.unread.get(event.what)
        if known is None or known.sentence != event.sentence:
            log.warning("read.failed", project=project, what=event.what, error=event.sentence)


def _count_samples(metrics: Metrics, project: str, event: SamplesObserved) -> None:
    counted = (
        (metrics.requests_counted, sum(one.requests or 0 for one in event.samples)),
        (metrics.errors_counted, sum(one.errors for one in event.samples)),
        (metrics.platform_errors_counted, sum(one.platform_errors for one in event.samples)),
        (metrics.requests_left_out, event.left_out),
    )
    for counter, number in counted:
        # Finding a series costs more than counting in it, and of a fleet most have nothing to count.
        if number:
            counter.labels(project=project).inc(number)
    metrics.counts_covered.labels(project=project).set(event.covered)
    if event.lag_seconds is not None:
        metrics.ingest_lag.labels(project=project).set(event.lag_seconds)


def _note_signal(metrics: Metrics, before: ProjectState, after: ProjectState, *, is_anew: bool) -> None:
    """Show how well the project is seen, and log a change of it."""
    signal, known = after.signal, before.signal
    if signal is None:
        return
    project = after.project
    if is_anew or known is None or known.state is not signal.state:
        for state in SignalState:
            metrics.signal_state.labels(project=project, state=state).set(signal.state is state)
        blind_since = signal.since.at.timestamp() if signal.state is SignalState.BLIND else 0.0
        metrics.blind_since.labels(project=project).set(blind_since)
    if after.cycle_ended == before.cycle_ended:
        return
    metrics.signals.labels(state=signal.state, reason=signal.reason).inc()
    if known is None or (known.state, known.reason) != (signal.state, signal.reason):
        told = {"state": signal.state, "reason": signal.reason, "summary": signal.sentence}
        if signal.state is SignalState.OBSERVING:
            log.info("signal.changed", project=project, **told)
        else:
            log.warning("signal.changed", project=project, **told)


def _count_transition(metrics: Metrics, project: str, incident: Incident, transition: Transition) -> None:
    outcome = _ENDED_OUTCOMES.get(transition.trigger)
    if outcome:
        metrics.actions.labels(project=project, action="rollback", outcome=outcome, reason=transition.reason).inc()
    if transition.trigger in ENDING_TRIGGERS:
        metrics.incidents.labels(project=project, outcome=transition.trigger).inc()
    log.info(
        "incident.moved",
        project=project,
        incident_id=incident.id,
        source=transition.source,
        target=transition.target,
        trigger=transition.trigger,
        reason=transition.reason,
        summary=transition.sentence,
    )
