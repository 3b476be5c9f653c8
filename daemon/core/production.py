"""What serves production, since when, and who moved it there."""

from dataclasses import replace
from datetime import datetime, timedelta

from daemon.core.action import Mitigation
from daemon.core.attribution import attribute
from daemon.core.command import Notify, Severity
from daemon.core.facts import (
    Activation,
    ActivationOrigin,
    AliasJob,
    AliasJobType,
    Deployment,
    DeploymentId,
    ErrorRateSample,
    Instant,
    Production,
    Sighting,
)
from daemon.core.guardrail import Reason
from daemon.core.incident import Incident, State, Trigger
from daemon.core.state import ACTIVATIONS_MAX, KNOWN_BAD_MAX, KnownBad, ProjectState
from daemon.core.turn import Turn
from daemon.core.verdict import breach_of

_CLOCK_SLACK = timedelta(seconds=60)
"""Our clock and Vercel's may differ by this much before a timestamp is called implausible."""
_LATE_EFFECT_MAX = timedelta(minutes=10)
"""A request that was given up may still be carried out for so long; what moves production later is not ours."""


def is_outdated(turn: Turn) -> bool:
    """Return whether a look at production is older than what we know: looks may overtake each other on their way."""
    seen = turn.state.production_seen
    return seen is not None and turn.moment.elapsed < seen.elapsed


def note_production(turn: Turn, production: Production) -> None:
    """Take in one read of production; a deployment that did not serve before is a new activation."""
    before = turn.state
    if _is_stale_look(before, production):
        return
    turn.change(production=production, production_seen=turn.moment, alias_job=_sight_alias_job(turn, production))
    serving = production.deployment
    if serving is None or (before.activations and before.activations[-1].deployment.id == serving.id):
        return
    mover = _mover(before, production, turn.moment)
    origin = ActivationOrigin.OUR_ROLLBACK if mover else _foreign_origin(before, production, serving)
    at = _activation_at(turn, before, production, serving)
    activation = Activation(serving, at, origin, not_before=_not_before(before))
    turn.change(activations=(*before.activations, activation)[-ACTIVATIONS_MAX:])
    match origin:
        case ActivationOrigin.OUR_ROLLBACK:
            _remember_our_rollback(turn, mover)
        case ActivationOrigin.FOREIGN_ROLLBACK:
            _remember_foreign_rollback(turn, before, production)
        case ActivationOrigin.BROUGHT_BACK:
            _add_known_bad(turn, before.activations[-1].deployment, by="somebody went back from it")
        case ActivationOrigin.RELEASE:
            _remember_replaced(turn, before)
        case ActivationOrigin.FIRST_SEEN:
            pass
    if mover and mover is not before.incident:
        _tell_late_effect(turn, mover, before, production)
    if before.incident and mover is not before.incident:
        _stand_down(turn, serving)


def _sight_alias_job(turn: Turn, production: Production) -> Sighting | None:
    """Return the newest alias job as first seen, so that its age does not depend on steps of the wall clock."""
    known, job = turn.state.alias_job, production.alias_job
    if job is None or (known and known.told == job.requested_at):
        return known if job else None
    return Sighting(job.requested_at, turn.moment)


def _is_stale_look(state: ProjectState, production: Production) -> bool:
    """Return whether the look still shows the suspect after we saw it replaced, and names no job that brought it back.

    Vercel promises no freshness, and a promote by anybody would be the newest alias job instead of ours.
    """
    incident = state.incident
    if incident is None or incident.state is not State.VERIFYING or incident.mitigation is None:
        return False
    is_suspect_back = production.deployment is not None and production.deployment.id == incident.serving
    return is_suspect_back and our_job(incident.mitigation, production) is not None


def date_by_counts(turn: Turn, sample: ErrorRateSample) -> None:
    """Pull the newest release's activation back to its first counted request: our own look comes after the fact.

    A bucket that began before the deployment before was last seen serving dates it at that moment.
    """
    newest = turn.state.activations[-1] if turn.state.activations else None
    if newest is None or newest.deployment.id != sample.deployment or not sample.has_traffic:
        return
    if newest.origin is not ActivationOrigin.RELEASE or newest.not_before is None or sample.end <= newest.not_before:
        return
    former = turn.state.activations[-2:-1]
    handed_over = turn.state.watch(former[0].deployment.id).counted_until if former else None
    if newest.at is None and (not handed_over or sample.start - handed_over > turn.policy.attribution_window):
        # After a long absence the first count that we see is not the first one that there was.
        return
    at = max(sample.start, newest.not_before)
    if newest.at is None or at < newest.at:
        turn.change(activations=(*turn.state.activations[:-1], replace(newest, at=at)))


def _not_before(before: ProjectState) -> datetime | None:
    """Return since when another deployment can serve: the last look, when another served or none; None without one."""
    return before.production_seen.at - _CLOCK_SLACK if before.production_seen else None


def _foreign_origin(before: ProjectState, production: Production, serving: Deployment) -> ActivationOrigin:
    job = production.alias_job
    if job and job.type is AliasJobType.ROLLBACK and job.to_deployment == serving.id:
        return ActivationOrigin.FOREIGN_ROLLBACK
    left = before.activations[-1].deployment if before.activations else None
    if left and serving.created_at < left.created_at:
        return ActivationOrigin.BROUGHT_BACK
    return ActivationOrigin.RELEASE if before.production_seen else ActivationOrigin.FIRST_SEEN


def our_job(mitigation: Mitigation, production: Production) -> AliasJob | None:
    """Return the alias job if it can be ours: a rollback to our target, newer than any seen before sending."""
    job = _job_to_target(mitigation, production)
    if job is None or mitigation.sent is None or job.type is not AliasJobType.ROLLBACK:
        return None
    return job if job.requested_at <= mitigation.sent.at + _LATE_EFFECT_MAX else None


def may_be_ours(mitigation: Mitigation, production: Production) -> bool:
    """Return whether our request, late as it may be, can have made *production* serve the action's target.

    A newer alias job that leads there has the word; without one nothing speaks against us.
    """
    if mitigation.sent is None or production.deployment is None:
        return False
    if production.deployment.id != mitigation.action.target:
        return False
    return _job_to_target(mitigation, production) is None or our_job(mitigation, production) is not None


def _job_to_target(mitigation: Mitigation, production: Production) -> AliasJob | None:
    """Return the alias job if it leads to our target and is newer than the one seen before sending."""
    job = production.alias_job
    if job is None or job.to_deployment != mitigation.action.target:
        return None
    return job if mitigation.job_before is None or job.requested_at > mitigation.job_before else None


def _mover(state: ProjectState, production: Production, moment: Instant) -> Incident | None:
    """Return the incident whose request moved production, ended ones included while theirs may be at work."""
    ended = [one for one in (*reversed(state.unacknowledged), state.last_ended) if one and _may_still_move(one, moment)]
    for incident in (state.incident, *ended):
        if incident and incident.mitigation and may_be_ours(incident.mitigation, production):
            return incident
    return None


def may_have_asked(state: ProjectState, target: DeploymentId, moment: Instant) -> bool:
    """Return whether a rollback to *target* that somebody heard of can be one that we sent not too long ago."""
    for incident in (state.incident, state.last_ended, *state.unacknowledged):
        mitigation = incident.mitigation if incident else None
        if mitigation and mitigation.sent and mitigation.action.target == target:
            return moment.elapsed - mitigation.sent.elapsed <= _LATE_EFFECT_MAX.total_seconds()
    return False


def _may_still_move(incident: Incident, moment: Instant) -> bool:
    """Return whether an ended incident left with a request of unknown fate, not too long ago."""
    sent = incident.mitigation.sent if incident.mitigation else None
    is_settled = any(one.trigger in (Trigger.REFUSED, Trigger.FAILED) for one in incident.trail)
    if sent is None or incident.switched is not None or is_settled:
        return False
    return moment.elapsed - sent.elapsed <= _LATE_EFFECT_MAX.total_seconds()


def _activation_at(turn: Turn, before: ProjectState, production: Production, serving: Deployment) -> datetime | None:
    """Return the earliest plausible time; None for a deployment that served before we came and that nothing dates.

    Vercel has no field for it. Plausible is what lies between our last look at the one before and now; our own look
    dates it only when the one before it was not long ago.
    """
    job = production.alias_job
    told = [turn.state.told_promotions.get(serving.id), serving.alias_assigned_at]
    told += [job.requested_at if job and job.to_deployment == serving.id else None]
    earliest = _not_before(before) or serving.created_at
    window = turn.policy.attribution_window.total_seconds()
    if before.production_seen:
        told += [turn.moment.at] if turn.moment.elapsed - before.production_seen.elapsed <= window else []
    latest = turn.moment.at + _CLOCK_SLACK
    return min((at for at in told if at and earliest <= at <= latest), default=None)


def _remember_our_rollback(turn: Turn, incident: Incident | None) -> None:
    assert incident is not None, "our rollback has an incident"
    _add_known_bad(turn, *_train(turn.state, incident.suspect, last=incident.serving), by="lastgood")
    if incident.suspect.id not in turn.state.rolled_back:
        turn.change(rolled_back=(*turn.state.rolled_back, incident.suspect.id))


def _train(state: ProjectState, suspect: Deployment, *, last: DeploymentId) -> list[Deployment]:
    """Return the deployments that shared the suspect's fault: from its newest activation to the newest of *last*."""
    ids = [one.deployment.id for one in state.activations]
    if suspect.id not in ids or last not in ids:
        return [suspect]
    newest = [len(ids) - 1 - ids[::-1].index(one) for one in (suspect.id, last)]
    return [one.deployment for one in state.activations[newest[0] : newest[1] + 1]]


def _remember_foreign_rollback(turn: Turn, before: ProjectState, production: Production) -> None:
    job = production.alias_job
    assert job is not None, "a foreign rollback is known by its job"
    left = job.from_deployment or (before.serving.id if before.serving else None)
    if left:
        commits = {one.deployment.id: one.deployment.commit_sha for one in before.activations}
        _add_bad(turn, KnownBad(left, commits.get(left), "somebody else"))
    if turn.moment.at - job.requested_at < turn.policy.stand_down_hold:
        turn.hold_off(f"somebody else rolled production back to {job.to_deployment}")


def _remember_replaced(turn: Turn, before: ProjectState) -> None:
    """What was replaced while it breached by its own fault is no way back, though nobody rolled back from it."""
    left = before.activations[-1].deployment if before.activations else None
    breach = breach_of(before.watch(left.id), turn.policy) if left else None
    if left is None or breach is None:
        return
    attribution = attribute(before, breach, turn.policy)
    if not attribution.objection:
        _add_known_bad(turn, *_train(before, attribution.suspect, last=left.id), by="replaced while it breached")


def _add_known_bad(turn: Turn, *deployments: Deployment, by: str) -> None:
    for deployment in deployments:
        _add_bad(turn, KnownBad(deployment.id, deployment.commit_sha, by))


def _add_bad(turn: Turn, bad: KnownBad) -> None:
    others = (one for one in turn.state.known_bad if one.deployment != bad.deployment)
    turn.change(known_bad=(*others, bad)[-KNOWN_BAD_MAX:])


def _tell_late_effect(turn: Turn, mover: Incident, before: ProjectState, production: Production) -> None:
    """Page: a request that we had given up moved production after all, perhaps over somebody's newer release."""
    assert mover.mitigation is not None, "the mover sent a request"
    action, job = mover.mitigation.action, production.alias_job
    left = job.from_deployment if job and job.to_deployment == action.target else None
    left = left or before.activations[-1].deployment.id
    sentence = f"a rollback request sent earlier took effect late: production went from {left} to {action.target}"
    next_step = "check that it helped: nobody verifies it"
    if left != action.expected:
        next_step = f"to restore what was there: vercel promote {left}"
        turn.hold_off(sentence)
    turn.ask(Notify(mover.id, Severity.PAGE, f"{turn.state.project}: late rollback", sentence, next_step))


def _stand_down(turn: Turn, serving: Deployment) -> None:
    sentence = f"somebody else moved production to {serving.id} while we were at work: standing down"
    turn.hold_off(f"somebody else moved production to {serving.id}")
    turn.move(Trigger.FOREIGN_MOVE, reason=Reason.FOREIGN_MOVE, sentence=sentence)
