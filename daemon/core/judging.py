"""What the counts mean: detectors judge each deployment, and the recovery test judges the restored one."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Any

from daemon.core.command import Notify, Severity
from daemon.core.event import PastRecalled, SamplesObserved
from daemon.core.facts import Activation, ErrorRateSample, IncidentId, Sighting
from daemon.core.guardrail import Reason
from daemon.core.incident import State, Trigger
from daemon.core.production import date_by_counts
from daemon.core.recovery import Recovery, RecoveryWatch, count_recovery
from daemon.core.state import Watch
from daemon.core.turn import Turn
from daemon.core.verdict import advice_of, is_healthy


def judge_samples(turn: Turn, event: SamplesObserved) -> None:
    """Feed every sample to its own deployment's detectors, and to the recovery test where one is running."""
    before, until = turn.state.samples_until, min(event.complete_until, turn.moment.at)
    if before and before > turn.moment.at:
        # The wall clock was ahead when that was written, and stepped back: nothing is complete in the future.
        before = None
    turn.change(source=event.source, samples_until=max(before, until) if before else until)
    for sample in event.samples:
        # Beyond the watermark counts are not complete yet: whoever reads them now judges half a bucket.
        if sample.end <= until:
            date_by_counts(turn, sample)
            _detect(turn, sample)
            _verify(turn, sample)


def learn_past(turn: Turn, event: PastRecalled) -> None:
    """Let every detector that follows production learn what was normal before anybody watched. Once is enough."""
    if turn.state.is_past_known:
        return
    memories = dict(turn.state.memories)
    for detector in turn.policy.detectors:
        if detector.follows_production:
            memory = memories.get(detector.name) or detector.begin()
            memories[detector.name] = detector.learn(memory, event.samples)
    turn.change(memories=memories, is_past_known=True)


def _detect(turn: Turn, sample: ErrorRateSample) -> None:
    watch = turn.state.watch(sample.deployment)
    # Detectors that the policy no longer names have no say any more.
    names = {detector.name for detector in turn.policy.detectors}
    own, shared = (_kept(memories, names) for memories in (watch.memories, turn.state.memories))
    findings = _kept(watch.findings, names)
    serves = _served(turn.state.activations, sample)
    for detector in turn.policy.detectors:
        if detector.follows_production and not serves:
            continue
        memories = shared if detector.follows_production else own
        memory = memories.get(detector.name)
        if memory is None:
            # Whoever comes anew knows nothing of the past, though another one was told.
            turn.change(is_past_known=turn.state.is_past_known and not detector.follows_production)
            memory = detector.begin()
        memories[detector.name], findings[detector.name] = detector.update(memory, sample, turn.state.activations)
    watch = replace(watch, counted=_newest_count(turn, watch, sample), memories=own, findings=findings)
    _tell_advice(turn, watch)
    if is_healthy(watch, turn.policy):
        watch = replace(watch, healthy_until=_later(watch.healthy_until, sample.end))
    turn.change(watches=turn.state.with_watch(watch), memories=shared)


def _tell_advice(turn: Turn, watch: Watch) -> None:
    """Tell people what a detector that only advises found, when it begins to."""
    advice, known = advice_of(watch, turn.policy), advice_of(turn.state.watch(watch.deployment), turn.policy)
    if advice and known is None:
        project = turn.state.project
        title, sentence = f"{project}: {advice.detector.replace('_', ' ')}", f"{watch.deployment}: {advice.sentence}"
        turn.ask(Notify(IncidentId("daemon"), Severity.NOTICE, title, sentence, f"lastgood explain {project}"))


def _kept(by_name: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    return {name: value for name, value in by_name.items() if name in names}


def _served(activations: Sequence[Activation], sample: ErrorRateSample) -> bool:
    """Return whether the deployment of *sample* served production in any part of its time, as far as is on record."""
    for index, activation in enumerate(activations):
        if activation.deployment.id != sample.deployment or (activation.at and sample.end <= activation.at):
            continue
        ended = activations[index + 1].at if index + 1 < len(activations) else None
        if ended is None or sample.start < ended:
            return True
    return False


def _newest_count(turn: Turn, watch: Watch, sample: ErrorRateSample) -> Sighting | None:
    if not sample.has_traffic or (watch.counted and sample.end <= watch.counted.told):
        return watch.counted
    return Sighting(sample.end, turn.moment)


def _later(known: datetime | None, end: datetime) -> datetime:
    return max(known, end) if known else end


def _verify(turn: Turn, sample: ErrorRateSample) -> None:
    incident = turn.state.incident
    if incident is None or incident.state is not State.VERIFYING or incident.recovery is None:
        return
    if incident.target is None or sample.deployment != incident.target.id:
        return
    # Where one route failed, the others' answers prove nothing; and without its counts nothing is known.
    route = incident.finding.route
    counted = sample if route is None else sample.on_route(route)
    if counted is None:
        return
    watch, recovery = count_recovery(incident.recovery, counted)
    turn.change_incident(recovery=watch)
    if recovery:
        conclude(turn, watch, recovery)


def conclude(turn: Turn, watch: RecoveryWatch, recovery: Recovery) -> None:
    """End the verification with *recovery*."""
    incident = turn.incident
    assert incident.target is not None, "verification has a target"
    ratio = watch.errors / watch.requests if watch.requests else 0.0
    counts = f"{watch.errors} of {watch.requests} requests failed ({ratio:.2%}, limit {watch.limit:.1%})"
    pinned = "new builds stay staged until one is promoted: ship the fix, then `vercel promote <url>`"
    match recovery:
        case Recovery.RECOVERED:
            sentence = f"recovered on {incident.target.id}: {counts}"
            turn.move(Trigger.RECOVERED, reason=Reason.NONE, sentence=sentence, next_step=pinned)
        case Recovery.NOT_RECOVERED:
            sentence = f"not recovered on {incident.target.id}: {counts}; the cause is not the deployment alone"
            turn.move(Trigger.NOT_RECOVERED, reason=Reason.NONE, sentence=sentence, next_step=pinned)
        case Recovery.WORSE:
            sentence = f"worse on {incident.target.id} than before: {counts}"
            undo = f"to undo: vercel promote {incident.suspect.url}"
            turn.move(Trigger.WORSE, reason=Reason.NONE, sentence=sentence, next_step=undo)
        case Recovery.UNVERIFIED:
            sentence = f"production is on {incident.target.id}, but recovery is not proved: {counts}, too few to tell"
            turn.move(Trigger.UNVERIFIED, reason=Reason.NONE, sentence=sentence, next_step=pinned)
